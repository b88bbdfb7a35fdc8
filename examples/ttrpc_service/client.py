# SPDX-License-Identifier: Apache-2.0
"""Call the server of this example with asyncio.

    python client.py unix:///tmp/words.sock

Without asyncio: script.py.
"""

from __future__ import annotations

import asyncio
import sys

from words_pb2 import Text
from words_ttrpc import WordsClient

from ttrpc import StatusError
from ttrpc.aio import Client


async def main(address: str) -> None:
    # Tries for up to five seconds, because the server may be starting.
    async with await Client.connect(address, timeout=5) as client:
        words = WordsClient(client)

        # The server keeps to the timeout too, and cancels its handler.
        count = await words.count(Text(text="three little words"), timeout=2)
        print("words:", count.value)

        try:
            await words.count(Text())
        except StatusError as error:
            print("error:", error)

        async with words.split(Text(text="one by one")) as stream:
            async for word in stream:
                print("word:", word.text)

        async with words.total() as stream:
            for text in ("a b", "c d e"):
                await stream.send(Text(text=text))
            await stream.close_send()
            print("total:", (await stream.response()).value)


asyncio.run(main(sys.argv[1]))
