# SPDX-License-Identifier: Apache-2.0
"""Benchmarks, each side by side with a peer."""
