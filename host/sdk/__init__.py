# SPDX-License-Identifier: Apache-2.0
"""The SDK: commands, containers and files in guests, for scripts.

    from kata_host import Guest, Limits

    async with Guest.vm(memory="1g") as guest:
        result = await guest.run(["uname"], limits=Limits(memory="64m"), timeout=5)

    guest               what a program calls
    box, process, files the containers that stay, the processes and the files in them
    forward             a program of a guest on a port of this host
    pool                guests that are kept ready
    guest_connection    the agent of a guest, and how an error of it is told
    thread_guest        a guest of this process, whose start and stop block nothing
    command             a command to its end
    container_request   the container that is asked for
    roots, volume       images and folders of the host in a guest
    tools               the program that holds a box
    output, process_stream, file_info, user    smaller things

The errors are in `kata_host.errors`.
"""
