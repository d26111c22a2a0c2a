"""What is given to the functions of ``tfssl`` by mistake is refused in one line that names the argument."""

import keras
import numpy as np
import pytest

import tfssl
from tfssl.api import visualize
from tfssl.errors import TfsslError


def network():
    rgb = keras.Input((8, 8, 3))
    return keras.Model(rgb, rgb)


PLACES = {
    "colorize image": ("image", lambda value, out: tfssl.colorize(value)),
    "colorize model": ("model", lambda value, out: tfssl.colorize(np.zeros((8, 8, 3), np.uint8), model=value)),
    "load": ("source", lambda value, out: tfssl.load(value)),
    "load_encoder": ("source", lambda value, out: tfssl.load_encoder(value)),
    "evaluate source": ("source", lambda value, out: tfssl.evaluate(value, str(out))),
    "evaluate task": ("source", lambda value, out: tfssl.evaluate(value, str(out), task="knn")),
    "evaluate out": ("out", lambda value, out: tfssl.evaluate("colorizer", str(out), out=value)),
    "evaluate table": ("table", lambda value, out: tfssl.evaluate("colorizer", str(out), table=value)),
    "evaluate compare": ("compare", lambda value, out: tfssl.evaluate("colorizer", str(out), compare=[value])),
    "evaluate ensemble": (
        "ensemble",
        lambda value, out: tfssl.evaluate("pixels", str(out), ensemble=[value]),
    ),
    "visualize source": ("source", lambda value, out: visualize(value, "dream", out=out)),
    "visualize out": ("out", lambda value, out: visualize("pixels", "dream", out=value)),
    "visualize compare": ("compare", lambda value, out: visualize("pixels", "dream", out=out, compare=[value])),
}
VALUES = {
    "model": network, "none": lambda: None, "number": lambda: 3, "array": lambda: np.zeros(3), "empty": lambda: "",
    "nul": lambda: "a\0b", "list": lambda: ["a"], "bytes": lambda: b"a", "nan": lambda: float("nan"),
}  # fmt: skip
MAY_BE_NONE = ("evaluate out", "evaluate table")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_path_is_refused_by_name(place, value, tmp_path):
    if value == "none" and place in MAY_BE_NONE:
        return
    name, call = PLACES[place]
    with pytest.raises(TfsslError, match=f"`{name}`") as caught:
        call(VALUES[value](), tmp_path)
    assert "\n" not in str(caught.value)


IMAGES = {
    "rank 1": np.zeros(9), "rank 4": np.zeros((1, 8, 8, 3)), "two channels": np.zeros((8, 8, 2)),
    "five channels": np.zeros((8, 8, 5)), "int64": np.zeros((8, 8, 3), np.int64), "text": np.array([["a"]]),
    "complex": np.zeros((8, 8, 3), complex), "objects": np.full((8, 8), None), "nan": np.full((8, 8, 3), np.nan),
    "infinite": np.full((8, 8), np.inf), "levels as floats": np.full((8, 8, 3), 200.0), "empty": np.zeros((0, 8, 3)),
    "negative": np.full((8, 8, 3), -1.0),
}  # fmt: skip


@pytest.mark.parametrize("case", IMAGES)
def test_arrays_that_are_no_image_are_refused(case):
    with pytest.raises(TfsslError, match=r"array|image") as caught:
        tfssl.colorize(IMAGES[case])
    assert "\n" not in str(caught.value)
