# SPDX-License-Identifier: Apache-2.0
"""Benchmarks; most of them measure a peer in turn with our program."""
