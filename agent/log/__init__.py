# SPDX-License-Identifier: Apache-2.0
"""The agent's log: one JSON object a line, in the form Kata's tools read.

    {"msg": "container created", "level": "INFO", "ts": "2024-05-01T12:00:00.000000Z",
     "version": "0.1.0", "subsystem": "container", "pid": "1", "name": "kata-agent",
     "source": "agent", "container_id": "a1"}

Every line goes to stdout, and to whoever reads the log port. To log is to put a line
into bounded memory: a console that nobody reads costs lines, which are counted, and
never time (`kata_agent.log.stream`).
"""
