"""Groups from co-occurrence: a joint that is known, boundaries of BSDS photographs, patches, frames of different clips.

    python benchmarks/co_occurrence.py --bsds bsds500 --videos videos videos_b --photos photos --others other_photos \
        [--only boundaries ...]

known: a network of the form that `co_occurrence` has, on pairs drawn from the joint [[.4, .1], [.1, .4]]: its logits
beside PMI, with half of the pairs positive and with a fifth, three seeds.
boundaries: F-measure (ODS, OIS; tolerance 0.0075 of the diagonal, one-to-one matching, several annotators) of
`tfssl group`, beside the gradient of Gaussian-blurred images with non-maximum suppression and Canny's detector, each at
several widths. All at half size, photographs and annotators' lines alike. Nothing was tuned on these photographs.
patches: `co_occurrence/cpu` trained on photographs; average precision of "beside each other" on pairs of patches of
others, from two photographs and from one, beside distances of pixels and of mean colors, and untrained; three seeds.
frames: `co_occurrence/frames` trained on some clips; fraction of pairs of frames of different clips that are told from
pairs of one clip, on clips that were not learned from and on later frames of those that were; three seeds.
Writes results/co_occurrence.json. Resumable: what is in --runs is not made again; a part of which there is nothing
stays what results/co_occurrence.json has of it.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from co_occurrence_frames import frames, known, patches
from machine import RESULTS, kept, save

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-image", "scikit-learn")
PARTS = ("known", "boundaries", "patches", "frames")
SEEDS = (0, 1, 2)
THRESHOLDS = (0.04, 0.07, 0.1, 0.14, 0.18, 0.22, 0.27, 0.33, 0.4, 0.5, 0.6, 0.75)
GROUPINGS = {
    "co-occurrence": {},
    "co-occurrence, 2 scales": {"scales": 2},
    "co-occurrence, exact eigenvectors": {"halvings": 0},
}
"""Name -> settings of :class:`tfssl.grouping.group.Grouper`."""
WIDTHS = (1, 1.5, 2, 3)  # of the Gaussians in pixels
GRADIENTS = {
    f"{kind} gradient, sigma {sigma}{', each image its own scale' if relative else ''}": (kind, sigma, relative)
    for kind in ("gray", "Lab")
    for sigma in WIDTHS
    for relative in (False, True)
}
CANNY = {f"Canny, sigma {sigma}": sigma for sigma in WIDTHS[:3]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bsds", type=Path, help="folder with images/*.jpg and groundTruth/*.mat")
    parser.add_argument("--videos", type=Path, nargs="+", help="folders of clips, searched to the bottom")
    parser.add_argument("--photos", type=Path, help="folder of photographs that patches are learned from")
    parser.add_argument("--others", type=Path, help="folder of photographs to tell them in, beside those of --bsds")
    parser.add_argument("--runs", type=Path, default=Path("runs/co_occurrence"), help="folder of what was made")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now")
    parser.add_argument("--methods", nargs="+", help="measure boundaries of these now; all without")
    parser.add_argument("--picture", type=Path, help="PNG to draw photographs of scikit-image into, and nothing else")
    arguments = parser.parse_args()
    if arguments.picture:
        draw(arguments.picture)
        return
    if "known" in arguments.only:
        for seed in SEEDS:
            for positives in (0.5, 0.2):
                print(kept(arguments.runs / f"known-{positives}-{seed}.json", lambda s=seed, p=positives: known(p, s)))
    if "boundaries" in arguments.only and arguments.bsds:
        for name in arguments.methods or [*GRADIENTS, *CANNY, *GROUPINGS]:
            boundaries(name, arguments)
    learned = {"patches": (patches, (arguments.photos, arguments.others, arguments.bsds))}
    learned["frames"] = frames, arguments.videos or ()
    for part, (measure, needed) in learned.items():
        if part in arguments.only and needed and all(needed):
            for seed in SEEDS:
                file = arguments.runs / f"{part}-{seed}.json"
                print(kept(file, functools.partial(measure, seed, arguments)), flush=True)
    file = RESULTS / "co_occurrence.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found = {part: found.get(part, []) for part in PARTS}
    for part in ("known", *learned):
        files = sorted(arguments.runs.glob(f"{part}-*.json"))
        found[part] = [json.loads(file.read_text(encoding="utf-8")) for file in files] or found[part]
    config = {"seeds": SEEDS, "groupings": GROUPINGS, "thresholds": THRESHOLDS}
    names = [name for name in [*GROUPINGS, *GRADIENTS, *CANNY] if folder(name, arguments.runs).is_dir()]
    if names:
        measured = [{file.name for file in folder(name, arguments.runs).glob("*.json")} for name in names]
        found["boundaries"] = [scored(name, arguments.runs, set.intersection(*measured)) for name in names]
    save("co_occurrence", config=config, packages=PACKAGES, seconds={}, comparisons=[], **found)


def boundaries(name, arguments):
    """Counts of each photograph, kept one by one."""
    for path in sorted((arguments.bsds / "images").glob("*.jpg")):
        kept(folder(name, arguments.runs) / f"{path.stem}.json", functools.partial(counted, name, path, arguments.bsds))
    print(scored(name, arguments.runs), flush=True)


def folder(name, runs):
    return runs / "boundaries" / name.replace(", ", "-").replace(" ", "_")


def counted(name, path, bsds):
    from scipy.io import loadmat

    from tfssl.data.decode import decode_image
    from tfssl.evaluation.boundaries import count_boundaries, count_lines

    image = decode_image(path).reduce(2)
    people = loadmat(bsds / "groundTruth" / f"{path.stem}.mat")["groundTruth"].ravel()
    truths = [halved(one["Boundaries"][0, 0].astype(bool)) for one in people]
    if name in CANNY:
        from skimage.feature import canny

        gray = np.asarray(image.convert("L"), np.float64) / 255
        step = 0.5 / (np.sqrt(2 * np.pi) * CANNY[name])
        found = count_lines(
            (canny(gray, CANNY[name], 0.4 * t * step, t * step) for t in np.multiply(THRESHOLDS, 2)), truths
        )
    else:
        strength = gradient(image, *GRADIENTS[name]) if name in GRADIENTS else grouped(image, name)
        found = count_boundaries(strength, truths, thresholds=THRESHOLDS)
    return {"found": found.found.tolist(), "truth": found.truth.tolist()}


def halved(lines):
    """Lines at half size: where any of four pixels is on one."""
    from skimage.measure import block_reduce
    from skimage.morphology import thin

    return thin(block_reduce(lines, 2, np.any))


def gradient(image, kind, sigma, relative):
    """Length of the gradient, in thin lines; 1 is a step of half the range, or what 0.5 % of the pixels exceed."""
    from scipy import ndimage
    from skimage.color import rgb2lab

    from tfssl.ops.boundaries import suppress_non_maxima

    if kind == "gray":
        channels = np.asarray(image.convert("L"), np.float64)[..., None] / 255
    else:
        channels = rgb2lab(np.asarray(image)) / 100
    down, right = (
        np.stack([ndimage.gaussian_filter(channel, sigma, order) for channel in np.moveaxis(channels, -1, 0)])
        for order in ((1, 0), (0, 1))
    )
    strongest = (down**2 + right**2).argmax(axis=0)[None]
    down, right = (np.take_along_axis(part, strongest, 0)[0] for part in (down, right))
    length = np.hypot(down, right)
    scale = np.percentile(length, 99.5) if relative else 0.5 / (np.sqrt(2 * np.pi) * sigma)
    return np.clip(suppress_non_maxima(length / max(scale, 1e-12), np.arctan2(down, right)), 0, 1)


def grouped(image, name):
    from tfssl.grouping.group import Grouper

    return Grouper(**GROUPINGS[name])(image).boundaries


def draw(path):
    """Photographs, their boundaries, groups and best proposals."""
    from tfssl.data.builtin import builtin_photographs
    from tfssl.data.decode import decode_image
    from tfssl.grouping.gallery import groups_picture
    from tfssl.grouping.group import Grouper
    from tfssl.visualization.sheet import picture_sheet

    rows = []
    for file in builtin_photographs():
        if file.stem not in ("astronaut", "chelsea", "coffee", "flower"):
            continue
        image = decode_image(file)
        image.thumbnail((480, 480))
        found, pixels = Grouper()(image), np.asarray(image)
        masks = [np.where(one.mask[..., None], pixels, pixels // 5 + 200) for one in found.proposals[:3]]
        rows.append([image, 1 - found.boundaries, groups_picture(found), *(m.astype(np.uint8) for m in masks)])
    picture_sheet(rows, path, titles=["", "boundaries", "groups", "proposal 1", "proposal 2", "proposal 3"], cell=180)


def scored(name, runs, files=None):
    """A row of the table, of the photographs whose counts are in these files; None for all that were measured."""
    from tfssl.evaluation.boundaries import BoundaryCounts, boundary_scores

    found = sorted(file for file in folder(name, runs).glob("*.json") if files is None or file.name in files)
    records = [json.loads(file.read_text(encoding="utf-8")) for file in found]
    counts = [BoundaryCounts(np.array(one["found"]), np.array(one["truth"])) for one in records]
    return {"method": name, "images": len(counts), **boundary_scores(counts)}


if __name__ == "__main__":
    main()
