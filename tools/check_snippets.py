"""Type-check the Python of README.md and docs/: what a reader types has to be what an editor offers.

    python tools/check_snippets.py         exit 1, naming document and line, if a snippet is wrong

The snippets of a document are one program, in their order.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SETTINGS = {"typeCheckingMode": "standard", "reportMissingImports": "none", "reportMissingModuleSource": "none"}
SETTINGS["reportUndefinedVariable"] = "none"  # documents write `images` for the reader's own


def program(text):
    """The Python of a Markdown text, every line where it stands in it."""
    lines = ["import tfssl", *[""] * text.count("\n")]  # the first line of a document is its title
    for match in SNIPPET.finditer(text):
        first = text.count("\n", 0, match.start(1))
        code = match[1].splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for document in documents:
            text = document.read_text(encoding="utf-8")
            if SNIPPET.search(text):
                file = Path(folder) / f"{document.stem}_{len(files)}.py"
                file.write_text(program(text), encoding="utf-8")
                files[str(file)] = document.relative_to(ROOT)
        settings = Path(folder) / "pyrightconfig.json"
        settings.write_text(json.dumps({**SETTINGS, "include": [folder], "extraPaths": [str(ROOT)]}), encoding="utf-8")
        command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", settings]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.exit(done.stdout + done.stderr)
    errors = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    errors = [one for one in errors if "_pb2" not in one["message"]]  # protobuf makes their classes when imported
    for error in errors:
        line = error["range"]["start"]["line"] + 1
        print(f"{files.get(error['file'], error['file'])}:{line}: {error['message']}", file=sys.stderr)
    print(f"snippets of {len(files)} documents, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
