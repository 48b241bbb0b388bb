"""A Chromium without a window, spoken to through the DevTools protocol; its network is off.

What it leaves out: everything that the tests of the pages do not ask for.
"""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = ["--headless", "--no-sandbox", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
_OFF = ("gpu", "quic", "background-networking", "component-update", "sync", "extensions")
_START_S = 30
_DIRECT = build_opener(ProxyHandler({}))  # whatever proxy the environment names, this is the same machine


def find() -> str | None:
    """Return the program of a Chromium or Chrome, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser with one tab. Use as a context manager.

    Attributes:
        requests: Addresses asked for since `open`, but for the page's own and `data:`.
        complaints: What the console said as an error or a warning, exceptions and refused loads since `open`.
        refused: Why loads failed, such as "csp" for the page's own policy, since `open`.
    """

    def __init__(self, program: str) -> None:
        from websocket import create_connection

        self._socket = None
        self._profile = tempfile.mkdtemp(prefix="browser-")
        self._process = subprocess.Popen(
            [
                program,
                *_FLAGS,
                *(f"--disable-{what}" for what in _OFF),
                f"--user-data-dir={self._profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = create_connection(self._tab(), timeout=_START_S, suppress_origin=True)
        self._last = 0
        self._events: list[dict] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.refused: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.call("Network.emulateNetworkConditions", **offline)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.call("Browser.close")
            self._socket.close()
        self.close()

    def close(self) -> None:
        """End the process, if it has not ended itself, and remove its profile."""
        try:
            self._process.wait(timeout=5 if self._socket else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: object) -> dict:
        """Send one command and return its result; events that come before it are kept."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def open(self, page: Path, width: int = 1280, dark: bool = False, scripts: bool = True, fragment: str = "") -> None:
        """Load a page from a file and wait until it is there.

        Args:
            page: The file.
            width: Of the window, in CSS pixels.
            dark: Whether the reader prefers a dark page.
            scripts: False switches scripts off.
            fragment: What stands behind the # of the address.
        """
        self.call("Page.navigate", url="about:blank")
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events, self.requests, self.complaints, self.refused = [], [], [], []
        self._own = page.resolve().as_uri()
        self.call("Page.navigate", url=self._own + (f"#{fragment}" if fragment else ""))
        self._wait_for("Page.loadEventFired")

    def run(self, script: str) -> object:
        """Return the value of an expression in the page; works with the page's own scripts off, too."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "the script failed"))
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click an element as a reader would: by a press at its centre."""
        box = self.run(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f"return [r.x + r.width / 2, r.y + r.height / 2] }})(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def picture(self, path: Path, width: int, height: int) -> None:
        """Write a screenshot of the upper part of the page."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def pdf(self) -> bytes:
        """Return the page as it prints."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def _tab(self) -> str:
        """Return the address of the tab, as soon as the browser has one."""
        told = Path(self._profile) / "DevToolsActivePort"
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError, StopIteration):
                port, _ = told.read_text().split()  # two lines, once it is whole
                with _DIRECT.open(f"http://127.0.0.1:{int(port)}/json/list", timeout=_START_S) as answer:
                    return next(each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page")
            time.sleep(0.02)
        self.close()
        raise RuntimeError(f"{self._process.args[0]} did not start within {_START_S} s")

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._note(json.loads(self._socket.recv()))

    def _note(self, event: dict) -> None:
        self._events.append(event)
        method, about = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            address = about["request"]["url"].partition("#")[0]
            if address not in (self._own, "about:blank") and not address.startswith("data:"):
                self.requests.append(address)
        elif method == "Network.loadingFailed":
            self.refused.append(about.get("blockedReason") or about.get("errorText", ""))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("text", "exception"))
        elif method == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning", "assert"}:
            self.complaints.append(str([each.get("value") for each in about["args"]]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(about["entry"]["text"])
        elif method == "Audits.issueAdded" and about["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.complaints.append(json.dumps(about["issue"]["details"]))
