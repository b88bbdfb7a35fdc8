# SPDX-License-Identifier: Apache-2.0
"""The kernel's interfaces, and nothing of containers.

Each module is one man page: it checks errors, names its arguments after the
kernel's and keeps no state.
"""
