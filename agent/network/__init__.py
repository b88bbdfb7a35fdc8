# SPDX-License-Identifier: Apache-2.0
"""The guest's network, which all containers of the sandbox share."""
