# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime behind five verbs; no other package knows its command line.

Signals, waiting, statistics, freezing, process lists and OOM events never touch the
runtime: the agent handles them with pidfds and cgroupfs. `crun` is the default, `runc`
works by configuration.
"""
