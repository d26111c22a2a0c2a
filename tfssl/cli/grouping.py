"""The command group: what belongs together in photographs and clips."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import (
    app,
    check_files,
    check_model,
    given_options,
    listing,
    report_gallery,
    say,
)
from tfssl.cli.option_help import GroupCommand
from tfssl.data.clips import EXTENSIONS as CLIP_ENDINGS
from tfssl.errors import ConfigError
from tfssl.files import check_folder
from tfssl.training.progress import CountProgress


@app.command(cls=GroupCommand)
def group(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="Photographs; or clips, with --model.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures, index.html and numbers.json.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Run directory of co_occurrence: of context=frames for clips, context=patches for photographs."
        ),
    ] = None,
    groups: Annotated[int | None, typer.Option(help="Of a photograph, or scenes of a clip. Default 6, and 4.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
):
    """Find boundaries, groups and object proposals in photographs, or the scenes of clips.

    Further options are written as size=480 or --size 480.

    Example: tfssl group photo.jpg other.jpg --out groups/ --groups 8

    Example: tfssl group film.mp4 --model runs/scenes --out scenes/ --groups 5
    """
    from tfssl.config import read_overrides
    from tfssl.grouping.group import read_grouper
    from tfssl.grouping.scenes import read_scene_grouper

    words = [word for word in inputs if "=" not in word or Path(word).exists()]
    options = {"seed": seed} | ({} if groups is None else {"groups": groups})
    options |= read_overrides(given_options(context, [word for word in inputs if word not in words]))
    clips = any(word.lower().endswith(CLIP_ENDINGS) for word in words)
    grouper = read_scene_grouper(options) if clips else read_grouper(options, learned=model is not None)
    if not words:
        raise ConfigError("`IN` names no file; give photographs, or clips with --model")
    for word in words:
        check_files(word, "IN")
        if word.lower().endswith(CLIP_ENDINGS) != clips:
            raise ConfigError(
                f"`IN` {word!r} is no clip as others are; group clips and photographs one after the other"
            )
    if clips and model is None:
        raise ConfigError("`--model` is missing: clips are grouped by a run of co_occurrence with context=frames")
    if model is not None:
        check_model(model, "co_occurrence")
    check_folder(out, "--out")
    before = listing(out)

    from tfssl.grouping.gallery import clip_gallery, photograph_gallery

    kind = "clips" if clips else "photographs"
    say(f"group: {len(words)} of {kind}{'' if model is None else f', model {model}'}, to {out}", err=True)
    learned = None
    if model is not None:
        from tfssl.api.grouping import frame_affinities, pixel_affinities

        learned = frame_affinities(model) if clips else pixel_affinities(model)
    from tfssl import runtime

    nothing = contextlib.nullcontext()
    with nothing if model is None else runtime.measuring(), CountProgress("clips" if clips else "steps") as progress:
        if clips:
            numbers, failed = clip_gallery(words, out, grouper, learned, model, progress)
        else:
            numbers, failed = photograph_gallery(words, out, grouper, progress, learned, model)
    report_gallery(numbers, failed, out, before)
