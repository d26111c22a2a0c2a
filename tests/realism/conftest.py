"""Simulated sessions, and a browser for real ones."""

import numpy as np
import pytest
from PIL import Image

from tfssl.realism.answers import Protocol, Session, Trial
from tools.browser import NoBrowser, chromium


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


@pytest.fixture(scope="module")
def browser():
    """A :class:`tools.browser.Browser`; skips where chromedriver or Chromium is not installed."""
    try:
        with chromium() as found:
            yield found
    except NoBrowser as error:
        pytest.skip(str(error))
