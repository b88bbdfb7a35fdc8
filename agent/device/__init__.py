# SPDX-License-Identifier: Apache-2.0
"""Devices that the host gives to a container.

Each type has a file here with a function that finds the device in the guest.
A new one is that file and a line in `HANDLERS`.
"""
