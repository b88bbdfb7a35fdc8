# SPDX-License-Identifier: Apache-2.0
"""A typed client of the agent, for scripts and for `kata-agent-ctl`.

    async with await AgentClient.connect("hvsock:///run/vm.sock:1024") as client:
        await client.create_sandbox("sandbox")
        result = await client.run(["uname", "-a"], rootfs="/rootfs")
        print(result.status, result.stdout)

Every RPC is there as a method of `client.agent` and `client.health`, with the
request and response messages of `protos`; what is around it saves steps.
`kata_host.client.blocking_agent_client` has the same without asyncio.
"""
