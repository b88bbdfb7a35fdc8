# SPDX-License-Identifier: Apache-2.0
"""Records the calls between a client and a server, and plays them again.

`python -m ttrpc tap` and `python -m ttrpc replay` are its commands. An API tells the
recording of its messages: their descriptors, the fields that hold secrets, the fields
that a client reads (`api.py`).
"""
