# SPDX-License-Identifier: Apache-2.0
"""GetMetrics: numbers of the agent and of the guest, in Prometheus's text format."""
