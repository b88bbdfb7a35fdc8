# SPDX-License-Identifier: Apache-2.0
"""The work before the agent serves: little under systemd, all of it as PID 1."""
