# SPDX-License-Identifier: Apache-2.0
"""Annotations that steer the OCI runtime, which no user of a cluster may set."""

from __future__ import annotations

import logging
from typing import Final

from kata_agent.oci.spec import Spec

log = logging.getLogger(__name__)

PREFIXES: Final = ("run.oci.", "krun.", "module.wasm.", "org.criu.", "org.systemd.")
"""Of the annotations that crun (crun(1), "run.oci", and its handlers) and runc (its
`features`, "potentiallyUnsafeConfigAnnotations") act on."""
NAMES: Final = ("bundle",)
"""Annotations that are not a prefix. runc keeps annotations as `name=value` beside its
own `bundle=directory` and takes the first; a name may have the `=` in it."""


def drop_runtime_annotations(spec: Spec) -> None:
    """Remove the annotations that change how the OCI runtime works.

    The users of a cluster set annotations on their containers. With these they would
    replace the seccomp filter (`run.oci.seccomp_bpf_data`), choose another handler
    (`run.oci.handler`), have the runtime connect to sockets of the guest
    (`run.oci.pidfd_receiver`) or write to its files (`run.oci.hooks.stdout`).
    """
    annotations = spec.get("annotations", {})
    for name in list(annotations):
        if name.startswith(PREFIXES) or name.partition("=")[0] in NAMES:
            log.warning("annotation dropped", extra={"annotation": name})
            del annotations[name]
