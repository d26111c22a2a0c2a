"""Images with surface normals: layout, file formats, and normals from depth on surfaces whose normals are known."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.normals import (
    normals_from_depth,
    normals_images,
    points_from_depth,
    read_normals,
    write_normals,
)
from tfssl.errors import ConfigError, SourceError


@pytest.fixture
def normals():
    vectors = np.random.default_rng(0).normal(size=(6, 9, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[2, 3:6] = 0
    return vectors.astype(np.float32)


def test_sixteen_bits_keep_them(normals, tmp_path):
    write_normals(tmp_path / "n.png", normals)
    with Image.open(tmp_path / "n.png") as file:
        assert file.size == (9, 6)
    np.testing.assert_allclose(read_normals(tmp_path / "n.png"), normals, atol=3e-5)
    as_others_read_it = tf.io.decode_png((tmp_path / "n.png").read_bytes(), dtype=tf.uint16)
    np.testing.assert_array_equal(as_others_read_it, np.round((normals.astype(np.float64) + 1) * 32767.5))
    assert not (read_normals(tmp_path / "n.png")[2, 3:6]).any()


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_another_writer(channels, tmp_path):
    """TensorFlow's encoder uses all filters of the format; the fourth channel is opacity."""
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, channels)).astype(np.uint16)
    values[5:9], values[12:, 1:] = values[5], values[12:, :-1]
    (tmp_path / "n.png").write_bytes(tf.io.encode_png(values).numpy())
    vectors = values[..., :3] / 32767.5 - 1.0
    known = np.abs(np.linalg.norm(vectors, axis=-1) - 1.0) < 0.5
    wanted = np.where(known[..., None], vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), 0)
    np.testing.assert_allclose(read_normals(tmp_path / "n.png"), wanted, atol=1e-6)


def test_eight_bits(normals, tmp_path):
    Image.fromarray(np.round((normals + 1) * 127.5).astype(np.uint8)).save(tmp_path / "n.png")
    found = read_normals(tmp_path / "n.png")
    np.testing.assert_allclose(found, normals, atol=0.008)
    known = normals.any(axis=-1)
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-6)
    assert not found[~known].any()


def test_black_and_white_are_unknown(tmp_path):
    Image.fromarray(np.uint8([[[0, 0, 0], [255, 255, 255], [128, 128, 255]]])).save(tmp_path / "n.png")
    np.testing.assert_allclose(read_normals(tmp_path / "n.png"), [[[0, 0, 0], [0, 0, 0], [0, 0, 1]]], atol=0.005)


def test_arrays(normals, tmp_path):
    longer = normals * 1.2
    longer[0, 0] = np.nan
    np.save(tmp_path / "n.npy", longer)
    found = read_normals(tmp_path / "n.npy")
    assert not found[0, 0].any() and found.dtype == np.float32
    np.testing.assert_allclose(found[1:], normals[1:], atol=1e-6)


def test_layout(normals, tmp_path):
    for folder in ("train", "trainnormals"):
        (tmp_path / folder).mkdir()
    for name in ("b", "a"):
        Image.new("RGB", (9, 6)).save(tmp_path / "train" / f"{name}.jpg")
    np.save(tmp_path / "trainnormals" / "a.npy", normals)
    with pytest.raises(SourceError, match=r"has neither b.npy nor b.png"):
        normals_images(tmp_path, "train")
    write_normals(tmp_path / "trainnormals" / "b.png", -normals)
    found = normals_images(tmp_path, "train")
    assert [p.rsplit("/", 1)[1] for p in (*found.images.paths, *found.files)] == ["a.jpg", "b.jpg", "a.npy", "b.png"]
    np.testing.assert_allclose(found.example(1)["normals"], -normals, atol=3e-5)


def test_what_is_no_map_of_normals_is_named(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((4, 4)))
    (tmp_path / "bad.png").write_bytes(b"no image")
    Image.new("L", (4, 4)).save(tmp_path / "gray.png")
    gray = ("gray.png", "it is L, normals are RGB")
    for name, words in (
        gray,
        ("flat.npy", "must be floats"),
        ("bad.png", "cannot be read"),
        ("none.npy", "cannot be read"),
    ):
        with pytest.raises(SourceError, match=words) as caught:
            read_normals(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="must hold test/ and testnormals/"):
        normals_images(tmp_path, "test")


