"""Chromium, Firefox and WebKit without a screen, by their own protocols, and a server for their pages: no package more.

For tests, benchmarks and the pictures of pages in the documents.
"""

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

KEYS = {"Enter": "\ue007", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Tab": "\ue004"}
"""WebDriver's codes of keys without a character."""


CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Options that give Chromium a camera of its own, which shows a test picture, and leave to use it."""

_PREFERENCES = {
    "marionette.port": 0,  # any that is free
    "media.navigator.streams.fake": True,  # a camera of its own, as CAMERA
    "media.navigator.permission.disabled": True,
    "datareporting.policy.dataSubmissionEnabled": False,
}


_NO_SANDBOX = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}  # containers have none; the pages are our own


class NoBrowser(Exception):
    """A browser, or its driver, is not installed."""


class Browser:
    """A session of a WebDriver: https://www.w3.org/TR/webdriver2/. :meth:`devtools` is Chromium's."""

    def __init__(self, address, wanted):
        self._at = address
        self._at += "/session/" + self._ask("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self._at + path, data), timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        """Go to a page."""
        self._ask("/url", {"url": url})

    def run(self, script, *arguments):
        """What a script returns; a promise is waited for."""
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        """A command of the Chrome DevTools Protocol."""
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def choose(self, selector, path):
        """Give a file to an ``<input type="file">``."""
        (element,) = self._ask("/element", {"using": "css selector", "value": selector}).values()
        self._ask(f"/element/{element}/value", {"text": str(path)})

    def press(self, *keys):
        """Press keys one after the other, whatever has the focus; those of :data:`KEYS` by name."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def tap(self, name):
        """Touch the middle of the element with this id."""
        place = "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
        x, y = self.run(f"const e = document.getElementById(arguments[0]); e.scrollIntoView(); {place}", name)
        self.devtools("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.devtools("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def until(self, condition, seconds=30):
        """Wait for an expression to hold; AssertionError if it does not in that time."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)

    def screenshot(self, path):
        """Write what is in view as a PNG."""
        path.write_bytes(base64.b64decode(self._ask("/screenshot")))

    def close(self):
        """End the session."""
        with urllib.request.urlopen(urllib.request.Request(self._at, method="DELETE"), timeout=60):
            pass


class Firefox(Browser):
    """Firefox by Marionette, the protocol that its WebDriver translates to; without :meth:`devtools`."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream, self._count = self._socket.makefile("rb"), 0
        self._receive()  # its greeting
        self._command("NewSession", {})

    def _receive(self):
        length = b"".join(iter(lambda: self._stream.read(1), b":"))
        return json.loads(self._stream.read(int(length)))

    def _command(self, name, parameters):
        self._count += 1
        text = json.dumps([0, self._count, f"WebDriver:{name}", parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{error['error']}: {error['message']}")
        return result.get("value") if isinstance(result, dict) else result

    def _ask(self, path, body=None):
        if path.endswith("/value"):
            return self._command("ElementSendKeys", {"id": path.split("/")[2], **body})
        names = {"/url": "Navigate", "/execute/sync": "ExecuteScript", "/element": "FindElement"}
        names |= {"/actions": "PerformActions", "/screenshot": "TakeScreenshot"}
        return self._command(names[path], body or {})

    def close(self):
        """End the session."""
        self._socket.close()


@contextlib.contextmanager
def firefox():
    """A :class:`Firefox` that has a camera; NoBrowser where it is not installed."""
    program = shutil.which("firefox") or shutil.which("firefox-esr")
    if program is None:
        raise NoBrowser("no Firefox; apt-get install firefox-esr")
    with tempfile.TemporaryDirectory() as folder:
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items())
        Path(folder, "user.js").write_text("".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port, end = Path(folder, "MarionetteActivePort"), time.monotonic() + 120
            while not (port.exists() and port.read_text()):
                assert process.poll() is None and time.monotonic() < end, "Firefox does not start"
                time.sleep(0.1)
            browser = Firefox(int(port.read_text()))
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def chromium(*options):
    """A :class:`Browser` with these options; NoBrowser where chromedriver or Chromium is not installed."""
    driver = shutil.which("chromedriver")
    if driver is None or not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        raise NoBrowser("no Chromium; apt-get install chromium chromium-driver")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = next(line for line in process.stdout if "started successfully on port" in line)
        port = int(line.rstrip().rstrip(".").rsplit(" ", 1)[1])
        options = {"args": ["--headless=new", "--no-sandbox", "--window-size=1100,800", *options]}
        browser = Browser(f"http://127.0.0.1:{port}", {"browserName": "chrome", "goog:chromeOptions": options})
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def webkit():
    """A :class:`Browser` on WebKitGTK, of the engine of Safari; NoBrowser where it, or Xvfb, is not installed."""
    driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    programs = sorted(Path("/usr/lib").glob("*/webkit2gtk-4*/MiniBrowser"))
    if driver is None or screen is None or not programs:
        raise NoBrowser("no WebKit; apt-get install webkit2gtk-driver xvfb")
    # It has no headless mode: the screen is one in memory, whose number Xvfb writes.
    shown = subprocess.Popen([screen, "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process = None
    try:
        display = {"DISPLAY": f":{shown.stdout.readline().strip()}", "GDK_BACKEND": "x11"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen([driver, f"--port={port}"], env=os.environ | display | _NO_SANDBOX)
        end = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < end, "WebKitWebDriver does not start"
            time.sleep(0.1)
        options = {"binary": str(programs[-1]), "args": ["--automation"]}
        browser = Browser(
            f"http://127.0.0.1:{port}", {"browserName": "MiniBrowser", "webkitgtk:browserOptions": options}
        )
        try:
            yield browser
        finally:
            browser.close()
    finally:
        for started in filter(None, (process, shown)):
            started.terminate()
            started.wait(10)


def _answers(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder at ``url``, as ``python -m http.server``; ``served`` counts bytes, ``{path: bytes}``."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.served = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        """Stop serving."""
        self.shutdown()
        self.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, output):
        content = source.read()
        self.server.served[self.path] = self.server.served.get(self.path, 0) + len(content)
        output.write(content)

    def log_message(self, *arguments):
        pass
