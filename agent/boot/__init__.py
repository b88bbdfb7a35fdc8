# SPDX-License-Identifier: Apache-2.0
"""What the agent does before it serves: little under systemd, all of it as PID 1."""