CAMERA = {"fx": 60.0, "fy": 62.0, "cx": 31.5, "cy": 23.5}
SHAPE = (48, 64)


def plane(normal, distance):
    """Depth of the plane ``normal . p = distance`` seen by the camera."""
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    return distance / (rays @ np.asarray(normal))


@pytest.mark.parametrize("normal", [(0, 0, -1), (0.6, 0, -0.8), (0, -0.8, -0.6), (-0.48, 0.36, -0.8)])
def test_planes_have_their_normal_everywhere(normal):
    found = normals_from_depth(plane(normal, -2.0), **CAMERA, jump=1.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(np.float32(normal), (*SHAPE, 3)), atol=1e-5)


def test_a_floor_points_up_and_the_unit_does_not_matter():
    """y points down in the camera, so up is (0, -1, 0)."""
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    depth = np.where(rays[..., 1] > 0.05, 1.5 / np.maximum(rays[..., 1], 0.05), 0)
    meters, millimeters = (normals_from_depth(unit * depth, **CAMERA, window=7, jump=0.5) for unit in (1, 1000))
    np.testing.assert_allclose(meters[36:], np.broadcast_to([0, -1, 0], meters[36:].shape), atol=1e-4)
    np.testing.assert_allclose(meters, millimeters, atol=1e-4)
    assert not meters[depth == 0].any()


def test_a_sphere_points_away_from_its_center():
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    center, radius = np.array([0.1, -0.1, 3.0]), 1.0
    a, b, c = (rays**2).sum(-1), rays @ center, center @ center - radius**2
    hit = b**2 - a * c
    depth = np.where(hit > 0, (b - np.sqrt(np.maximum(hit, 0))) / a, 0)
    found = normals_from_depth(depth, **CAMERA, window=3)
    outward = (points_from_depth(depth, **CAMERA) - center) / radius
    inside = (depth > 0) & (outward[..., 2] < -0.6)
    angles = np.degrees(np.arccos(np.clip((found * outward).sum(-1)[inside], -1, 1)))
    assert inside.sum() > 300 and angles.max() < 3.0


def test_points_across_a_jump_are_left_out():
    """Two walls seen from the front, one behind the other: no pixel looks sideways."""
    depth = np.where(np.arange(64) < 30, 2.0, 3.0) * np.ones((48, 1))
    np.testing.assert_allclose(
        normals_from_depth(depth, **CAMERA, window=7), np.broadcast_to([0, 0, -1], (48, 64, 3)), atol=1e-5
    )
    assert normals_from_depth(depth, **CAMERA, window=7, jump=1.0)[20, 30, 2] > -0.9


def test_noise_is_averaged():
    random = np.random.default_rng(0)
    depth = plane((0.6, 0, -0.8), -2.0) * (1 + random.normal(0, 0.002, SHAPE))
    cosines = [normals_from_depth(depth, **CAMERA, window=w, jump=0.5) @ (0.6, 0, -0.8) for w in (3, 7, 11)]
    errors = [np.degrees(np.arccos(np.minimum(cosine, 1))).mean() for cosine in cosines]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_where_little_is_known_nothing_is_told():
    depth = np.full(SHAPE, 2.0)
    depth[:, :20] = 0
    depth[10, 10] = 2.0  # alone
    depth[30, 40:] = np.nan
    depth[31, 40:] = -1.0
    found = normals_from_depth(depth, **CAMERA, window=7)
    known = np.any(found != 0, axis=-1)
    assert not known[:, :20].any() and not known[30:32, 40:].any()
    assert known[:, 20:40].all() and known[0, 63] and known[29, 50]
    np.testing.assert_allclose(found[known], np.broadcast_to([0, 0, -1], (known.sum(), 3)), atol=1e-5)


@pytest.mark.parametrize("options", [{"window": 4}, {"window": 1}, {"jump": -0.1}])
def test_wrong_settings(options):
    with pytest.raises(ConfigError, match="`window` must be odd"):
        normals_from_depth(np.ones(SHAPE), **CAMERA, **options)
    with pytest.raises(ConfigError, match=r"shape=\(2, 2, 1\)"):
        normals_from_depth(np.ones((2, 2, 1)), **CAMERA)
