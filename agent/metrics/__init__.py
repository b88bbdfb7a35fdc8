# SPDX-License-Identifier: Apache-2.0
"""GetMetrics: numbers of the agent and of the guest, in Prometheus's text format.

Names and labels are those of Kata's agent (docs/design/kata-2-0-metrics.md), so that
its dashboards work; `kata_agent_trace_*` are ours. Nothing but spans is counted
between two scrapes: each reads /proc anew.
"""
