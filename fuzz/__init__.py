# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing; `python -m fuzz.frames` is the target."""
