"""Files appear whole or not at all, under any name, whoever else writes."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfssl.errors import ConfigError
from tfssl.files import cell, locked, printable, read_table, write_text, writing


def test_a_name_of_the_longest_kind(tmp_path):
    for name in ("n" * 251 + ".png", "ä" * 127, "n." + "s" * 253):
        write_text(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a.txt", "w") as file:
        file.write("new")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("tfssl.files.secrets.token_hex", lambda n: "known")
    target = tmp_path / "target"
    target.write_text("precious")
    with writing(tmp_path / "probe") as file:
        (name,) = [n for n in os.listdir(tmp_path) if n.startswith(".")]
        file.write(b"x")
    (tmp_path / name.replace("probe", "")).symlink_to(target)
    with pytest.raises(OSError):
        write_text(tmp_path / "probe", "overwritten")
    assert target.read_text() == "precious"


def test_errors_name_the_file_that_was_wanted(tmp_path):
    with pytest.raises(OSError, match=r"out\.bin") as caught, writing(tmp_path / "out.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"ddd"), writing(tmp_path / ("d" * 300) / "out.bin"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="locks of fcntl")
def test_what_a_killed_process_left_is_removed_but_not_what_a_living_one_writes(tmp_path):
    code = (
        "import sys, time; from tfssl.files import writing\n"
        "with writing(sys.argv[1], 'w') as file: file.write('half'); file.flush(); time.sleep(60)"
    )
    living, killed = (subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.txt")]) for _ in range(2))
    try:
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        for file in tmp_path.iterdir():
            os.utime(file, (0, 0))
        write_text(tmp_path / "a.txt", "whole")
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        for process in (living, killed):
            process.kill()
            process.wait()
    for file in tmp_path.glob(".*"):
        os.utime(file, (0, 0))
    write_text(tmp_path / "a.txt", "again")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("content", "wanted", "damaged"),
    [
        (b"", 0, 0),
        (b"\0\0\0\0", 0, 1),
        (b"\0\0,\0\n1,0.5\n2,0.4\n", 0, 1),
        (b"epoch,loss\n1,0.5\n2,0.4\n", 2, 0),
        (b"epoch,loss\n1,0.5\n2", 1, 1),
        (b"epoch,loss\n1,0.5\n\0\0\0\0\n3,0.3\n", 2, 1),
        (b"epoch,loss\n1,0.5,7\n2,\xff\n", 1, 1),
        (b'epoch,loss\n1,0.5\n2,"0.4', 2, 0),
        (b"epoch,loss\n1," + b"x" * 200_000 + b"\n2,0.4\n", 1, 1),
    ],
)
def test_damaged_tables_give_their_whole_rows(tmp_path, caplog, content, wanted, damaged):
    (tmp_path / "history.csv").write_bytes(content)
    for _ in range(2):
        rows = read_table(tmp_path / "history.csv")
    assert len(rows) == wanted and all(set(row) == {"epoch", "loss"} for row in rows)
    told = [record.getMessage() for record in caplog.records]
    assert told == ([f"{tmp_path / 'history.csv'}: 1 damaged line is left out"] if damaged else [])
    assert read_table(tmp_path / "gone.csv") == []


def test_printable_names():
    assert printable("Müll 写真 🦊 a\\b.jpg") == "Müll 写真 🦊 a\\b.jpg"
    assert printable(Path("a\x1b[2J\r\nb\u202e\udcff")) == r"a\x1b[2J\r\nb\u202e\udcff"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "-2+3"])
def test_cells_are_no_formulas(text):
    assert cell(text) == cell(cell(text)) == f"'{text}"


def test_numbers_stay_cells():
    assert [cell(value) for value in (-1.5, "-1.5", "+3e-05", "-inf", "a=b", None)] == [
        *(-1.5, "-1.5", "+3e-05", "-inf", "a=b", None)
    ]


def test_the_first_of_two_writers_keeps_the_file(tmp_path, monkeypatch):
    for links in (True, False):
        if not links:
            monkeypatch.setattr(os, "link", raise_permission)
        path = tmp_path / f"{links}.txt"
        with writing(path, "w", replace=False) as file:
            file.write("first")
        with pytest.raises(FileExistsError, match="txt"), writing(path, "w", replace=False) as file:
            file.write("second")
        assert path.read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 2


def raise_permission(*paths):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "new"
    words = rf"`out` is in use by process {os.getpid()} on \S+; wait for it or choose another"
    with locked(folder, "`out`"), pytest.raises(ConfigError, match=words), locked(folder, "`out`"):
        pass
    with locked(folder, "`out`"):
        folder.joinpath(".lock").unlink()
        folder.rmdir()  # a holder may remove its folder
    with locked(folder, "`out`"):
        pass
    assert not list(folder.iterdir())
