"""Simulated sessions, and a headless Chromium that is driven over WebDriver's own protocol: no further package."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tfssl.realism.answers import Protocol, Session, Trial


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of 12 colorful images of 256 x 300 pixels: smooth random fields."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(12):
        small = rng.integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(small).resize((300, 256), Image.Resampling.BICUBIC).save(folder / f"photo{number:02}.png")
    return folder


def simulated(participant, algorithm, answers, *, checks=(True,) * 4, sides=None, study="s"):
    """The session of a rater: ``answers`` says which of the 40 pairs fooled, ``checks`` which were passed."""
    protocol = Protocol(practice=1, pairs=len(answers), checks=len(checks), checks_needed=3, seconds=1.0)
    kinds = ["practice"] + ["test"] * len(answers) + ["check"] * len(checks)
    fooled = [True, *answers, *(not passed for passed in checks)]
    sides = sides if sides is not None else [number % 2 == 0 for number in range(len(kinds) - 1)]
    trials = [
        Trial(
            kind=kind,
            image=f"photo{number}",
            left_is_real=side,
            answer="left" if was == side else "right",
            reaction_ms=800 + number,
            shown_ms=[1000, 1000],
        )
        for number, (kind, was, side) in enumerate(zip(kinds, fooled, [True, *sides], strict=True))
    ]
    return Session(
        format="tfssl realism-test 1",
        study=study,
        protocol=protocol,
        participant=participant,
        algorithm=algorithm,
        started="2026-01-01T10:00:00Z",
        finished="2026-01-01T10:05:00Z",
        screen=[1280, 800],
        trials=trials,
    )


@pytest.fixture(name="simulated", scope="session")
def _simulated():
    return simulated


KEYS = {"Enter": "\ue007", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Tab": "\ue004"}


class Browser:
    """A session of chromedriver: https://www.w3.org/TR/webdriver2/."""

    def __init__(self, address):
        options = {"args": ["--headless=new", "--no-sandbox", "--window-size=1100,800"]}
        self._at = address
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._at += "/session/" + self._ask("/session", wanted)["sessionId"]

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self._at + path, data), timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self._ask("/url", {"url": url})

    def run(self, script, *arguments):
        """What a script returns."""
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def press(self, *keys):
        """Press keys one after the other, whatever has the focus."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def tap(self, name):
        """Touch the middle of the element with this id."""
        place = "const r = $(arguments[0]).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
        x, y = self.run(f"$(arguments[0]).scrollIntoView(); {place}", name)
        self.devtools("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.devtools("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def until(self, condition, seconds=20):
        """Wait for an expression to hold."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)

    def close(self):
        request = urllib.request.Request(self._at, method="DELETE")
        with urllib.request.urlopen(request, timeout=60):
            pass


@pytest.fixture(scope="module")
def browser():
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
