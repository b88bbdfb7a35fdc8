# SPDX-License-Identifier: Apache-2.0
"""Annotations that steer the OCI runtime, which no user of a cluster may set."""

from __future__ import annotations

import logging
from typing import Final

from kata_agent.oci.spec import Spec

log = logging.getLogger(__name__)

RUNTIME_ANNOTATIONS: Final = ("run.oci.", "module.wasm.", "org.criu.", "org.systemd.")
"""Prefixes of the annotations that crun (crun(1), "run.oci") and runc act on."""


def drop_runtime_annotations(spec: Spec) -> None:
    """Remove the annotations that change how the OCI runtime works.

    The users of a cluster set annotations on their containers. By these annotations a
    user could replace the seccomp filter (`run.oci.seccomp_bpf_data`), choose another
    handler (`run.oci.handler`) or write to files of the guest (`run.oci.hooks.stdout`).
    """
    annotations = spec.get("annotations", {})
    for name in list(annotations):
        if name.startswith(RUNTIME_ANNOTATIONS):
            log.warning("annotation dropped", extra={"annotation": name})
            del annotations[name]
