"""Maps of images: what lies apart stays apart, the grid holds every image once."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import silhouette_score

from tfssl.errors import ConfigError
from tfssl.visualization.embedding import embedding, project, snap_to_grid

from .conftest import weights_hash


@pytest.fixture(scope="module")
def blobs():
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 30)
    return rng.normal(size=(60, 80)) + 6 * labels[:, None], labels


def test_blobs_stay_apart(blobs):
    rows, labels = blobs
    points, reduced, perplexity, divergence = project(rows)
    assert points.shape == (60, 2) and reduced.shape == (60, 50)
    assert perplexity == 19 and divergence > 0  # below a third of 60
    assert silhouette_score(points, labels) > 0.5
    assert abs(silhouette_score(points, np.random.default_rng(0).permutation(labels))) < 0.1
    np.testing.assert_array_equal(project(rows)[0], points)


@pytest.mark.parametrize("perplexity", [0.5, 20, 30])
def test_refused_perplexities(blobs, perplexity):
    with pytest.raises(ConfigError, match="`perplexity`"):
        project(blobs[0], perplexity=perplexity)


def test_refused_rows():
    with pytest.raises(ConfigError, match="at least 6"):
        project(np.random.default_rng(0).normal(size=(5, 3)))
    with pytest.raises(ConfigError, match="answers the same"):
        project(np.ones((10, 3)))


def test_grid_is_the_nearest_arrangement():
    y, x = np.mgrid[0:3, 0:4]
    spots = np.stack([x, y], axis=-1).reshape(-1, 2)[:11] * 7.0
    order = np.random.default_rng(0).permutation(11)
    cells, columns, rows = snap_to_grid(spots[order])
    assert (columns, rows) == (4, 3)
    np.testing.assert_array_equal(cells, spots[order] / 7)  # already on it
    cells, columns, rows = snap_to_grid(np.zeros((10, 2)))
    assert len({tuple(cell) for cell in cells.tolist()}) == 10 and cells.max(axis=0).tolist() <= [columns, rows]


def test_networks_side_by_side(tmp_path, networks, classes):
    before = [weights_hash(n) for n in networks.values()]
    numbers = embedding(networks, str(classes), out=tmp_path, image_size=32)
    assert before == [weights_hash(n) for n in networks.values()]
    column = numbers["run"]
    assert column["silhouette_features"] > 0.2 and column["silhouette_map"] > 0.2 > column["silhouette_shuffled"]
    assert Image.open(tmp_path / "embedding-run.png").size == (1200, 1200)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"embedding-untrained.png", "grid-untrained.png", "index.html", "numbers.json"} < names
    assert Image.open(tmp_path / "grid-run.png").size == (5 * 48, 5 * 48)  # 24 images
