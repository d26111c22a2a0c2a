"""The command line's words: help, options that are not there, values that cannot be. No TensorFlow is started."""

import json
import os
import subprocess
import sys
import types
from configparser import ConfigParser
from pathlib import Path

import pytest

from tfssl import __main__
from tfssl.cli import main
from tfssl.errors import counted

ROOT = Path(__file__).resolve().parent.parent


COMMANDS = (
    "methods", "train", "evaluate", "discover", "colorize", "inpaint", "synthesize", "prior", "group", "visualize",
    "report", "export", "check-export", "prepare shards", "prepare hha", "realism-test make", "realism-test score",
)  # fmt: skip


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code


def test_help_of_every_command_has_an_example(capsys):
    assert call("--help") == 0
    listing = capsys.readouterr().out
    for command in COMMANDS:
        assert command.split()[0] in listing
        assert call(*command.split(), "--help") == 0
        text = capsys.readouterr().out
        # Each example is a line of its own, to be copied; a word that may be repeated has one row of dots.
        assert all(line.count("Example: ") == line.startswith("  Example: tfssl") for line in text.splitlines())
        assert f"Example: tfssl {command}" in text and "...}" not in text and "...]" not in text


def test_help_lists_what_a_newcomer_wants_first(capsys):
    assert call("--help") == 0
    assert capsys.readouterr().out.split("Commands:")[1].split()[0] == "colorize"


# Answered before TensorFlow starts: it takes seconds.
QUICK = {
    "--version": "tfssl 0.",
    "--help": "Learn to see without labels",
    "evaluate --help": "Example: tfssl evaluate",
    "methods": "Zhang, Isola, Efros",
}
WRONG = {
    "colorise": "Did you mean 'colorize'? (see tfssl --help)",
    "train": "Missing argument 'CONFIG' (see tfssl train --help)",
    "train colorization/cup": "shipped ones: ",
    "train colorization/cpu bach_size=4": "did you mean `batch_size`",
    "train colorization/cpu --bach-size 4": "did you mean `batch_size`",
    "train colorization/cpu --batch-size": "`--batch-size` needs a value",
    "train colorization/cpu batch_size=0": "Received: batch_size=0",
    "train colorization/cpu objective=rebalnced": "did you mean `rebalanced`",
    "train colorization/cpu --data /no/such/folder": "/no/such/folder",
    "train colorization/cpu validation=/no/such/folder": "/no/such/folder",
    "evaluate no-such-run": "no model 'no-such-run'",
    "evaluate colorizer --data /no/such/folder": "/no/such/folder",
    "evaluate colorizer --limt 3": "did you mean `limit`",
    "evaluate colorizer --limit": "`--limit` needs a value",
    "evaluate colorizer --semantic --limt 3": "did you mean `limit`",
    "evaluate --data /no/such/folder colorizer --semantic": "/no/such/folder",
    "evaluate colorizer semantic=3": "`semantic` must be true or false",
    "evaluate colorizer limit=x": "`limit` must be a number. Received: limit='x'",
    "evaluate random:small --task knn --side 64": "it is now called `image_size`",
    "evaluate random:small --task knnn": "did you mean `knn`",
    "evaluate random:small --task knn pol=2": "did you mean `pool`",
    "evaluate no-such-run --task knn": "no model 'no-such-run'",
    "export no-such-run --out x": "no-such-run",
    "export colorizer --out x --format tflit": "did you mean `tflite`",
    "export colorizer --out x --quantize int8": "known: none, float16",
    "discover no-such-run --data builtin --out x": "no-such-run",
    "discover --data builtin --out x": "`RUN` is missing: constellations need a run",
    "discover --how contxt --data builtin --out x": "did you mean `context`",
    "discover mine --how context --data builtin --out x": "`--how context` uses no network; leave out 'mine'",
    "discover --how context --data builtin --out x --top 5": "`--top` is an option of --how constellations",
    "discover mine --data builtin --out x --rounds 5": "`--rounds` is an option of --how context",
    "discover --how context --data builtin --out x --set-size 8": "`set_size` must be at most 7",
    "visualize random:small filtres --out x": "did you mean `filters`",
    "visualize random:small units --out x --data builtin limt=2": "did you mean `limit`",
    "visualize random:small units --out x": "`data` is missing",
    "report no-such-run --out x": "no-such-run",
    "colorize x.jpg": "Missing option '--out' (see tfssl colorize --help)",
    "colorize --colour": "No such option: --colour",
    "prepare shard": "(see tfssl prepare --help)",
    "colorize /no/such/folder --out y": "/no/such/folder",
    "colorize /dev --out y --temperature 3": "--temperature",
    "colorize /dev --out y --strength -1": "`--strength` must be a number in [0, 2]",
    "colorize /dev --out y --variants 9": "`--variants` must be a whole number from 0 to 8",
    "colorize /dev --out y --hints x.json": "`hints` 'x.json' is no readable JSON file",
    "colorize /dev --out y --hints x.txt": "`hints` must be a .json file or a folder",
    "colorize /dev --out y --format gif": "known: jpg, png",
    "colorize /dev --out y --format jpeg": "did you mean `jpg`",
    "colorize /dev --out y --model no-such-run": "no-such-run",
    "colorize /dev --out /dev/null": "`--out` must be a folder",
    "colorize /dev --out /dev/null/y": "`--out` must be a folder",
    "colorize builtin --out y": "no folder, file or matching glob. Received: IN='builtin'",
    "colorize tfds:mnist:train --out y": "IN='tfds:mnist:train'",
    "colorize  --out y": "IN",
    "inpaint /dev --out y --model colorizer": "give a context_encoder model",
    "colorize a.mp4 --out b.mp4 --variants 2": "`--variants` is of images, not of films; leave it out for 'b.mp4'",
    "colorize a.mp4 --out b.mp4 --format png": "`--format` is of images, not of films",
    "synthesize /no/such/file --out x": "IN='/no/such/file'",
    "synthesize /dev/null --out x --task textre": "did you mean `texture`",
    "synthesize /dev/null --out x --ocaves 2": "did you mean `octaves`",
    "synthesize /dev/null --out x shifts=a": "`shifts` must be whole numbers",
    "synthesize /dev/null --out x --task style": "`content` is missing: the task style",
    "synthesize /dev/null --out x --content /dev/null": "`content` is of the tasks inpaint, style, season",
    "synthesize /dev/null --out /dev/null/x": "`--out` must be a folder",
    "group /no/such/file --out x": "IN='/no/such/file'",
    "group /dev/null --out x --groups 0": "`groups` must be an integer of at least 1",
    "group /dev/null --out x --sice 9": "did you mean `size`",
    "group /dev/null --out x --model colorizer": "is a colorization model; give a co_occurrence model",
    "group /dev/null --out /dev/null/x": "`--out` must be a folder",
    "prior /no/such/folder --out x.npy": "/no/such/folder",
    "prepare shards /no/such/folder --out x": "/no/such/folder",
    "prepare hha /no/such/folder --out x --camera 500 500 320 240": "/no/such/folder",
    "prepare shards builtin --out x --shards 1000": "Received: shards=1000",
    "realism-test make /no/such/folder --out x": "/no/such/folder",
    "realism-test make builtin --out x --pairs 0": "Received: pairs=0",
    "realism-test make builtin --out x --model colorizzer": "did you mean `colorizer`",
    "realism-test score /no/such/file": "/no/such/file",
}
_WITHOUT_TENSORFLOW = """
import contextlib, io, json, sys
import tfssl.cli

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras"):
            raise AssertionError(f"imports {name}")

sys.meta_path.insert(0, Blocker())
for line in json.load(sys.stdin):
    out, err, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            tfssl.cli.main(line.split())
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            code = repr(error)
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "_Finder"]
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command answers in a process that can import neither TensorFlow nor Keras, and where it ran."""
    folder = tmp_path_factory.mktemp("empty")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    lines = [*QUICK, *WRONG]
    command = [sys.executable, "-c", _WITHOUT_TENSORFLOW]
    done = subprocess.run(
        command, input=json.dumps(lines), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(lines, map(json.loads, done.stdout.splitlines()), strict=True)), folder


