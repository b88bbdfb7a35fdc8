# SPDX-License-Identifier: Apache-2.0
"""Cgroups: what the agent reads and writes of them, version 1 and 2.

The OCI runtime makes a container's cgroup and sets its limits. Everything else
goes through `Cgroup`: process lists, killing, freezing, statistics, OOM events.
"""
