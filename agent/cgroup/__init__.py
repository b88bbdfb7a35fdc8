# SPDX-License-Identifier: Apache-2.0
"""Cgroups: all that the agent reads and writes of them, version 1 and version 2.

cgroup                   a container's cgroup, the same for both versions
open, overlap            the cgroup that a spec means; cgroups that share processes
cgroup_v1, cgroup_v2     the two versions
oom_watch_v1, oom_watch_v2
                         one call for each OOM kill
stats_v1, stats_v2       their statistics, in the message of the API
tree                     a cgroup with all below it: walks, process lists
freezer_v1, kill, remove freezing in version 1, SIGKILL by pid, removal
files, file_watches      formats of cgroupfs files, changes of files
supported_files          the limits that this kernel has
"""
