# SPDX-License-Identifier: Apache-2.0
"""The kernel command line: `agent.log=debug agent.hotplug_timeout=10s ...`.

One word is one option. Words are read from left to right, a later one wins, and
there is no quoting. A name that does not begin with `agent.` is never our error;
a bad option of ours is one warning, keeps the value before it, and never stops the
boot.

Every option is in `OPTIONS` (a name and a value) or `FLAGS` (a bare word).
"""
