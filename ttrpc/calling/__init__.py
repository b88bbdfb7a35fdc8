# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc call`: one call, with messages as JSON."""
