# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal

# Started in the background of a shell without job control, a process ignores SIGINT
# and its children inherit that (POSIX shell, 2.11); tests interrupt children.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
