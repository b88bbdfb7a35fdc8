# SPDX-License-Identifier: Apache-2.0
"""The guest agent; `kata_agent.main` is where it starts."""
