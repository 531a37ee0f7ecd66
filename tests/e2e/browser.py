"""Drive Debian's chromium without a window, through the pipes of its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import PATIENCE_SECONDS, wait_until

PROGRAM = "chromium"
# The descriptors that chromium reads and writes.
READS, WRITES = 3, 4


def skip_without_browser() -> None:
    """Raise SkipTest if chromium is not installed."""
    if not shutil.which(PROGRAM):
        raise unittest.SkipTest(f"needs {PROGRAM}: run tests/e2e/run.sh")


class Browser:
    """A chromium with one page. What happens to the page is in `events`."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="crontabber-browser-")
        to_browser, self._writer = os.pipe()
        self._reader, from_browser = os.pipe()
        command = [
            shutil.which(PROGRAM) or PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--remote-debugging-pipe", f"--user-data-dir={self._profile}", "about:blank",
        ]  # fmt: skip
        # A shell moves the pipes to where chromium looks for them.
        shell = ["sh", "-c", f'exec "$@" {READS}<&{to_browser} {WRITES}>&{from_browser}', "sh", *command]
        self._process = subprocess.Popen(
            shell, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._file = os.fdopen(self._reader, "rb")
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._session: str | None = None
        target = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._writer)
        self._file.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol. Return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._reader, 1 << 20)
            if not chunk:
                raise AssertionError("chromium has ended")
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)

    def open(self, path: Path | str) -> None:
        """Open a file or an address, and wait until it is loaded."""
        self.events.clear()
        address = path if isinstance(path, str) else path.as_uri()
        self.call("Page.navigate", url=address)
        wait_until(lambda: self.value("document.readyState") == "complete" and self.value("location.href") != "about:blank", "not loaded", PATIENCE_SECONDS)

    def value(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def resize(self, width: int, height: int, dark: bool = False, scale: float = 1) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def nodes(self) -> Sequence[tuple[str, str]]:
        """Return the role and the name of each node that a screen reader sees."""
        tree = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree
            if not node["ignored"]
        ]

    def errors(self) -> list[str]:
        """Return what the console has complained of: errors, exceptions, violations of the policy."""
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        ]

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
