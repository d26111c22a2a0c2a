"""Real photographs that come inside scikit-image and scikit-learn: no download."""

from importlib.util import find_spec
from pathlib import Path


def builtin_photographs():
    """Paths of eight color photographs (300 to 1000 pixels a side): no microscopy, one view of the stereo pair."""
    names = "astronaut.png chelsea.png coffee.png hubble_deep_field.jpg motorcycle_left.png rocket.jpg"
    return _locate("skimage", "data", names) + _locate("sklearn", "datasets/images", "china.jpg flower.jpg")


def builtin_gray_photographs():
    """Paths of five photographs that were taken in black and white."""
    return _locate("skimage", "data", "camera.png coins.png grass.png gravel.png moon.png")


def _locate(package, folder, names):
    # find_spec() finds the folder without importing the package, which would take seconds.
    return [Path(find_spec(package).origin).parent / folder / name for name in names.split()]
