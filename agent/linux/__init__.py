# SPDX-License-Identifier: Apache-2.0
"""The kernel's interfaces; no module here knows of containers.

Each module is one man page: the module checks errors, names its arguments after the
kernel's and keeps no state.
"""
