# SPDX-License-Identifier: Apache-2.0
"""The agent's options: from all their sources to one `Config`."""
