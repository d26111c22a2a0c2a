"""A page of what was synthesized: references beside the results of several tasks and seeds, and their numbers."""

import dataclasses
from pathlib import Path

import numpy as np

from tfssl.data.decode import decode_image, read_mask
from tfssl.errors import ConfigError, SourceError
from tfssl.synthesis.recipe import SYMMETRIES, check_inputs
from tfssl.synthesis.structure import AXES, autocorrelation, mirror_error, period
from tfssl.synthesis.synthesize import Synthesizer, by_kind
from tfssl.visualization.line_plot import line_plot
from tfssl.visualization.page import Figure, Heading, Row, file_stem, write_gallery
from tfssl.visualization.sheet import picture_sheet, save_png

_TEXT = (
    "Pixels were changed until the statistics of a network's features were those of the reference. texture: Gram "
    "matrices, which features occur together (Gatys, Ecker, Bethge). long-range: also those of features at distances "
    "from each other. symmetric: also those of features at mirrored positions. inpaint: as long-range, around what is "
    "known. style: Gram matrices, and the content of another image; season: the same with distances (Berger, "
    "Memisevic).\n\n"
    "Numbers: each kind of term at the end, the mean over its maps, not weighted, less is nearer. Structure shows in "
    "the autocorrelation of gray levels at the period of the reference, not in the Gram term, which is often larger "
    "where structure is kept. Mirror error: 0 symmetric, 1 as different from the mirror image as from any other."
)


@dataclasses.dataclass
class _Column:
    """What stands under one title: images and numbers of each reference."""

    images: dict
    numbers: dict


def gallery(encoder, references, out, *, recipes, seeds=(0,), content=None, mask=None, model="", progress=None):
    """Synthesize from each reference by each recipe and seed, and write a page.

    Args:
        encoder: ``keras.Model``: RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, C)}``.
        references: paths of images.
        out: folder for ``REFERENCE-TASK-SEED.png``, ``sheet.png``, plots of the terms and of the autocorrelation,
            ``index.html`` and ``numbers.json``.
        recipes: :class:`~tfssl.synthesis.recipe.Recipe` objects, of different tasks.
        seeds: of the noise.
        content, mask: paths, for the tasks that change an image.
        model: what the encoder is called on the page.
        progress: called with (iterations done, in all, note).

    Returns:
        ``(numbers, failed)``: ``{column: {"REFERENCE NUMBER": value}}``, ``{path: reason}`` of what did not serve.

    Raises:
        ConfigError: for inputs that no task takes, or references of one name.
        SourceError: if the content or the mask cannot be read, or no reference can.
    """
    changed, hole = _read_content(recipes, content, mask)
    images, failed = _read_references(references)
    makers = [Synthesizer(encoder, recipe) for recipe in recipes]
    columns = {"reference": _Column({}, {})}
    jobs = [(stem, maker, seed) for stem in images for maker in makers for seed in seeds]
    total, done = sum(maker.recipe.iterations * maker.recipe.octaves for _, maker, _ in jobs), 0
    made = {}

    for stem, maker, seed in jobs:
        task, before = maker.recipe.of_task, done

        def count(number, _, values, before=before, stem=stem, maker=maker):
            if progress is not None:
                terms = "  ".join(f"{kind} {value:.3g}" for kind, value in values.items())
                progress(before + number, total, f"{stem} {maker.recipe.task}: {terms}")

        result = maker(
            images[stem],
            content=changed if task.content else None,
            mask=hole if task.content == "hole" else None,
            seed=seed,
            progress=count,
        )
        done += maker.recipe.iterations * maker.recipe.octaves
        title = f"{maker.recipe.task}, seed {seed}"
        made.setdefault(stem, {})[title] = result
        if stem not in columns["reference"].images:  # symmetric ones have theirs beside its mirror images
            _keep(columns["reference"], out, file_stem(stem, "reference"), stem, result.reference)
        if result.content is not None:
            shown = columns.setdefault("content", _Column({}, {}))
            _keep(shown, out, file_stem(stem, "content"), stem, result.content)
        column = columns.setdefault(title, _Column({}, {}))
        _keep(column, out, file_stem(stem, maker.recipe.task, seed), stem, result.image)
        column.numbers |= {f"{stem} {name}": value for name, value in _measured(result).items()}
    blocks = []
    for stem, results in made.items():
        blocks += [Heading(stem), Row([Figure(path) for path in _draw(out, stem, results)])]
        columns["reference"].numbers |= _of_reference(stem, next(iter(results.values())))
    rows = [[column.images.get(stem) for column in columns.values()] for stem in made]
    rows = [[None if path is None else decode_image(path) for path in row] for row in rows]
    picture_sheet(rows, Path(out) / "sheet.png", titles=list(columns), labels=list(made) if len(made) > 1 else None)
    shown = {stem: {title: c.images[stem] for title, c in columns.items() if stem in c.images} for stem in made}
    numbers = {title: column.numbers for title, column in columns.items() if column.numbers}
    protocol = _protocol(recipes, model, makers)
    title = "Synthesized images"
    return write_gallery(
        out, title, text=_TEXT, images=shown, numbers=numbers, protocol=protocol, blocks=blocks
    ), failed


