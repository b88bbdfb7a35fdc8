# SPDX-License-Identifier: Apache-2.0
"""Traces on the host: a client's spans, and a guest's spans shown to people."""
