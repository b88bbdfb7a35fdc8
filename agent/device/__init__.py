# SPDX-License-Identifier: Apache-2.0
"""Devices that the host plugs in, and gives to containers.

devices                            a request's devices, and the guest's view of them
handlers, driver_names             the types of devices, one line each; their names
block, mmio, nvdimm, scsi, vfio    a type each: `find` finds the device in the guest
network                            interfaces, which no container request names
hotplug                            all that a driver needs to wait for its device
uevents, uevent, uevent_matcher    the kernel's device events, and waiting for one
monitor, kernel_monitor            the source of these events
sysfs_search                       devices that are there already
pci, node, device_match            PCI paths, device nodes, the result of `find`
renumber, rules, environment       the edits of a container's spec
"""
