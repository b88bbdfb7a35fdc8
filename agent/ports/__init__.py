# SPDX-License-Identifier: Apache-2.0
"""The ports between guest and host: AF_VSOCK in a VM, unix sockets in a local guest."""
