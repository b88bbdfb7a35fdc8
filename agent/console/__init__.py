# SPDX-License-Identifier: Apache-2.0
"""The debug console: a shell in the guest."""
