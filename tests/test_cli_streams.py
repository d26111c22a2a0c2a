"""Closed streams, readers that leave, full disks and names that steer terminals: as seen from a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfssl.cli import main

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


def shell(line, cwd, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TFSSL": f"{sys.executable} -m tfssl"}
    return subprocess.run(
        ["bash", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True, check=False, **options
    )


def test_closed_streams_end_nothing(tmp_path):
    for line, code, out in (
        ("$TFSSL methods 2>&-", 0, "jigsaw"),
        ("$TFSSL methods >&-", 0, ""),
        ("$TFSSL nonsense 2>&-", 2, ""),
        ("$TFSSL methods </dev/null | head -1; exit ${PIPESTATUS[0]}", 0, "method "),
    ):
        done = shell(line, tmp_path)
        assert (done.returncode, done.stderr) == (code, ""), line
        assert out in done.stdout


def test_a_reader_of_stderr_that_leaves_ends_nothing(tmp_path):
    """What fails is told many times, to nobody; the last line on stdout comes nevertheless."""
    line = (
        f"{sys.executable} -c 'import sys; from tfssl.cli.streams import open_streams; open_streams()\n"
        'for n in range(9999): print(n, file=sys.stderr)\nprint("end")\' 2> >(head -1 >&2)'
    )
    assert shell(line, tmp_path).stdout == "end\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path):
    done = shell("$TFSSL methods >/dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, "tfssl: No space left on device: standard output\n")


@pytest.mark.parametrize("name", ["a\x1b[31m.jpg", "b\nc.jpg", "d\udcff.jpg"])
def test_names_do_not_steer_the_terminal(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["colorize", name, "--out", "y"])
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.isascii() and "\x1b" not in error and "\\" in error


INTERRUPTED = """
import os, signal, sys, threading, time
import tfssl.cli
from tfssl.interrupts import check_interrupted

class Destructor:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)

def lose_in_destructor():
    Destructor()
    for _ in range(1000):
        time.sleep(0.01)

def lose_in_bare_except():
    try:
        signal.raise_signal(signal.SIGINT)
    except:
        pass

def terminate():
    signal.raise_signal(signal.SIGTERM)

tfssl.cli.app.__class__.__call__ = lambda app, args, **options: globals()[sys.argv[1]]()
tfssl.cli.main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    "how, command, code, message",
    [
        ("lose_in_destructor", "train", 130, "interrupted; the same command goes on from the last checkpoint"),
        ("lose_in_bare_except", "colorize", 130, "interrupted; what is written is whole"),
        ("terminate", "evaluate", 143, "ended by SIGTERM; the same command begins anew"),
    ],
)
def test_signals_are_never_lost(how, command, code, message, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [sys.executable, "-c", INTERRUPTED, how, command]
    done = subprocess.run(started, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.startswith(f"tfssl: {message}") and done.stderr.count("\n") == 1
