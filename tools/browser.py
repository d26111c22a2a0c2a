"""A headless Chromium that is driven over WebDriver's own protocol, and a server for its pages: no further package.

For tests, benchmarks and the pictures of pages in the documents.
"""

import base64
import contextlib
import functools
import http.server
import json
import shutil
import subprocess
import threading
import time
import urllib.request

KEYS = {"Enter": "\ue007", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Tab": "\ue004"}
"""WebDriver's codes of keys without a character."""


class NoBrowser(Exception):
    """chromedriver or Chromium is not installed."""


class Browser:
    """A session of chromedriver: https://www.w3.org/TR/webdriver2/."""

    def __init__(self, address):
        options = {"args": ["--headless=new", "--no-sandbox", "--window-size=1100,800"]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._at = address
        self._at += "/session/" + self._ask("/session", wanted)["sessionId"]

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


@contextlib.contextmanager
def chromium():
    """A :class:`Browser`; NoBrowser where chromedriver or Chromium is not installed."""
    driver = shutil.which("chromedriver")
    if driver is None or not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        raise NoBrowser("no Chromium; apt-get install chromium chromium-driver")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = next(line for line in process.stdout if "started successfully on port" in line)
        browser = Browser(f"http://127.0.0.1:{int(line.rstrip().rstrip('.').rsplit(' ', 1)[1])}")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.wait(10)


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
