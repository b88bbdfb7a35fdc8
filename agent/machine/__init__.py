# SPDX-License-Identifier: Apache-2.0
"""The guest as a machine, without its containers: all that the host asks of it.

details, memory_info           what there is
cpu_memory, cpu_memory_hotplug CPUs and memory, brought online at once or when they come
widen_cpusets                  plugged CPUs for the containers that may have them
clock, entropy                 set and reseeded
file_copies, partial_file, ranges
                               files from the host, in chunks
swap, volume, virtiofs_refresh disks and shares
"""
