# SPDX-License-Identifier: Apache-2.0
"""The seam to the OCI runtime: five verbs, and nothing else of it anywhere.

Signals, waiting, statistics, freezing, process lists and OOM events never touch
the runtime: the agent does them on pidfds and cgroupfs. `crun` is the default,
`runc` works by configuration.
"""
