# SPDX-License-Identifier: Apache-2.0
"""Files and folders of the host in a VM, by virtiofsd and QEMU's virtio-fs device.

sharing          starts the server for the volumes of one container
__main__         the server: starts programs, plugs devices in, waits for the end
served_volume    one virtiofsd and its device
private_tree     what a virtiofsd sees of the host
virtiofsd        the program, as Debian has it
folder_end       tells when a folder is removed
"""
