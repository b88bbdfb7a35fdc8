# SPDX-License-Identifier: Apache-2.0
"""How early the kernel kills a process when memory runs out (man 5 proc)."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def set_oom_score(proc: Path, pid: int, score: int) -> None:
    """Set `oom_score_adj` of `pid`, from -1000 (never killed) to 1000 (killed first).

    crun sets the score of a container's init only. A process that has ended is no
    error. A lower score without CAP_SYS_RESOURCE is logged and left out.
    """
    try:
        (proc / str(pid) / "oom_score_adj").write_text(str(score))
    except (FileNotFoundError, ProcessLookupError):
        return
    except PermissionError:
        log.warning("OOM score not set", extra={"pid": pid, "score": score})
