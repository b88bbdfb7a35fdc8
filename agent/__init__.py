# SPDX-License-Identifier: Apache-2.0
"""The guest agent; `agent.main` is where it starts."""
