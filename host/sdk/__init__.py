# SPDX-License-Identifier: Apache-2.0
"""The SDK: commands, containers and files in guests, for scripts.

    from kata_host import Guest, Limits

    async with Guest.vm(memory="1g") as guest:
        result = await guest.run(["uname"], limits=Limits(memory="64m"), timeout=5)

    guest               what a program calls
    guest_connection    the agent of a guest, and how an error of it is told
    held_guest          a guest of this process, whose start and stop block nothing
    roots               from an image of the host to a directory in the guest
    command             a command to its end, in a container of its own
    container_request   the container that is asked for
    output              a command's output, in bounds
    user                the user of a process
    uncancelled         a clean-up that a cancelled caller waits for too

The errors are in `kata_host.errors`.
"""
