# SPDX-License-Identifier: Apache-2.0
"""The agent's log, which never waits for its readers.

    log calls ──► LogStream ──► StreamWriter ──► stdout
              └─► LogStream ──► LogPort ──► the newest connection to the log port

A log call puts a line into bounded memory. When a stream is full, its oldest lines
are dropped and a line with their number takes their place. Both readers are threads:
stdout may be a console that blocks, and the log must not depend on the event loop
whose troubles it reports.
"""
