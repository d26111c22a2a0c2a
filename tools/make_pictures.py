"""Draw docs/images/*.png: the shipped colorizer on the photographs inside scikit-image and scikit-learn.

None of them is in the training archives. All suitable ones are shown, not the best ones; of variants the first three.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

import tfssl
from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs
from tfssl.data.images import decode_image
from tfssl.export import export_web
from tfssl.export.run import load_source
from tfssl.visualization.sheet import picture_sheet

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.browser import NoBrowser, Server, chromium

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LEFT_OUT = {"hubble_deep_field.jpg"}  # its colors are false colors
SIDE = 320


def small(path):
    """A photograph, at most SIDE pixels a side: sheets need no more."""
    image = decode_image(str(path))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def pairs(cells):
    """Two photographs a row."""
    return [cells[i] + (cells[i + 1] if i + 1 < len(cells) else []) for i in range(0, len(cells), 2)]


def web_page(site, photograph, path):
    """The page of ``tfssl export --format web``, with a photograph."""
    server = Server(site)
    try:
        with chromium() as browser:
            browser.open(server.url)
            browser.choose("#file", photograph)
            browser.until("document.querySelector('#result[aria-busy=false]')", 120)
            browser.screenshot(path)
    finally:
        server.close()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256).save(path, optimize=True)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    color = [small(p) for p in builtin_photographs() if p.name not in LEFT_OUT]
    rows = pairs([[image.convert("L").convert("RGB"), tfssl.colorize(image), image] for image in color])
    picture_sheet(rows, IMAGES / "colorizer.png", titles=["input", "tfssl colorize", "truth"] * 2, cell=180)
    gray = [small(p) for p in builtin_gray_photographs()]
    rows = pairs([[image, tfssl.colorize(image)] for image in gray])
    picture_sheet(rows, IMAGES / "gray.png", titles=["black and white", "tfssl colorize"] * 2, cell=240)
    rows = [[image, *(tfssl.colorize(image, variant=number) for number in range(4))] for image in gray[:3]]
    titles = ["black and white", "tfssl colorize", "variant 1", "variant 2", "variant 3"]
    picture_sheet(rows, IMAGES / "variants.png", titles=titles, cell=150)
    with tempfile.TemporaryDirectory() as folder:
        export_web(*load_source("colorizer"), Path(folder) / "site")
        try:
            web_page(Path(folder) / "site", builtin_gray_photographs()[0], IMAGES / "web.png")
        except NoBrowser as error:
            print(f"web.png is left as it is: {error}")
    print(*sorted(IMAGES.iterdir()), sep="\n")


if __name__ == "__main__":
    main()
