"""The generated tables: filled from results, and those in the documents up to date."""

import json

import pytest

from tools.make_tables import TableError, fill, main, markdown

RECORD = {
    "machine": {"cpu": "Some CPU", "cores": 2, "instruction_sets": ["avx2"], "memory_gib": 23.5},
    "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    "comparisons": [
        {"what": "Encoding", "against": "a tree", "measured": 5.123, "required": 5.0, "at_most": False, "unit": "x"},
        {"what": "Memory", "against": "", "measured": 0.8, "required": 1.2, "at_most": True, "unit": " GB"},
    ],
}


@pytest.fixture
def checkout(tmp_path):
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    (results / "one.json").write_text(json.dumps(RECORD))
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("Before\n<!-- table:speed -->\nold\n<!-- end -->\nAfter\n")
    return tmp_path


def test_documents_of_the_checkout_are_up_to_date(root):
    assert main(["--check", "--root", str(root)]) == 0


def test_block_is_filled_and_stays(checkout, capsys):
    assert main(["--check", "--root", str(checkout)]) == 1
    assert "make tables" in capsys.readouterr().err
    assert main(["--root", str(checkout)]) == 0
    text = (checkout / "README.md").read_text()
    assert text.startswith("Before\n<!-- table:speed -->\n| What |")
    assert text.endswith("<!-- end -->\nAfter\n")
    assert "| Encoding | a tree | 5.12x | at least 5x |" in text
    assert "| Memory |  | 0.8 GB | at most 1.2 GB |" in text
    assert "2 cores of Some CPU" in text
    assert main(["--check", "--root", str(checkout)]) == 0


def test_a_changed_result_is_noticed(checkout):
    main(["--root", str(checkout)])
    changed = {**RECORD, "comparisons": [{**RECORD["comparisons"][0], "measured": 6.0}]}
    (checkout / "benchmarks" / "results" / "one.json").write_text(json.dumps(changed))
    assert main(["--check", "--root", str(checkout)]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!-- table:sped -->\n<!-- end -->", "no table 'sped'"),
        ("<!-- table:speed -->\n", "has no"),
        ("<!-- table:colorizer -->\n<!-- end -->", "MANIFEST.json is missing"),
    ],
)
def test_wrong_blocks_are_named(checkout, text, words):
    with pytest.raises(TableError, match=words):
        fill(text, checkout)


def test_colorizer_table_stands_beside_gray(checkout):
    from tools.color_tables import _QUALITY

    folder = checkout / "savedmodels" / "colorizer"
    folder.mkdir(parents=True)
    metrics = {"temperature": 0.5, "images": 500, "pixels": 12345, "bins": 99}
    metrics |= {prefix + key: 0.5 for _, key, _ in _QUALITY for prefix in ("", "gray_")}
    manifest = {"metrics": {"nature": metrics | {"auc_raw": 0.8975}, "varied": metrics | {"images": 200}}}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    text = fill("<!-- table:colorizer -->\n<!-- end -->", checkout)
    assert "| Gray, nature | Ours, nature | Gray, varied | Ours, varied |" in text
    assert "| AuC, raw (%) | 50 | 89.8 | 50 | 50 |" in text
    assert "T = 0.5; nature: 500 photographs, 12,345 pixels in 99 bins; varied: 200 photographs" in text


def test_numbers_are_aligned_right():
    assert markdown(["a", "b"], [("x", 1234567), ("y", 2)]).splitlines()[1:3] == ["| --- | ---: |", "| x | 1,234,567 |"]


def test_methods_table_lists_every_method_with_its_page(checkout):
    import tfssl.methods

    text = fill("<!-- table:methods -->\n<!-- end -->", checkout)
    assert all(f"| [`{name}`](docs/{name}.md) |" in text for name in tfssl.methods.names())
