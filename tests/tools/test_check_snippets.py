"""Snippets of the documents become programs whose errors are found where they stand."""

import json
import subprocess
import sys

import pytest

from tools.check_snippets import ROOT, SETTINGS, program

TEXT = """# Title

```python
image = tfssl.colorize("a.jpg")
```

words

```sh
tfssl methods
```

```python
tfssl.colorise("a.jpg")
image.width.upper()
```
"""


def test_lines_stay_where_they_are():
    code, text = program(TEXT).splitlines(), TEXT.splitlines()
    assert code[0] == "import tfssl" and "tfssl methods" not in code
    assert [line for line in code[1:] if line] == [text[3], text[13], text[14]]
    assert code[13] == text[13]


def test_a_misspelt_name_and_a_wrong_type_are_errors(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "snippet.py").write_text(program(TEXT))
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({**SETTINGS, "extraPaths": [str(ROOT)]}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    found = [one["range"]["start"]["line"] for one in json.loads(done.stdout)["generalDiagnostics"]]
    assert found == [13, 14]
