# SPDX-License-Identifier: Apache-2.0
"""OCI runtime specifications: from the wire to JSON, and fitted to this guest."""
