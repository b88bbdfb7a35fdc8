# SPDX-License-Identifier: Apache-2.0
"""Fuzzing: of ttrpc, guided by coverage (`python -m fuzz.frames`), and of the agent's
API in a local guest (`python -m fuzz.requests`)."""
