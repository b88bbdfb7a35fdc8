# SPDX-License-Identifier: Apache-2.0
"""Call the server of this example without asyncio.

    python script.py unix:///tmp/words.sock

With asyncio: client.py.
"""

from __future__ import annotations

import sys

from words_pb2 import Text
from words_ttrpc import WordsSyncClient

from ttrpc.sync import Client

with Client.connect(sys.argv[1], timeout=5) as client:
    words = WordsSyncClient(client)
    print("words:", words.count(Text(text="in a script"), timeout=2).value)
    with words.split(Text(text="a stream")) as stream:
        for word in stream:
            print("word:", word.text)
