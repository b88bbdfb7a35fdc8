# SPDX-License-Identifier: Apache-2.0
"""The part of HTTP/1.1 (RFC 9112) that the trace port needs, without I/O.

Bytes go in, whole messages come out, and every size is bounded: the guest's peer is a
collector that may be broken, the forwarder's peer is a guest that may be hostile.
`http.client` would cost the guest 5 MiB and bounds neither the time nor the head of a
response.
"""
