"""A headless Chromium that is driven over WebDriver's own protocol: no further package."""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request

import pytest


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
        self._ask("/url", {"url": url})

    def run(self, script, *arguments):
        """What a script returns; a promise is waited for."""
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def choose(self, selector, path):
        """Give a file to an <input type="file">."""
        (element,) = self._ask("/element", {"using": "css selector", "value": selector}).values()
        self._ask(f"/element/{element}/value", {"text": str(path)})

    def until(self, condition, seconds=30):
        """Wait for an expression to hold."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._ask("/screenshot")))

    def close(self):
        with urllib.request.urlopen(urllib.request.Request(self._at, method="DELETE"), timeout=60):
            pass


@contextlib.contextmanager
def chromium():
    """A :class:`Browser`; skips where chromedriver or Chromium is not installed."""
    driver = shutil.which("chromedriver")
    if driver is None or not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium; apt-get install chromium chromium-driver")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = next(line for line in process.stdout if "started successfully on port" in line)
        found = Browser(f"http://127.0.0.1:{int(line.rstrip().rstrip('.').rsplit(' ', 1)[1])}")
        yield found
        found.close()
    finally:
        process.terminate()
        process.wait(10)
