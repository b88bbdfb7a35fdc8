# SPDX-License-Identifier: Apache-2.0
"""The version of the distribution, in one place and with no imports."""

VERSION = "0.1.0"
API_VERSION = "0.0.1"
"""`grpc_version` in the answer to `Health.Version`; Kata's agent never changed it."""
