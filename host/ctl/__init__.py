# SPDX-License-Identifier: Apache-2.0
"""The commands of `kata-agent-ctl`, one module each, and modules that they share."""
