# SPDX-License-Identifier: Apache-2.0
"""Serve `words.proto` on a unix socket.

    python server.py unix:///tmp/words.sock

Ends by SIGTERM or Ctrl-C, when the calls in flight have been answered.
"""

from __future__ import annotations

import asyncio
import sys

from words_pb2 import Number, Text
from words_ttrpc import WORDS, WordsBase

from ttrpc import CallContext, Code, StatusError, bind
from ttrpc.aio import Server, ServerStream


class Words(WordsBase):
    # A plain function runs where its request arrived: for work that never waits.
    def count(self, request: Text, context: CallContext) -> Number:
        if not request.text:
            raise StatusError(Code.INVALID_ARGUMENT, "text: empty")
        return Number(value=len(request.text.split()))

    # A coroutine has a task of its own and may wait.
    async def split(
        self, stream: ServerStream[Text, Text], context: CallContext
    ) -> None:
        async for request in stream:
            for word in request.text.split():
                await stream.send(Text(text=word))

    async def total(
        self, stream: ServerStream[Text, Number], context: CallContext
    ) -> Number:
        words = 0
        async for text in stream:
            words += len(text.text.split())
        return Number(value=words)


async def main(address: str) -> None:
    async with Server([bind(WORDS, Words())]) as server:
        await server.listen(address)
        print("serving", address, flush=True)
        # Calls in flight have ten seconds to end.
        await server.serve_until_signal(timeout=10)


asyncio.run(main(sys.argv[1]))
