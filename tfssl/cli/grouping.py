"""The command group: what belongs together in photographs and clips."""

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
        str | None, typer.Option(help="For clips: a run directory of co_occurrence with context=frames.")
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
    grouper = read_grouper(options) if model is None else read_scene_grouper(options)
    if not words:
        raise ConfigError("`IN` names no file; give photographs, or clips with --model")
    for word in words:
        check_files(word, "IN")
        if (is_clip := word.lower().endswith(CLIP_ENDINGS)) != (model is not None):
            fix = "clips need --model RUN" if is_clip else "photographs are grouped without --model"
            raise ConfigError(f"`IN` {word!r}: {fix}")
    if model is not None:
        check_model(model, "co_occurrence")
    check_folder(out, "--out")
    before = listing(out)

    from tfssl.grouping.gallery import clip_gallery, photograph_gallery

    say(f"group: {len(words)} of {'photographs' if model is None else f'clips, model {model}'}, to {out}", err=True)
    if model is None:
        with CountProgress("steps") as progress:
            numbers, failed = photograph_gallery(words, out, grouper, progress)
    else:
        from tfssl import runtime
        from tfssl.api.grouping import frame_affinities

        affinities = frame_affinities(model)
        with runtime.measuring(), CountProgress("clips") as progress:
            numbers, failed = clip_gallery(words, out, grouper, affinities, model, progress)
    report_gallery(numbers, failed, out, before)
