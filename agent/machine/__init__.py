# SPDX-License-Identifier: Apache-2.0
"""The guest as a machine, nothing of containers: what the host asks of it.

details, memory_info         what there is
cpu_memory, plugged          CPUs and memory brought online, soon or late
widen_cpusets                and let the containers have them
clock, entropy               set and reseeded
file_copies, partial_file, ranges  files from the host, in chunks
swap, volume, stale_mounts   disks and shares
"""
