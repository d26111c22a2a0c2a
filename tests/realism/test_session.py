"""The page in a headless Chromium, from file:// and by keyboard alone: a session, and the score of its file."""

import json
import time

import pytest

from tfssl.cli import main
from tfssl.realism.answers import read_answers
from tfssl.realism.page import write_test


@pytest.fixture(scope="module")
def page(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "page"
    recolor = {"random": None, "gray": lambda photograph: 0 * photograph.lab[..., 1:]}
    path, number, _ = write_test(photographs, recolor, out, practice=1, pairs=3, seconds=0.1)
    assert number == 12
    return path


@pytest.fixture
def opened(browser, page):
    browser.open(page.as_uri())
    browser.run("localStorage.clear()")
    browser.open(page.as_uri() + "?participant=%20Ada%20%207%20")
    return browser


def visible(browser):
    return browser.run("return sections.filter(id => !$(id).hidden)")


def test_a_session_by_keyboard_is_scored(opened, page, tmp_path, capsys):
    browser = opened
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    assert visible(browser) == ["welcome"]
    expected = browser.run("return schedule('ada 7')")
    browser.press("Tab", "Enter")  # the word came with the address
    for number, trial in enumerate(expected["trials"]):
        if number < 2:  # before the practice, and after it
            browser.until("!$('pause').hidden")
            browser.press("Enter")
        browser.until("!$('trial').hidden && $('question').hidden")
        browser.press("ArrowLeft")  # too early: not heard
        browser.until("!$('question').hidden")
        assert browser.run("return document.querySelectorAll('#frames img').length") == 0
        assert browser.run("return document.activeElement.id") == "ask"
        # Right in the practice and in the check, always fooled in the others.
        real = trial["left_is_real"] == (trial["kind"] == "test")
        browser.press("ArrowLeft" if real else "ArrowRight")
        if number == 0:
            browser.until("!$('feedback').hidden")
            assert browser.run("return $('verdict').textContent").startswith("Correct: the ")
            browser.press("Enter")
    browser.until("!$('end').hidden")
    assert browser.run("return document.activeElement.textContent") == "Thank you!"
    browser.press("Tab", "Enter")
    end = time.monotonic() + 10
    while not (files := list(tmp_path.glob("*.json"))):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    assert len(files) == 1 and files[0].name.endswith("-ada_7.json")

    (session,) = read_answers([str(tmp_path)]).sessions
    assert session.participant == "ada 7" and session.algorithm == expected["algorithm"]
    assert [(t.kind, t.image, t.left_is_real) for t in session.trials] == [
        (t["kind"], t["image"], t["left_is_real"]) for t in expected["trials"]
    ]
    assert all(ms >= 90 for trial in session.trials for ms in trial.shown_ms)
    assert not any(t.fooled for t in [*session.of("practice"), *session.of("check")])
    with pytest.raises(SystemExit) as stop:
        main(["realism-test", "score", str(files[0]), "--out", str(tmp_path / "scores")])
    assert stop.value.code == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.split()[:3] == [session.algorithm, "100.0", "%"]
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["models"][session.algorithm]["fooled"] == 1.0

    loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in loaded if not name.startswith(("file:", "blob:"))]  # nothing from a network

    browser.open(page.as_uri())  # opened again, the answers are still there
    assert visible(browser) == ["end"] and browser.run("return JSON.parse($('answers').value).participant") == "ada 7"


def test_words_of_participants_draw_models_sides_and_photographs_evenly(opened):
    drawn = opened.run("return Array.from({ length: 2000 }, (_, i) => schedule(`person ${i}`))")
    assert opened.run("return schedule('person 5')") == drawn[5]
    first = sum(session["algorithm"] == "random" for session in drawn) / 2000
    assert abs(first - 0.5) < 3 * 0.5 / 2000**0.5
    trials = [trial for session in drawn for trial in session["trials"]]
    left = sum(trial["left_is_real"] for trial in trials) / len(trials)
    assert abs(left - 0.5) < 3 * 0.5 / len(trials) ** 0.5
    shown = [trial["image"] for trial in trials if trial["kind"] == "test"]
    counts = [shown.count(image) for image in sorted(set(shown))]
    assert len(counts) == 12 - 1 - 1 and sum((n - 600) ** 2 / 600 for n in counts) < 26  # chi2 of 9, p .002
    position = [next(i for i, t in enumerate(s["trials"]) if t["kind"] == "check") for s in drawn]
    assert set(position) == {1, 2, 3, 4}


@pytest.fixture
def phone(opened):
    """Function that makes the browser a phone of so many pixels across."""

    def of(width):
        sizes = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": True}
        opened.devtools("Emulation.setDeviceMetricsOverride", **sizes)
        opened.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
        return opened

    yield of
    opened.run("removeEventListener('beforeunload', leaving)")
    opened.devtools("Emulation.clearDeviceMetricsOverride")
    opened.devtools("Emulation.setTouchEmulationEnabled", enabled=False)


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_nothing_is_wider_than_the_screen(width, phone):
    browser = phone(width)
    for section in ("welcome", "trial", "end"):
        browser.run("show(arguments[0]); $('question').hidden = $('feedback').hidden = false", section)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        sizes = browser.run(
            "return [...document.querySelectorAll('button, a.button')].filter(b => b.offsetParent)"
            ".map(b => b.getBoundingClientRect().height)"
        )
        assert sizes and min(sizes) >= 44  # a thumb


def test_a_phone_is_answered_by_touch(phone):
    browser = phone(390)
    browser.run("document.querySelector('#begin button').id = 'send'")
    browser.tap("send")
    browser.until("!$('pause').hidden")
    browser.tap("go")
    places = []
    for figure in ("first", "second"):
        browser.until(f"$('{figure}').querySelector('img')")
        places.append(
            browser.run("const r = document.querySelector('#frames img').getBoundingClientRect(); return [r.x, r.y]")
        )
    assert places[0] == places[1]  # one place for both
    browser.until("!$('question').hidden")
    real = browser.run("return schedule('ada 7').trials[0].left_is_real")
    browser.tap("right")
    browser.until("!$('feedback').hidden")
    fake = "second" if real else "first"
    said = f"{'Correct' if real else 'Not correct'}: the {fake} one is fake."
    assert browser.run("return $('verdict').textContent") == said


def test_missing_images_are_said(opened, page):
    name = opened.run("return schedule('bob').trials[0].fake")
    file = page.parent / "images" / f"{name}.png"
    moved = file.rename(file.with_suffix(".away"))
    try:
        opened.run("session('bob')")
        opened.until("$('trouble').textContent.startsWith('1 of 10 images could not be loaded')")
    finally:
        moved.rename(file)
