# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of ttrpc; run `python -m fuzz.frames`."""
