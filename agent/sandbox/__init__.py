# SPDX-License-Identifier: Apache-2.0
"""The sandbox: the containers of this guest, and everything that they share."""
