"""Progress bars: what they say whatever is noted beside them."""

import io
import re

import pytest

from tfssl.files import printable
from tfssl.training.progress import CountProgress, Reporter


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def last_line(terminal):
    shown = terminal.getvalue().rstrip().splitlines()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[-2] if not shown[-1].strip("\x1b[?25hl ") else shown[-1])


NAMES = ["a" * 300 + ".jpg", "日本語" * 50, "[bold]x[/bold].jpg", "no end [/red].jpg", "two\nlines", "\x1b[2Jcleared"]


@pytest.mark.parametrize("name", NAMES)
def test_names_leave_count_and_time_where_they_are(terminal, name):
    with CountProgress("images", terminal) as progress:
        progress(7, 3000, name)
    line = last_line(terminal)
    assert "7/3000" in line and re.search(r"[\d-]:[\d-]{2}", line) and "images/s" in line
    if len(name) < 40:
        assert printable(name) in line
    assert "\x1b[2J" not in terminal.getvalue()


def test_a_run_shows_step_and_time_in_a_narrow_terminal(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    reporter = Reporter(terminal)
    reporter.start(step=0, total=20_000)
    reporter.update(step=150, total=20_000, loss=1.25, images_per_second=1e5, wait_fraction=0.25, left=60)
    reporter.stop()
    assert "150/20000" in (line := last_line(terminal)) and re.search(r"[\d-]:[\d-]{2}", line) and "loss" in line
