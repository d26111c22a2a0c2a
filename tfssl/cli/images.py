"""Commands that make images of images, or look at their colors: colorize, inpaint, synthesize, prior."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from tfssl import methods
from tfssl.cli.app import (
    DATA_HELP,
    app,
    check_data,
    check_files,
    check_inputs,
    given_options,
    listing,
    report_gallery,
    report_skipped,
    say,
)
from tfssl.cli.option_help import SynthesizeCommand
from tfssl.data.listing import ignored_line
from tfssl.data.recode import check_film, names_film
from tfssl.errors import ConfigError, counted
from tfssl.files import check_folder, writing
from tfssl.options import check_strength, check_temperature, check_variant
from tfssl.resources import model_digest
from tfssl.training.progress import CountProgress


@app.command()
def colorize(
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="Images, films, folders or globs, gray or color.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the results; keeps the structure of input folders. Of one film: a film.")
    ],
    model: Annotated[str, typer.Option(help="A run directory, an export, or a shipped model's name.")] = "colorizer",
    temperature: Annotated[
        float | None,
        typer.Option(help="Above 0, at most 1: lower is more vivid, 1 most cautious; default the model's."),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Of the colors, 0 to 2: 0 gray, 1 as predicted, above more vivid.")
    ] = 1.0,
    variants: Annotated[
        int, typer.Option(help="So many other plausible colorings of each image, at most 8: NAME_1, NAME_2, ...")
    ] = 0,
    hints: Annotated[
        Path | None,
        typer.Option(help="Colors that are known: a .json file, or a folder of copies with colored dots painted on."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Draw all images before and after on sheets, in preview/ of the results.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")] = False,
    format: Annotated[
        str | None, typer.Option(help="jpg or png; default each input's own, png for other kinds.")
    ] = None,
):
    """Colorize photographs and films of any size.

    Example: tfssl colorize photos/ --out color/ --preview

    Example: tfssl colorize photo.jpg --out color/ --variants 3 --strength 0.7

    Example: tfssl colorize film.mp4 --out film_color.mp4
    """
    check_temperature(temperature, "--temperature")
    check_strength(strength, "--strength")
    check_variant(variants, "--variants")
    given = {"--variants": variants, "--hints": hints, "--preview": preview, "--format": format}
    of_images = [name for name, value in given.items() if value]
    film = names_film(out)
    if film:
        if of_images:
            raise ConfigError(f"`{of_images[0]}` is of images, not of films; leave it out for {str(out)!r}")
        check_film(inputs, out)
    folder, colorizers = out.parent if film else out, (n for n in methods.names() if methods.get(n).colorizes)
    check_inputs(inputs, folder, format, model, *colorizers)

    from tfssl.color.hints import open_hints

    known = None if hints is None else open_hints(hints)
    from tfssl.api import load
    from tfssl.color.colorize import colorize_paths
    from tfssl.color.predict import compiled_predictor, compiled_scores

    method: Any
    method, network = load(model)
    temperature = method.temperature if temperature is None else temperature
    predict, scores = compiled_predictor(method, method.served(network)), None
    if variants or known:
        scores = compiled_scores(method, network)
    say(f"colorize: model {model}, temperature {temperature:g}, to {out}", err=True)
    reports = []
    for variant in range(variants + 1):
        with CountProgress(f"images, variant {variant}" if variant else "images") as progress:
            report = colorize_paths(
                inputs,
                out,
                predict,
                image_size=method.image_size,
                stride=method.output_stride,
                temperature=temperature,
                strength=strength,
                variant=variant,
                scores=scores,
                hints=known,
                model=model_digest(model),
                overwrite=overwrite,
                format=format,
                progress=progress,
            )
        _say_report(report, f"colorized as variant {variant}" if variant else "colorized", out)
        reports.append(report)
        sources = [*report.done, *report.skipped, *report.failed, *report.left_out]
        films = [source for source in sources if names_film(source)]
        if variant == 0 and films and of_images:
            say(f"{counted(len(films), 'films')} colored without {', '.join(of_images)}: of images only", err=True)
        if len(films) == len(sources):
            break
    if preview:
        _preview(reports, out)
    _end(*reports)


def _preview(reports, out):
    """Draw what became of the images, older results too."""
    from tfssl.color.preview import draw_previews

    targets = [report.done | report.skipped for report in reports]
    rows = []
    for source in sorted(source for source in set().union(*targets) if not names_film(source)):
        reasons = dict.fromkeys(report.outdated[source] for report in reports if source in report.outdated)
        rows.append(("\n".join([Path(source).name, *reasons]), [source, *(found.get(source) for found in targets)]))
    if rows:
        sheets = draw_previews(rows, out, ["before", "after", *(f"variant {k}" for k in range(1, len(reports)))])
        say(f"preview: {', '.join(map(str, sheets))}")


@app.command()
def inpaint(
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="Images, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; sheets/ in it shows masked, filled, truth.")],
    model: Annotated[str, typer.Option(help="A run directory of context_encoder, an export, or a shipped model.")],
    mask: Annotated[
        str, typer.Option(help="An image, white where the hole is, or a folder of such (NAME.png); center; random.")
    ] = "center",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")] = False,
    format: Annotated[
        str | None, typer.Option(help="jpg or png; default each input's own, png for other kinds.")
    ] = None,
):
    """Fill holes of photographs of any size from their surroundings.

    Example: tfssl inpaint photo.jpg --mask hole.png --model runs/inpainter --out filled/
    """
    check_inputs(inputs, out, format, model, "context_encoder")

    from tfssl.api import load
    from tfssl.methods.context_encoder.inpaint import Inpainter, inpaint_paths

    method, network = load(model)
    say(f"inpaint: model {model}, mask {mask}, to {out}", err=True)
    with CountProgress("images") as progress:
        predictor = Inpainter(method, network)
        report = inpaint_paths(
            inputs,
            out,
            predictor,
            mask=mask,
            model=model_digest(model),
            overwrite=overwrite,
            format=format,
            progress=progress,
        )
    _say_report(report, "filled", out)
    _end(report)


@app.command(cls=SynthesizeCommand)
def synthesize(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="References: images of textures or styles.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, index.html, sheet.png and numbers.json.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK",
            help="texture, long-range, symmetric, style, season or inpaint; repeatable. Default texture.",
        ),
    ] = None,
    content: Annotated[
        Path | None, typer.Option(help="The image to give the style to, or to fill a hole of: style, season, inpaint.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="White where the content is filled; default all but a tenth at each border.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="vgg16 (extra pretrained), a run directory, an export, or random:BACKBONE.")
    ] = "vgg16",
    size: Annotated[int, typer.Option(help="Longer side of the results, in pixels.")] = 256,
    iterations: Annotated[int, typer.Option(help="Of the optimizer, at each octave.")] = 200,
    seed: Annotated[list[int] | None, typer.Option(help="Of the noise; repeatable. Default 0.")] = None,
):
    """Synthesize textures, and change images, by the statistics of features.

    Further options are written as octaves=3 or --octaves 3.

    Example: tfssl synthesize wall.jpg --out walls/ --task texture --task long-range --seed 123 --seed 123456

    Example: tfssl synthesize painting.jpg --task style --content photo.jpg --size 512 --out painted/

    Example: tfssl synthesize wall.jpg --task inpaint --content damaged.jpg --mask hole.png --out filled/
    """
    from tfssl.config import read_overrides
    from tfssl.synthesis.recipe import check_inputs as check_uses, read_recipe

    words = [word for word in inputs if "=" not in word or Path(word).exists()]
    further = given_options(context, [word for word in inputs if word not in words])
    options = {"size": size, "iterations": iterations} | read_overrides(further)
    recipes = [read_recipe({**options, "task": name}) for name in dict.fromkeys(task or ["texture"])]
    for name, path in [*(("IN", word) for word in words), ("--content", content), ("--mask", mask)]:
        if path is not None:
            check_files(str(path), name)
    check_uses(recipes, content, mask)
    check_folder(out, "--out")
    before = listing(out)

    from tfssl import runtime
    from tfssl.encoders import load_trunk
    from tfssl.synthesis.gallery import gallery

    encoder = load_trunk(model)
    say(f"synthesize: model {model}, {', '.join(recipe.task for recipe in recipes)}, to {out}", err=True)
    with runtime.measuring(), CountProgress("iterations") as progress:
        numbers, failed = gallery(
            encoder,
            words,
            out,
            recipes=recipes,
            seeds=tuple(dict.fromkeys(seed or [0])),
            content=content,
            mask=mask,
            model=model,
            progress=progress,
        )
    report_gallery(numbers, failed, out, before)


def _say_report(report, done, out):
    """Say what became of the images."""
    say(f"{len(report.done)} {done}, {len(report.skipped)} already there, {len(report.failed)} failed: {out}")
    if report.ignored:
        say(ignored_line(report.ignored), err=True)
    for reason, number in Counter(report.outdated.values()).items():
        say(f"already there, but {reason}: {number}; --overwrite makes them anew", err=True)
    for source, target in report.renamed.items():
        say(f"{source} as {target}: its name is taken by another image", err=True)
    for path, reason in report.failed.items():
        say(f"failed {path}: {reason}", err=True)


def _end(*reports):
    """Exit 1 where some images failed."""
    if any(report.failed for report in reports):
        raise typer.Exit(1)


@app.command()
def prior(
    data: Annotated[str, typer.Argument(metavar="SRC", help=f"Photographs: {DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write.")],
    sigma: Annotated[float, typer.Option(min=0, help="Width of the smoothing in ab units; 0 for plain counts.")] = 5.0,
):
    """Count how often each of the 313 colors occurs in your own photographs, for `prior: FILE` in a config.

    Example: tfssl prior photos/ --out prior.npy
    """
    import numpy as np

    from tfssl.color.prior import estimate_prior, smooth_prior
    from tfssl.data.examples import Skipped
    from tfssl.data.images import image_source

    check_data(data, "SRC")
    source = image_source(data)
    skipped = Skipped()
    with CountProgress("images") as progress:
        estimate = estimate_prior(source, skipped=skipped, progress=lambda done: progress(done, len(source)))
    out = out if out.suffix == ".npy" else out.with_name(out.name + ".npy")
    smooth = smooth_prior(estimate, sigma)
    with writing(out) as file:
        np.save(file, smooth)
    images = counted(len(source) - len(skipped.reasons), "images")
    say(
        f"{out}: {images}, {int((estimate > 0).sum())} of {len(estimate)} bins "
        f"occur, smoothed fraction of gray {smooth.max():.3f}"
    )
    report_skipped(skipped.reasons)
