# SPDX-License-Identifier: Apache-2.0
"""From the wire's OCI messages to the OCI runtime's JSON.

proto3 scalars have no presence: a field that was never set reads as zero. Where
the OCI specification says *optional*, zero therefore means absent here; the
only exception is `oomScoreAdj`, where zero is the sensible setting and absence
would inherit the agent's own protection.

What a spec must become to run in this sandbox is in `kata_agent.oci.adapt`.
"""
