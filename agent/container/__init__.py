# SPDX-License-Identifier: Apache-2.0
"""A container, its processes, their streams and its hooks.

`container.py` is the container itself, `container_state.py` its states. `process.py`
is a process, `stdio.py` its standard streams.
"""
