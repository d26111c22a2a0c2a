"""Object discovery as a whole: planted objects, purity and coverage, files, errors."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from tfssl.discovery import purity
from tfssl.discovery.discover import discover
from tfssl.discovery.embedding import BASELINES, pixel_descriptor
from tfssl.discovery.mining import Mining, mine
from tfssl.discovery.patch_index import Grid
from tfssl.errors import ConfigError, ModelError, SourceError

SIDE = 12
MINING = Mining(constellations=600, top=20, set_size=6, clusters=50)


class Pixels:
    """Stands for a trained method: what `discover` asks of one."""

    patch_size = SIDE
    area = (1, 10**9)
    embedder = None


@pytest.fixture
def pixels(monkeypatch):
    monkeypatch.setattr("tfssl.discovery.discover.embed", lambda method, model: pixel_descriptor)
    return Pixels()


def texture(rng, side):
    """Smooth noise, so that a patch moved by a few pixels still resembles itself."""
    small = Image.fromarray(rng.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def planted(objects=2, each=8, noise=10, seed=0):
    """Noise images, most with one of a few objects at a random place: images, labels, places of the objects."""
    rng = np.random.default_rng(seed)
    models = [texture(rng, 4 * SIDE) for _ in range(objects)]
    pictures, labels, places = [], [], []
    for label in [*range(objects)] * each + [-1] * noise:
        picture = texture(rng, 10 * SIDE).copy()
        left, top = (rng.integers(0, 6 * SIDE, 2) // 2 * 2).tolist()
        if label >= 0:
            picture[top : top + 4 * SIDE, left : left + 4 * SIDE] = models[label]
        pictures.append(picture)
        labels.append(label)
        places.append((left, top, left + 4 * SIDE, top + 4 * SIDE))
    return pictures, labels, places


def overlap(box, other):
    """Share of a box that lies in another."""
    sides = [min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
    return max(0, sides[0]) * max(0, sides[1]) / ((box[2] - box[0]) * (box[3] - box[1]))


@pytest.fixture(scope="module")
def mined():
    pictures, labels, places = planted()
    return mine(pictures, pixel_descriptor, Grid(SIDE, 3), MINING), labels, places


def test_planted_objects_are_found_and_nothing_else(mined):
    found, labels, places = mined
    assert {labels[cluster.seed.image] for cluster in found.clusters} == {0, 1}
    for cluster in found.clusters:
        members = cluster.members[: MINING.set_size]
        assert cluster.seed.image in cluster.images()
        assert purity.purity([labels[m.image] for m in members]) == 1.0
        assert min(overlap(m.box, places[m.image]) for m in members) > 0.5


def test_planted_objects_rank_above_noise():
    pictures, labels, _ = planted()
    found = mine(pictures, pixel_descriptor, Grid(SIDE, 3), dataclasses.replace(MINING, set_size=2))
    is_noise = [labels[cluster.seed.image] == -1 for cluster in found.clusters]
    assert any(is_noise) and not any(is_noise[:2])
    noise = max(cluster.score for cluster, n in zip(found.clusters, is_noise, strict=True) if n)
    assert noise < found.scores[0] / 2


def test_constellations_of_noise_are_verified_almost_nowhere():
    pictures, labels, _ = planted(objects=0, noise=26)
    found = mine(pictures, pixel_descriptor, Grid(SIDE, 3), MINING)
    assert set(labels) == {-1}
    assert not found.clusters
    assert np.mean(found.scores) < 2.5  # each finds itself


def test_every_constellation_finds_itself(mined):
    for cluster in mined[0].clusters:
        own = next(member for member in cluster.members if member.image == cluster.seed.image)
        assert own.error == pytest.approx(0, abs=1e-6)
        assert own.strength == pytest.approx(4, abs=0.01)
        assert own.box == pytest.approx(cluster.seed.box)


def test_the_same_seed_finds_the_same_and_another_seed_looks_elsewhere(mined):
    pictures, _, _ = planted()
    again = mine(pictures, pixel_descriptor, Grid(SIDE, 3), MINING)
    assert again.clusters == mined[0].clusters
    other = mine(pictures, pixel_descriptor, Grid(SIDE, 3), Mining(600, 20, 6, 50, seed=1))
    assert [c.seed for c in other.clusters] != [c.seed for c in again.clusters]


def test_selection_takes_what_adds_an_image_then_asks_for_two_fold_coverage():
    ranked = [{1, 2, 3}, {1, 2}, {2, 3}, {3, 4}, {1, 3}, {1, 4}]
    # One-fold: 0 covers 1 2 3, then only 3 adds image 4. Two-fold: 1 (image 1, covered once), 2 (2 is covered
    # twice by now, 3 too: refused), 4 (1 twice, 3 twice: refused), 5 (4 once: taken). Three-fold: 2, then 4 (1 and 3
    # are covered three times: refused until four-fold).
    assert purity.select_sets(ranked, 10) == [0, 3, 1, 5, 2, 4]
    assert purity.select_sets(ranked, 3) == [0, 3, 1]
    assert purity.select_sets([{1, 2}] * 3, 2) == [0, 1]
    assert purity.select_sets([], 3) == []


def test_purity_coverage_points_by_hand():
    labels = {1: "a", 2: "a", 3: "b", 4: "b"}
    for sets in ([{1, 2}, {2, 3}], [{2, 3}, {1, 2}]):
        coverage, pure = purity.purity_coverage(sets, labels, total=4)
        np.testing.assert_allclose(coverage, [0.5, 0.75])
        np.testing.assert_allclose(pure, [1.0, 0.75])
    assert purity.area_under_curve(coverage, pure) == pytest.approx(0.5 + 0.25 * 0.875)
    assert purity.area_under_curve([], []) == 0


def test_random_sets_are_alike_in_number_and_size():
    sets = purity.random_sets([[1, 2, 3], [4, 5]], np.arange(10), np.random.default_rng(0))
    assert [len(set(s)) for s in sets] == [3, 2]


@pytest.fixture
def folders(tmp_path):
    pictures, labels, _ = planted()
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        folder = tmp_path / "pictures" / f"class {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number:02d} <&>.png")
    return tmp_path / "pictures"


def test_folders_become_labels(folders):
    from tfssl.data.images import image_source
    from tfssl.data.labeled import folder_labels

    assert set(folder_labels(image_source(folders))) == {"class 0", "class 1", "class -1"}
    assert folder_labels(image_source(folders / "class 0")) is None
    assert folder_labels(image_source(np.zeros((2, 4, 4, 3), np.uint8))) is None


def test_files_of_a_discovery(pixels, folders, tmp_path):
    Image.new("RGB", (SIDE, 100)).save(folders / "class 0" / "tiny.png")
    out = tmp_path / "found"
    summary = discover(pixels, None, folders, out, mining=MINING, steps=3, baselines=["hog"], shown=2)
    written = {p.name for p in out.iterdir()}
    pages = {"clusters.json", "index.html", "numbers.json", "sheet.png"}
    assert written == pages | {"purity_coverage.csv", "purity_coverage.png"}
    assert [(n.endswith("tiny.png"), r) for n, r in summary["skipped"].items()] == [
        (True, f"{SIDE}x100 pixels hold less than 2 x 2 patches of {SIDE}")
    ]
    assert summary["images"] == 26
    assert summary["purity"] == 1.0 > summary["random_purity"]
    assert summary["coverage"] == pytest.approx(16 / 26)
    assert summary["area"] == pytest.approx(16 / 26)
    assert {"hog_area", "hog_constellations_verified"} <= set(summary)

    record = json.loads((out / "clusters.json").read_text(encoding="utf-8"))
    assert len(record["clusters"]) == summary["clusters"]
    first = record["clusters"][0]
    assert first["purity"] == 1.0
    assert first["score"] == len(first["members"])
    assert all(0 <= member["e"] < 1 for member in first["members"])
    assert first["seed"] in [{"image": m["image"], "box": m["box"]} for m in first["members"]]

    lines = (out / "purity_coverage.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "descriptor,sets,coverage,purity"
    last = [line for line in lines if line.startswith("learned,")][-1].split(",")
    assert float(last[2]) == pytest.approx(summary["coverage"], abs=1e-5)
    assert float(last[3]) == pytest.approx(summary["purity"], abs=1e-5)


def test_page_is_whole_and_needs_nothing_else(pixels, folders, tmp_path):
    discover(pixels, None, folders, tmp_path / "out", mining=MINING, steps=3, shown=2)
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall("<h2>", text)) == 2 and re.search("<h2>1. Verified in", text)
    assert all(link.startswith("data:image/") for link in re.findall(r'(?:src|href)="([^"]*)', text))
    assert "http" not in re.sub(r'src="[^"]*"', "", text)
    assert " &lt;&amp;&gt;.png" in text and "<&>" not in text


def test_without_classes_there_is_a_page_and_no_curve(pixels, tmp_path):
    pictures, _, _ = planted()
    summary = discover(pixels, None, pictures, tmp_path, mining=MINING, steps=3)
    assert {p.name for p in tmp_path.iterdir()} == {"clusters.json", "index.html", "numbers.json", "sheet.png"}
    assert "purity" not in summary and summary["clusters"] > 0


def test_the_same_discovery_writes_the_same_files(pixels, folders, tmp_path):
    for name in ("a", "b"):
        discover(pixels, None, folders, tmp_path / name, mining=MINING, steps=3, limit=20)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_progress_counts_images_then_constellations(pixels, tmp_path):
    import contextlib

    seen = []

    @contextlib.contextmanager
    def progress(unit):
        yield lambda done, total: seen.append((unit, done, total))

    discover(pixels, None, planted()[0], tmp_path, mining=MINING, steps=3, progress=progress)
    assert seen[25] == ("images", 26, 26)
    assert seen[-1] == ("constellations", 600, 600)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": ["sift"]}, "`baseline` 'sift' is unknown; known: untrained, pixels, hog"),
        ({"baselines": ["pixel"]}, "`baseline` 'pixel' is unknown; did you mean `pixels`"),
        ({"shown": 0}, "`shown` must be an integer of at least 1"),
        ({"limit": 0}, "`limit` must be an integer of at least 1"),
        ({"steps": 13}, r"`steps` must lie in \[1, 12\]"),
    ],
)
def test_options_out_of_range_are_refused(pixels, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        discover(pixels, None, planted()[0], tmp_path / "out", **{"mining": MINING, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"set_size": 1}, {"set_size": 21, "top": 20}, {"constellations": 0}, {"clusters": 0}]
)
def test_mining_refuses(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must"):
        Mining(**wrong)


def test_too_few_images_and_nothing_found(pixels, tmp_path):
    pictures, _, _ = planted(objects=0, noise=8)
    with pytest.raises(SourceError, match="has 5 images that serve, fewer than the 6"):
        discover(pixels, None, pictures[:5], tmp_path, mining=MINING)
    small = [*pictures[:5], np.zeros((20, 20, 3), np.uint8)]
    with pytest.raises(SourceError, match=r"5 images that serve \(images? 5: 20x20 pixels hold less"):
        discover(pixels, None, small, tmp_path, mining=MINING)
    with pytest.raises(SourceError, match="no constellation was verified in 6 images"):
        discover(pixels, None, pictures, tmp_path, mining=MINING)


def test_a_model_of_another_method_is_refused(tmp_path):
    from tfssl.methods import Colorization

    with pytest.raises(ModelError, match="is a colorization model; discovery needs one of context_prediction"):
        discover(Colorization(), None, "builtin", tmp_path)


@pytest.fixture(scope="module")
def small_network():
    from tfssl.methods import ContextPrediction

    sizes = {"area": (8_000, 20_000), "patch_size": SIDE, "gap": 6, "jitter": 1, "downsample_size": 4}
    method = ContextPrediction(**sizes, patches_per_image=12, backbone="small", embedding=64, head=(32, 32))
    return method, method.model()


@pytest.mark.slow
def test_a_network_finds_planted_objects(small_network, tmp_path):
    # At 6 steps the grid meets every copy of an object at the same pixels, and even random features recognize it.
    mining = dataclasses.replace(MINING, constellations=200, set_size=4)
    summary = discover(
        *small_network, planted(each=5, noise=4)[0], tmp_path, mining=mining, steps=6, baselines=BASELINES
    )
    assert summary["embedding_mib"] == summary["patches"] * 64 * 2 / 2**20
    assert min(summary[f"{name}clusters"] for name in ("", *(f"{b}_" for b in BASELINES))) > 0
