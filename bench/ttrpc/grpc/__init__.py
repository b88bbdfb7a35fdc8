# SPDX-License-Identifier: Apache-2.0
"""The same echoes over gRPC, with the two libraries that asyncio has for it."""
