#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# PID 1 of a guest in which the agent is a service, as under systemd: mounts what an
# init mounts, starts the agent, and tells on the console how it ended.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup

/usr/bin/kata-agent &
wait $!
echo "agent: status $?"
for core in /run/core*; do
    [ -e "$core" ] && echo "core: $(stat -c '%s %n' "$core")"
done
poweroff -f