@pytest.mark.parametrize("line", QUICK)
def test_what_needs_no_tensorflow_does_not_import_it(line, answers):
    code, out, _ = answers[0][line]
    assert code == 0 and QUICK[line] in out


@pytest.mark.parametrize("line", WRONG)
def test_wrong_use_is_one_line_and_exit_2_before_tensorflow_starts(line, answers):
    code, _, error = answers[0][line]
    assert code == 2 and WRONG[line] in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not list(answers[1].iterdir()), "nothing is left behind"


def test_methods_says_the_baseline_loss(answers):
    assert "4.76" in answers[0]["methods"][1]


def test_interrupted_while_it_is_imported_is_one_line_and_exit_130(monkeypatch, capsys):
    def interrupt(name):
        raise KeyboardInterrupt

    module = types.ModuleType("tfssl.cli")
    module.__getattr__ = interrupt
    monkeypatch.setitem(sys.modules, "tfssl.cli", module)
    with pytest.raises(SystemExit) as stop:
        __main__.main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "tfssl: interrupted; the same command begins anew\n"


def test_the_installed_command_begins_there():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options.entry_points"]["console_scripts"].strip() == "tfssl = tfssl.__main__:main"


def test_one_is_no_plural():
    assert [counted(number, "stereo pairs") for number in (0, 1, 2)] == [
        "0 stereo pairs",
        "1 stereo pair",
        "2 stereo pairs",
    ]
