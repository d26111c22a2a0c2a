"""Tables of names: written empty, read as people fill them in, counted where they agree."""

import csv

import numpy as np
import pytest

from tfssl.errors import SourceError
from tfssl.visualization.naming import count_named, read_names
from tfssl.visualization.units import units

from .conftest import small_encoder


def test_agreement_of_people(tmp_path):
    written = [{3: "Sky", 5: " a  dog"}, {3: "sky", 5: "cat", 7: "baby"}, {3: "sea", 5: "A dog"}]
    paths = []
    for number, names in enumerate(written):
        paths.append(tmp_path / f"{number}.csv")
        with open(paths[-1], "w", newline="") as file:
            rows = [("unit", "concept", "images"), *((unit, name, "") for unit, name in names.items()), (9, "", "")]
            csv.writer(file).writerows(rows)
    tables = [read_names(path) for path in paths]
    assert tables[0] == {3: "sky", 5: "a dog"}
    assert count_named(tables) == 2, "two of three say sky and dog; one alone says baby"
    assert count_named(tables[:1]) == 2 and count_named([]) == 0
    for text in ("unit,name\n1,a\n", "unit,concept\nx,a\n"):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(SourceError, match=r"`names`: .* is no table"):
            read_names(tmp_path / "bad.csv")


def test_all_units_of_a_layer(tmp_path):
    """More than fit on one sheet: several, one table, and what was filled in is counted."""
    images = list(np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8))
    network = small_encoder()
    taps = {name: tensor.shape[-1] for name, tensor in network.output.items()}
    tap = max(taps, key=taps.get)
    options = {"tap": tap, "image_size": 16, "top": 3, "shown": 256, "fields": 0}
    found = units({"network": network}, images, out=tmp_path, **options)["network"]
    with open(tmp_path / "names-network.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    live = found["units"] - found["dead_units"]
    assert len(rows) == live and all(len(row["images"].split("; ")) == 3 and not row["concept"] for row in rows)
    with open(tmp_path / "mine.csv", "w", newline="") as file:
        csv.writer(file).writerows([("unit", "concept"), (rows[0]["unit"], "edge")])
    named = units({"network": network}, images, out=tmp_path, names=str(tmp_path / "mine.csv"), **options)
    assert named["network"]["named"] == 1
