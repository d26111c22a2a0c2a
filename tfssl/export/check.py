"""``tfssl check-export``: load an export as a server or a phone would, run it, and say in words what holds.

Run it in a fresh process (``python -m tfssl.export.check DIR``): nothing that made the export can help it there.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tfssl.errors import ModelError, TfsslError


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, and whether it holds."""

    passed: bool
    text: str

    def __str__(self):
        return f"{'ok    ' if self.passed else 'FAILED'}  {self.text}"


def check_export(folder):
    """Check everything an export folder holds.

    - The files are those that export.json lists, byte for byte.
    - The SavedModel holds only TensorFlow core operators; a graph-mode loader finds its variables; each signature
      runs on photographs of differing sizes and formats and agrees with the Keras model rebuilt from the files.
    - The warm-up requests parse and run; model.config parses as the server's configuration message.
    - Each .tflite holds only builtin operators, runs in LiteRT and agrees with the Keras model.

    Args:
        folder: folder written by ``tfssl export``.

    Returns:
        List of :class:`Finding`, passes and failures; a step that cannot be taken is a failure.

    Raises:
        ModelError: if the folder has no readable export.json.
    """
    from tfssl.export.check_savedmodel import savedmodel_steps
    from tfssl.export.check_tflite import tflite_steps
    from tfssl.export.folder import read_report

    folder = Path(folder).expanduser()
    report = read_report(folder)
    findings = list(_attempt("files", lambda: _check_files(folder, report)))
    steps = []
    if "savedmodel" in report:
        steps += savedmodel_steps(folder, report)
    if report.get("tflite"):
        steps += tflite_steps(folder, report)
    if not steps:
        findings.append(Finding(False, "export.json lists neither a SavedModel nor a .tflite file"))
    for name, step in steps:
        findings += _attempt(name, step)
    return findings


def _attempt(name, step):
    """Run a step that returns lines of text; an error becomes a failure in one line."""
    try:
        return [Finding(True, f"{name}: {text}") for text in step()]
    except Exception as error:  # whatever a damaged file makes of a loader is a finding, never a traceback
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return [Finding(False, f"{name}: {reason}")]


def _check_files(folder, report):
    from tfssl.export.folder import sha256

    missing = [name for name in report["files"] if not (folder / name).is_file()]
    changed = [
        name
        for name, entry in report["files"].items()
        if name not in missing and sha256(folder / name) != entry["sha256"]
    ]
    if missing or changed:
        parts = [("missing", missing), ("changed since the export", changed)]
        raise ModelError("; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names))
    size = sum(entry["bytes"] for entry in report["files"].values())
    yield f"all {len(report['files'])} are there and unchanged ({size / 1e6:.2f} MB)"


def _start_tensorflow():
    from tfssl.quiet import quiet_stderr

    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
    # The graph-mode loader is deprecated in Python; it is used here because it is what a C++ server does.
    tf.get_logger().setLevel("ERROR")


def main(arguments=None):
    """Check one folder, print the findings. Exit status 0: all passed, 1: something failed, 2: no export."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m tfssl.export.check DIR", file=sys.stderr)
        return 2
    _start_tensorflow()
    try:
        findings = check_export(arguments[0])
    except TfsslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    failed = sum(not finding.passed for finding in findings)
    print(f"{arguments[0]}: {len(findings) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
