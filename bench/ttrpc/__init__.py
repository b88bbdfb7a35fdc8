# SPDX-License-Identifier: Apache-2.0
"""Our ttrpc beside the Go library and others: speed and memory."""
