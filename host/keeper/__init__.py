# SPDX-License-Identifier: Apache-2.0
"""Containers that outlive the command that started them, and what is known of them.

    <guest's directory>/containers/ID/record.json   the record, locked by its holder
                                     /log, log.1     the output, bounded
                                     /rootfs         made for this container, if any

The agent's API lists no containers and gives each byte of output once. So a process of
the host, the keeper, reads the output of a detached container, keeps the end of it, and
writes down how the container ended. The folder goes with its guest.
"""
