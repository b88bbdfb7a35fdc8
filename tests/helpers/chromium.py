# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven by the Chrome DevTools Protocol over two pipes.

https://chromedevtools.github.io/devtools-protocol: messages are JSON, each ends with a
zero byte. Keys and wheels come from the browser itself, as a person's do.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, Self

CHROMIUM: Final = shutil.which("chromium")
KEYS: Final = {"Enter": "\r", " ": " "}
CTRL, SHIFT = 2, 8
"""Modifiers of `Input.dispatchKeyEvent`."""


class Chromium:
    """The browser; it ends with the block, and keeps nothing."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._count = 0
        self._unread = b""
        self._target = ""
        self.events: list[dict[str, Any]] = []
        """Messages that answered nothing."""

    def __enter__(self) -> Self:
        assert CHROMIUM is not None, "no chromium"
        commands, answers = os.pipe(), os.pipe()
        # Above those that the shell moves to 3 and 4.
        child = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands[0], answers[1])]
        self._log = (self._scratch / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [
                *(
                    "bash",
                    "-c",
                    f'exec "$0" "$@" 3<&{child[0]} 4>&{child[1]}',
                    CHROMIUM,
                ),
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--remote-debugging-pipe",
                f"--user-data-dir={self._scratch / 'profile'}",
            ],
            pass_fds=child,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        for fd in (*child, commands[0], answers[1]):
            os.close(fd)
        self._commands, self._answers = commands[1], answers[0]
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Chromium ends when its pipe does.
        os.close(self._commands)
        while os.read(self._answers, 1 << 16):
            pass
        os.close(self._answers)
        self._process.wait()
        self._log.close()

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Return the result of a method."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self._commands, data) :]
        while (answer := self._read()).get("id") != self._count:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the parameters of an event that has these among them."""
        for event in self.events:
            found: dict[str, Any] = event.get("params", {})
            if event.get("method") == method and parameters.items() <= found.items():
                return found
        self.events.append(self._read())
        return self.wait_for(method, **parameters)

    def open(self, path: Path, width: int = 1200, height: int = 800) -> Page:
        """Open a file in a window of this size, in CSS pixels; close the last one."""
        if self._target:
            # A page in the background is not drawn.
            self.call("Target.closeTarget", targetId=self._target)
        self._target = target = self.call("Target.createTarget", url="about:blank")[
            "targetId"
        ]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, session["sessionId"])
        page.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1},
            mobile=width < 600,
        )
        page.call("Page.enable")
        self.events.clear()
        page.call("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")
        page.frame()
        return page

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            data = os.read(self._answers, 1 << 20)
            assert data, "chromium has ended"
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


class Page:
    """One page of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, also that of a promise."""
        done = self.call(
            "Runtime.evaluate",
            **{"expression": expression, "awaitPromise": True, "returnByValue": True},
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and release a key."""
        text = KEYS.get(key, key if len(key) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "modifiers": modifiers},
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                **{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
            )

    def wheel(self, x: float, y: float, by: float, modifiers: int = 0) -> None:
        self.call(
            "Input.dispatchMouseEvent",
            **{"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by},
            modifiers=modifiers,
        )

    def frame(self) -> None:
        """Wait until what was asked for is drawn."""
        self.evaluate(
            "new Promise(done =>"
            " requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )
