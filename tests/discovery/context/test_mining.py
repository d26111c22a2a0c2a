"""Discovery by context as a whole: a planted object, noise, a periodic texture, files, errors."""

import json

import numpy as np
import pytest
from PIL import Image

from tfssl.data.planted import planted_source
from tfssl.discovery.context import neighbors, stuff as stuff_model
from tfssl.discovery.context.discover import discover_context
from tfssl.discovery.context.mining import ContextMining, mine_context
from tfssl.discovery.context.neighbors import find_neighbors, learn_whitening, patch_feature, sample_seeds
from tfssl.discovery.context.pyramid import Patch, pyramid
from tfssl.discovery.context.ranking import thing_mask
from tfssl.discovery.context.verify import Verification
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.boxes import iou

SIZE = 144
MINING = ContextMining(
    seeds=8, neighbors=5, predictors=3, components=8, levels=1, rounds=(1, 2), clusters=4, set_size=3
)
KINDS = ("object", "noise", "texture", "noise")


@pytest.fixture(scope="module", autouse=True)
def few_patches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stuff_model, "PATCHES", 2000)
        patch.setattr(neighbors, "_SAMPLES", 1000)
        yield


@pytest.fixture(scope="module")
def planted():
    source = planted_source(20, SIZE, KINDS)
    pyramids = [pyramid(source.example(number)["image"], 1) for number in range(20)]
    whitening = learn_whitening(pyramids, np.random.default_rng(0))
    return source, pyramids, whitening, stuff_model.learn_stuff(pyramids, 24, 0)


def verified(planted, seeds, count=3):
    """Members of the clusters of given seeds, and their contexts."""
    _, pyramids, whitening, stuff = planted
    found = []
    for patches, cosines in zip(*find_neighbors(pyramids, seeds, whitening, 5), strict=True):
        verification = Verification(pyramids, patches, cosines, whitening, 4)
        for _ in range(count):
            assert verification.verify_next(stuff)
        found.append(verification)
    return found


def around(source, pyramids, image):
    """The patch on the middle of the object, at twice the scale of the image."""
    y, x = (int(edges.mean()) for edges in np.nonzero(source.example(image)["mask"]))
    rows, columns = pyramids[image][0].positions
    return Patch(image, 0, min(rows - 1, max(0, y // 4 - 5)), min(columns - 1, max(0, x // 4 - 5)))


@pytest.fixture(scope="module")
def clusters(planted):
    source, pyramids, *_ = planted
    seeds = [around(source, pyramids, 0), around(source, pyramids, 4), Patch(1, 1, 3, 3), Patch(2, 1, 3, 3)]
    return verified(planted, seeds)


def worth(verification):
    return sum(max(0, score) for score in verification.scores.values())


def test_the_object_ranks_above_noise_and_texture(planted, clusters):
    source = planted[0]
    first, second, noise, texture = clusters
    for verification in (first, second):
        assert {source.kind(patch.image) for patch in verification.patches} == {"object"}
    assert {source.kind(patch.image) for patch in texture.patches} == {"texture"}
    assert min(worth(first), worth(second)) > 5 * max(worth(noise), worth(texture), 1)


def test_the_mask_covers_the_object_better_than_the_box(planted, clusters):
    source, pyramids, *_ = planted
    masks, boxes = [], []
    for verification in clusters[:2]:
        for number, context in verification.contexts.items():
            patch = verification.patches[number]
            level, truth = pyramids[patch.image][patch.level], source.example(patch.image)["mask"]
            mask = level.spread(thing_mask(context, patch), (SIZE, SIZE)) > 127
            left, top, right, bottom = (round(edge) for edge in level.box(patch.y, patch.x))
            box = np.zeros_like(truth)
            box[max(0, top) : bottom, max(0, left) : right] = True
            masks.append((mask & truth).sum() / (mask | truth).sum())
            boxes.append((box & truth).sum() / (box | truth).sum())
    assert np.mean(masks) > np.mean(boxes)


def test_sizes_of_a_pyramid():
    levels = pyramid(Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)), 2)
    assert [level.hog.shape[:2] for level in levels] == [(22, 28), (15, 19), (10, 13)]
    assert levels[2].windows().shape == (3 * 6, 1984)
    assert levels[2].box(1, 2) == (16, 8, 96, 88) and levels[0].box(0, 0) == (0, 0, 40, 40)
    with pytest.raises(ValueError, match="30x90 pixels; context needs at least 40"):
        pyramid(Image.new("RGB", (30, 90)), 2)


def test_a_mask_lies_where_its_cells_are():
    level = pyramid(Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)), 1)[1]
    cells = np.zeros((10, 10))
    cells[4, 2] = 1
    y, x = np.nonzero(level.spread(cells, (96, 96)) > 127)
    assert (y.mean(), x.mean()) == pytest.approx((8 * 5 + 3.5, 8 * 3 + 3.5))


def test_seeds_keep_apart_and_are_their_own_best_neighbors(planted):
    _, pyramids, whitening, _ = planted
    seeds = sample_seeds(pyramids, 48, 1, np.random.default_rng(0))
    assert len(seeds) == 48 and sorted({seed.image for seed in seeds}) == list(range(20))
    boxes = {}
    for seed in seeds:
        boxes.setdefault(seed.image, []).append(pyramids[seed.image][seed.level].box(seed.y, seed.x))
    for found in boxes.values():
        overlaps = iou(np.array(found), np.array(found))[~np.eye(len(found), dtype=bool)]
        assert overlaps.max(initial=0) <= 0.6
    patches, cosines = find_neighbors(pyramids, seeds[:4], whitening, 5)
    assert [found[0] for found in patches] == seeds[:4]
    np.testing.assert_allclose(cosines[:, 0], 1, atol=1e-4)
    assert all(len({patch.image for patch in found}) == 5 for found in patches)
    two = np.stack([patch_feature(pyramids, found[1]) for found in patches])
    template = whitening(np.stack([patch_feature(pyramids, seed) for seed in seeds[:4]]))
    np.testing.assert_allclose((whitening(two) * template).sum(axis=1), cosines[:, 1], atol=1e-4)


def test_whitening_makes_leading_directions_alike():
    from tfssl.discovery.context.neighbors import REGULARIZER, Whitening, standardize

    patches = np.random.default_rng(0).normal(size=(500, 20)) * np.linspace(1, 9, 20)
    whitening = Whitening.fit(patches)
    features = standardize(patches) - whitening.mean
    values, vectors = np.linalg.eigh(np.cov(features.T, bias=True) + REGULARIZER * np.eye(20))
    expected = features @ vectors / np.sqrt(values) @ vectors.T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(whitening(patches), expected, atol=0.02)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    source = planted_source(12, 112, ("object", "noise"))
    for number in range(12):
        (root / source.kind(number)).mkdir(exist_ok=True)
        source.example(number)["image"].save(root / source.kind(number) / f"{number}.png")
    Image.new("RGB", (20, 100)).save(root / "noise" / "small.png")
    Image.new("RGB", (100, 100)).save(root / "noise" / "flat.png")
    return root


def test_files_of_a_discovery(folders, tmp_path):
    summary = discover_context(folders, tmp_path / "out", mining=MINING, shown=2)
    pages = {"clusters.json", "index.html", "numbers.json", "sheet.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == pages | {
        "purity_coverage.csv",
        "purity_coverage.png",
    }
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text(encoding="utf-8"))["numbers"]
    assert numbers["context"]["area"] == summary["area"]
    assert numbers["HOG neighbors alone"]["area"] == summary["hog_neighbors_area"]
    reasons = sorted(summary["skipped"].values())
    assert reasons[0].startswith("20x100 pixels") and reasons[1].startswith("no structure")
    assert summary["images"] == 12 and summary["seeds"] == 8
    assert summary["patches_verified"] == 8 + 2 * 4
    assert {"area", "hog_neighbors_area", "same_seeds_area", "random_area"} <= set(summary)
    record = json.loads((tmp_path / "out" / "clusters.json").read_text(encoding="utf-8"))
    scores = [cluster["score"] for cluster in record["clusters"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == summary["clusters"]
    members = record["clusters"][0]["members"]
    assert len(members) == 3 and {"image", "box", "score", "match", "label"} <= set(members[0])
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<h2>1. Context score" in text
    again = mine_context(folders, MINING)
    assert [cluster.score for cluster in again.clusters] == scores


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "`seeds` must be an integer of at least 1"),
        ({"rounds": ()}, "`rounds` must hold"),
        ({"rounds": (1, 0)}, "`rounds` must be an integer of at least 1"),
        ({"predictors": 20}, "`predictors` must be at most 19 "),
        ({"set_size": 8}, "`set_size` must be at most 7 "),
    ],
)
def test_mining_refuses(wrong, message):
    with pytest.raises(ConfigError, match=message):
        ContextMining(**wrong)


def test_too_few_images_are_named():
    with pytest.raises(SourceError, match="has 3 images that serve, fewer than the 5 of a cluster"):
        mine_context([np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)] * 3, MINING)
