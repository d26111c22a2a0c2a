"""Photographs for the tests of training."""

import pytest
from PIL import Image

from tfssl.data.builtin import builtin_photographs


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Small copies of the builtin photographs: decoding them takes no time."""
    folder = tmp_path_factory.mktemp("photos")
    for path in builtin_photographs():
        with Image.open(path) as image:
            image.convert("RGB").resize((80, 60)).save(folder / f"{path.stem}.jpg", quality=90)
    return folder
