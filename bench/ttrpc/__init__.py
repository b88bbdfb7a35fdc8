# SPDX-License-Identifier: Apache-2.0
"""Our ttrpc beside the Go library: speed and memory."""
