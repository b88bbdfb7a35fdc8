# SPDX-License-Identifier: Apache-2.0
"""The agent's API for recordings of a session: `python -m ttrpc tap` and `replay`."""
