"""Real photographs that come inside scikit-image and scikit-learn: no download."""

from importlib.util import find_spec
from pathlib import Path

# Color photographs only: no drawings, no microscopy, and one view of the stereo pair.
_COLOR = {
    "skimage": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "hubble_deep_field.jpg",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "sklearn": ("china.jpg", "flower.jpg"),
}
_GRAY = {"skimage": ("camera.png", "coins.png", "grass.png", "gravel.png", "moon.png")}
_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}


def builtin_photographs():
    """Paths of eight color photographs (300 to 1000 pixels a side)."""
    return _locate(_COLOR)


def builtin_gray_photographs():
    """Paths of five photographs that were taken in black and white."""
    return _locate(_GRAY)


def _locate(names):
    # find_spec() finds the folder without importing the package, which would take seconds.
    return [
        Path(find_spec(package).origin).parent / _FOLDERS[package] / name
        for package, files in names.items()
        for name in files
    ]
