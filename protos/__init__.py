# SPDX-License-Identifier: Apache-2.0
"""The API's messages, and the code generated from them (`make protos`)."""
