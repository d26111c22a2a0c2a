"""Pages of what was grouped: boundaries, groups and object proposals of photographs, scenes of clips."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

from tfssl.data.decode import decode_image
from tfssl.errors import ConfigError, SourceError
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.sheet import picture_sheet, save_png, tile

_TEXT = (
    "Colors and textures that occur beside each other more often than by chance belong together (pointwise mutual "
    "information, Isola, Zoran, Krishnan, Adelson, ECCV 2014). Eigenvectors of these affinities give the boundaries; "
    "regions between them are merged one by one, which gives groups and proposals of objects."
)
_LEARNED = (
    "A network learned which patches lie beside each other in photographs; pixels belong together where it gives the "
    "patches around them high odds (Isola, Zoran, Krishnan, Adelson, 2016). Eigenvectors of these affinities give the "
    "boundaries; regions between them are merged one by one, which gives groups and proposals of objects."
)
_SCENES = (
    "A network learned to tell frames of one moment from those of different clips; frames that it finds alike were "
    "grouped (Isola, Zoran, Krishnan, Adelson, 2016). Each row is a scene, its frames in the order of time."
)
_CELL, _COLUMNS = 192, 6
_MATRIX = 480  # about the pixels of each side of a matrix of affinities
_LEAST_SHOWN = 4  # groups that the overlay has colors for, as a distance on the circle of hues


def photograph_gallery(paths, out, grouper, progress=None, learned=None, model=""):
    """Group photographs, and write a page.

    Args:
        paths: of the images.
        out: folder for ``NAME-boundaries.png``, ``NAME-groups.png``, ``NAME-proposals.png``, ``index.html`` and
            ``numbers.json``.
        grouper: :class:`~tfssl.grouping.group.Grouper`.
        progress: called with (steps done, in all, name of the image).
        learned: see the call of the grouper.
        model: what the network is called on the page.

    Returns:
        ``(numbers, failed)``: ``{name: {number: value}}``, ``{path: reason}`` of what did not serve.

    Raises:
        ConfigError: for two images of one name.
        SourceError: if none serves.
    """
    _check_names(paths)
    images, numbers, failed, out = {}, {}, {}, Path(out)
    for number, path in enumerate(map(Path, paths)):

        def done(step, steps, number=number, path=path):
            if progress is not None:
                progress(number * steps + step, len(paths) * steps, path.name)

        try:
            result = grouper(decode_image(path, srgb=True), done, learned)
        except (ValueError, OSError) as error:
            failed[str(path)] = str(error)
            continue
        files = {what: out / f"{file_stem(path.stem, what)}.png" for what in ("boundaries", "groups", "proposals")}
        save_png(Image.fromarray(((1 - result.boundaries) * 255).astype(np.uint8)), files["boundaries"])
        save_png(groups_picture(result), files["groups"])
        proposals_sheet(result, files["proposals"])
        images[path.stem], numbers[path.stem] = files, grouping_numbers(result)
    if not images:
        path, reason = next(iter(failed.items()))
        raise SourceError(f"no image can be grouped; {path}: {reason}")
    protocol = dataclasses.asdict(grouper) | ({} if learned is None else {"model": model})
    text = _TEXT if learned is None else _LEARNED
    return write_gallery(out, "Groups", text=text, images=images, numbers=numbers, protocol=protocol), failed


def clip_gallery(paths, out, grouper, affinities, model="", progress=None):
    """Find the scenes of clips, and write a page: ``NAME-scenes.png``, ``NAME-affinities.png`` and the rest.

    Args:
        paths, out, progress: as :func:`photograph_gallery`.
        grouper: :class:`~tfssl.grouping.scenes.SceneGrouper`.
        affinities: see its call.
        model: what the network is called on the page.

    Returns, raises:
        As :func:`photograph_gallery`.
    """
    from tfssl.data.clips import Clip

    _check_names(paths)
    images, numbers, failed, out = {}, {}, {}, Path(out)
    for number, path in enumerate(map(Path, paths)):
        try:
            scenes = grouper(Clip(str(path)), affinities)
        except (ValueError, OSError) as error:
            failed[str(path)] = str(error)
            continue
        files = {what: out / f"{file_stem(path.stem, what)}.png" for what in ("scenes", "affinities")}
        scenes_sheet(scenes, files["scenes"])
        save_png(affinities_picture(scenes), files["affinities"])
        images[path.stem], numbers[path.stem] = files, scene_numbers(scenes)
        if progress is not None:
            progress(number + 1, len(paths), path.name)
    if not images:
        path, reason = next(iter(failed.items()))
        raise SourceError(f"no clip can be grouped; {path}: {reason}")
    protocol = {"model": model, **dataclasses.asdict(grouper)}
    return write_gallery(out, "Scenes", text=_SCENES, images=images, numbers=numbers, protocol=protocol), failed


def grouping_numbers(result):
    """``{name: number}`` of a :class:`~tfssl.grouping.group.Grouping`."""
    found = {
        "width": result.image.width,
        "height": result.image.height,
        "superpixels": result.regions.count,
        "groups": int(result.groups.max()) + 1,
        "boundary_fraction": float((result.boundaries > 0.1).mean()),
    }
    for number, proposal in enumerate(result.proposals, start=1):
        edges = zip(("left", "top", "right", "bottom"), proposal.box, strict=True)
        found |= {f"proposal {number} {name}": value for name, value in (("score", proposal.score), *edges)}
    return found


def scene_numbers(scenes):
    """``{name: number}`` of :class:`~tfssl.grouping.scenes.Scenes`: the scene of each stretch, and when it begins."""
    same = scenes.labels[:, None] == scenes.labels
    apart = ~np.eye(len(same), dtype=bool)
    found = {
        "frames": len(scenes.frames),
        "affinity within scenes": float(scenes.affinities[same & apart].mean()) if (same & apart).any() else np.nan,
        "affinity between scenes": float(scenes.affinities[~same].mean()) if (~same).any() else np.nan,
    }
    for number, (start, end, label) in enumerate(scenes.shots, start=1):
        found |= {f"shot {number} scene": label + 1, f"shot {number} from": start, f"shot {number} to": end}
    return found


def groups_picture(result):
    """The image under the colors of its groups, with white lines between them: ``PIL.Image``."""
    groups = result.groups
    hues = np.arange(groups.max() + 1) / max(groups.max() + 1, _LEAST_SHOWN)
    colors = [Image.new("HSV", (1, 1), (int(255 * hue), 200, 230)).convert("RGB").getpixel((0, 0)) for hue in hues]
    colors = [tuple(level / 255 for level in color) for color in colors]
    drawn = label2rgb(groups, np.asarray(result.image), colors=colors, alpha=0.45, bg_label=-1)
    drawn[find_boundaries(groups, mode="inner")] = 1.0
    return Image.fromarray((drawn * 255).astype(np.uint8))


def proposals_sheet(result, path):
    """Draw the proposals, the best first, what is not in them pale: a sheet, also returned."""
    pixels = np.asarray(result.image)
    cells = []
    for proposal in result.proposals:
        shown = np.where(proposal.mask[..., None], pixels, pixels // 5 + 200)
        cells.append(shown.astype(np.uint8))
    rows = [cells[start : start + _COLUMNS] for start in range(0, len(cells), _COLUMNS)] or [[pixels]]
    return picture_sheet(rows, path, cell=_CELL)


def scenes_sheet(scenes, path):
    """Draw the frames of each scene in a row, with their seconds: a sheet, also returned."""
    rows, labels = [], []
    for label in range(scenes.labels.max() + 1):
        own = np.flatnonzero(scenes.labels == label)
        shown = own[np.unique(np.linspace(0, len(own) - 1, min(_COLUMNS, len(own))).round().astype(int))]
        rows.append([tile(scenes.frames[n], _CELL // 2 + 16, text=f"{scenes.times[n]:.1f} s") for n in shown])
        labels.append(f"scene {label + 1}\n{len(own)} frames")
    return picture_sheet(rows, path, labels=labels, cell=_CELL // 2 + 32)


def affinities_picture(scenes):
    """The affinity of each two frames, white is 1, in squares that can be seen: ``PIL.Image``."""
    side = max(1, _MATRIX // len(scenes.affinities))
    return Image.fromarray(np.kron(scenes.affinities * 255, np.ones((side, side))).astype(np.uint8))


def _check_names(paths):
    stems = [Path(path).stem for path in paths]
    for stem in stems:
        if stems.count(stem) > 1:
            raise ConfigError(f"two inputs are called {stem!r}; rename one")