def _read_content(recipes, content, mask):
    """The image that is changed, and the hole in it; None where there is none."""
    check_inputs(recipes, content, mask)
    if content is None:
        return None, None
    try:
        changed = decode_image(content, srgb=True)
        return changed, None if mask is None else read_mask(mask, changed.size[::-1])
    except (ValueError, OSError) as error:
        raise SourceError(f"`content` {str(content)!r} cannot be filled or changed: {error}") from None


def _read_references(references):
    images, failed = {}, {}
    for path in map(Path, references):
        if path.stem in images:
            raise ConfigError(f"two references are called {path.stem!r}; rename one")
        try:
            images[path.stem] = decode_image(path, srgb=True)
        except (ValueError, OSError) as error:
            failed[str(path)] = str(error)
    if not images:
        path, reason = next(iter(failed.items()))
        raise SourceError(f"no reference can be read; {path}: {reason}")
    return images, failed


def _keep(column, out, name, stem, image):
    column.images[stem] = Path(out) / f"{name}.png"
    save_png(image, column.images[stem])


def _measured(result):
    """Numbers of a result: its terms, its structure, how long it took."""
    image = np.asarray(result.image, np.float64) / 255
    found = dict(result.terms)
    if result.content is None:
        for axis in AXES:
            lag = period(autocorrelation(result.reference, axis))
            profile = autocorrelation(image, axis)
            if lag is not None and lag < len(profile):
                found[f"autocorrelation {axis}, lag {lag}"] = profile[lag]
    if result.recipe.task == "symmetric":
        flips = SYMMETRIES[result.recipe.symmetry]
        found |= {f"mirror error, {flip}": mirror_error(image, flip) for flip in flips}
    return found | {"seconds": result.seconds}


def _of_reference(stem, result):
    found = {}
    for axis in AXES if result.content is None else ():
        profile = autocorrelation(result.reference, axis)
        lag = period(profile)
        if lag is not None:
            found[f"{stem} autocorrelation {axis}, lag {lag}"] = profile[lag]
    return found


def _draw(out, stem, results):
    """Plots of one reference: the terms by iteration, and the autocorrelation of textures along both axes."""
    curves = {}
    for title, result in results.items():
        for kind in by_kind(result.history[-1]):
            values = [by_kind(values)[kind] for values in result.history]
            curves[f"{title}: {kind}"] = (range(1, len(values) + 1), np.log10(np.maximum(values, 1e-12)).tolist())
    paths = [Path(out) / f"{file_stem(stem, 'terms')}.png"]
    line_plot(curves, paths[0], x_label="iteration", y_label="log10 of a term", x_range=None, y_range=None)
    textures = {title: result for title, result in results.items() if result.content is None}
    for axis in AXES if textures else ():
        reference = autocorrelation(next(iter(textures.values())).reference, axis)
        curves = {"reference": reference, **{t: autocorrelation(r.image, axis) for t, r in textures.items()}}
        lags = min(map(len, curves.values()))
        paths.append(Path(out) / f"{file_stem(stem, 'autocorrelation', axis)}.png")
        line_plot(
            {title: (range(lags), profile[:lags].tolist()) for title, profile in curves.items()},
            paths[-1],
            x_label=f"pixels {axis}",
            y_label="autocorrelation",
            x_range=(0, lags - 1),
            y_range=(min(-0.2, *(float(profile[:lags].min()) for profile in curves.values())), 1.0),
            dashed={"reference": None},
        )
    return paths


def _protocol(recipes, model, makers):
    shared = {name: value for name, value in dataclasses.asdict(recipes[0]).items() if name not in ("task", "taps")}
    taps = {f"taps of {maker.recipe.task}": ", ".join(maker.taps) for maker in makers}
    return {"model": model, **taps, **{name: str(value) for name, value in shared.items()}}
