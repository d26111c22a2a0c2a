"""Progress lines hold names of files: they are shown, not obeyed, and leave room for the numbers."""

import io
import re

from tfssl.training.progress import CountProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_names_are_no_markup_and_leave_room_for_the_count(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with CountProgress("images", stream) as progress:
        progress(3, 10, "[/red] \n" + "long" * 100)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).splitlines()[-1]
    assert "3/10" in text and "[/red] \\n" in text and len(text) <= 80
