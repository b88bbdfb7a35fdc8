# SPDX-License-Identifier: Apache-2.0
"""The sandbox: all containers of this guest and what they share. One per agent.

No operation holds a lock that another container's, or a look-up, would wait for.
An operation that a caller gave up on still runs to its end, so that nothing is
left half-done; a container whose creator left is removed again.
"""
