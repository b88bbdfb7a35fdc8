# SPDX-License-Identifier: Apache-2.0
"""The API's messages, and what is generated from them (`make protos`)."""
