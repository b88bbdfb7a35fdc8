# SPDX-License-Identifier: Apache-2.0
"""The errors that the agent's domain raises on purpose.

    AgentError                 a code and a message for the caller
    ├── InvalidArgument        the request is invalid
    ├── NotFound               a process, a device, a file is not there
    ├── AlreadyExists
    ├── InvalidState           the state of the object does not allow the call
    ├── Unavailable            something that the call needs is missing (a tty, a peer)
    ├── Timeout                something that was waited for did not come
    ├── ResourceExhausted      the guest has run out of something (descriptors, space)
    ├── Unimplemented
    └── Internal               the guest failed, not the caller
        └── Ended              the sandbox has ended while the call waited

Messages name the object first, in lower case, without a full stop:
``container 'a1': no process 'e2'``. Only `kata_agent.rpc.status` turns these, and all
other exceptions, into ttrpc statuses.
"""

from __future__ import annotations

from typing import ClassVar

from ttrpc.codes import Code


class AgentError(Exception):
    """A failure with a code that a caller can act on."""

    code: ClassVar[Code] = Code.INTERNAL


class InvalidArgument(AgentError):
    code = Code.INVALID_ARGUMENT


class NotFound(AgentError):
    code = Code.NOT_FOUND


class AlreadyExists(AgentError):
    code = Code.ALREADY_EXISTS


class InvalidState(AgentError):
    code = Code.FAILED_PRECONDITION


class Unavailable(AgentError):
    code = Code.UNAVAILABLE


class Timeout(AgentError):
    code = Code.DEADLINE_EXCEEDED


class ResourceExhausted(AgentError):
    code = Code.RESOURCE_EXHAUSTED


class Unimplemented(AgentError):
    code = Code.UNIMPLEMENTED


class Internal(AgentError):
    code = Code.INTERNAL


class Ended(Internal):
    """No failure, though runtimes know it by the code of one."""
