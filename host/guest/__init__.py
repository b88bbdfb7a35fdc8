# SPDX-License-Identifier: Apache-2.0
"""Guests on this host: what a local guest and a VM have in common.

A guest is a process tree with an agent inside, and one unix socket outside: who
connects to it names a port of the guest (`hybrid.py`), and connections that the
guest opens to host port P arrive at `<socket>_P`.
"""
