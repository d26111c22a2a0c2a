"""Commands that write files for others: export, check-export, prepare."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import DATA_HELP, app, check_choice, check_data, report_skipped, say
from tfssl.errors import ConfigError
from tfssl.resources import find_model
from tfssl.training.progress import CountProgress

# Format -> what --quantize may say, its default first.
_FORMATS = {
    "savedmodel": ("none", "float16"),
    "tflite": ("none", "float16", "dynamic", "int8"),
    "web": ("float16", "none", "dynamic", "int8"),
}

prepare = typer.Typer(
    help="Write data for training once, to read it often: shards, HHA, tracks.", rich_markup_mode=None
)
app.add_typer(prepare, name="prepare")


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run directory, or a shipped model's name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    format: Annotated[str, typer.Option(help="savedmodel, tflite or web.")] = "savedmodel",
    quantize: Annotated[
        str | None,
        typer.Option(help="none (default), float16 (default of web); with tflite and web also dynamic or int8."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Representative images, for int8 only; default builtin.")] = None,
    max_megapixels: Annotated[
        float | None, typer.Option(help="Largest image that a SavedModel decodes; default 25.")
    ] = None,
    litert: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With web: node_modules/@litertjs/core; default: npm fetches it."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
):
    """Write a SavedModel for TensorFlow Serving, a .tflite file for phones, or a page that colorizes in the browser.

    Example: tfssl export runs/mine --out export/ --format tflite --quantize int8
    """
    check_choice("--format", format, _FORMATS)
    check_choice(f"--quantize with --format {format}", quantize, _FORMATS[format])
    quantize = quantize or _FORMATS[format][0]
    if data is not None and quantize != "int8":
        raise ConfigError(f"--data {data} is read for --quantize int8 only; leave it out")
    if max_megapixels is not None and format != "savedmodel":
        raise ConfigError(f"--max-megapixels goes with --format savedmodel only. Received: --format {format}")
    if litert is not None and format != "web":
        raise ConfigError(f"--litert {litert} goes with --format web only. Received: --format {format}")
    check_data(data or "builtin")
    find_model(run)

    from tfssl.export import export_run

    options: dict = {} if max_megapixels is None else {"max_megapixels": max_megapixels}
    options |= {} if data is None else {"representative": data}
    report = export_run(run, out, format=format, quantize=quantize, litert=litert, overwrite=overwrite, **options)
    for line in report:
        say(line)


@app.command("check-export")
def check_export(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by tfssl export.")]):
    """Load and run an export in a fresh process, as a server would, and compare it with the Keras model.

    Example: tfssl check-export export/
    """
    import os
    import subprocess
    import tempfile

    # The child finds the modules that this process finds, but works in a folder where nothing is of use to a stranger.
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    command = [sys.executable, "-P", "-m", "tfssl.export.check", str(folder.expanduser().absolute())]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(command, cwd=scratch, env=os.environ | {"PYTHONPATH": path}, check=False)
    raise typer.Exit(done.returncode)


@prepare.command()
def shards(
    data: Annotated[str, typer.Argument(metavar="SRC", help=f"Images: {DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards; read them with --data 'OUT/*.tfrecord'.")],
    shards: Annotated[int, typer.Option(help="Number of files.")] = 8,
    name: Annotated[str | None, typer.Option(help="Of the shards; default the name of the folder.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Store each file's folder as its class.")] = False,
    max_size: Annotated[int | None, typer.Option(min=1, help="Scale larger images down to this many pixels.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Encode larger files anew.")] = None,
):
    """Write a folder of images, or any other image source, as TFRecord shards.

    Example: tfssl prepare shards photos/ --out shards/ --shards 8
    """
    from tfssl.data.shards import write_shards

    with CountProgress("images") as progress:
        skipped = write_shards(
            data,
            out,
            shards=shards,
            name=name,
            labels=labels,
            max_size=max_size,
            max_bytes=max_bytes,
            progress=progress,
        )
    say(f"written to {out}: {shards} shards, {len(skipped)} images left out")
    report_skipped(skipped)
    if skipped:
        raise typer.Exit(1)


@prepare.command()
def hha(
    data: Annotated[str, typer.Argument(metavar="SRC", help="Images with depth: color/ and depth/, see docs/data.md.")],
    out: Annotated[Path, typer.Option(help="Folder for color/ and hha/; train on it with task=rgbd.")],
    camera: Annotated[
        tuple[float, float, float, float], typer.Option(metavar="FX FY CX CY", help="Intrinsics in pixels.")
    ],
    scale: Annotated[
        float | None, typer.Option(help="Units of the depth in a meter; default 1000 for whole numbers.")
    ] = None,
):
    """Write the depth of images as HHA: disparity, height above the floor, angle to gravity.

    Example: tfssl prepare hha scene/ --out hha/ --camera 525 525 319.5 239.5
    """
    from tfssl.data.rgbd import write_hha

    fx, fy, cx, cy = camera
    with CountProgress("images") as progress:
        skipped = write_hha(data, out, fx=fx, fy=fy, cx=cx, cy=cy, scale=scale, progress=progress)
    say(f"written to {out}: color/ and hha/, {len(skipped)} images left out")
    report_skipped(skipped)
    if skipped:
        raise typer.Exit(1)


@prepare.command()
def tracks(
    data: Annotated[str, typer.Argument(metavar="CLIPS", help="Clips: a folder, a glob or a file.")],
    out: Annotated[Path, typer.Option(help="Folder for crops/, tables and sheet.png; train video_triplet on it.")],
    length: Annotated[int, typer.Option(help="Frames that a box is followed.")] = 30,
    every: Annotated[int, typer.Option(help="Frames from one place where a track may begin to the next.")] = 30,
    box: Annotated[
        int | None, typer.Option(help="Size of the box in pixels; default half of the shorter side of a frame.")
    ] = None,
    min_size: Annotated[int, typer.Option(help="Larger frames are reduced to this shorter side, in pixels.")] = 448,
):
    """Find what moves by itself in clips, follow it, and write the first and the last crop of each track.

    The same command again goes on where it was interrupted, and takes in new clips.

    Example: tfssl prepare tracks clips/ --out tracks/
    """
    from tfssl.data.clips import clip_source
    from tfssl.data.moving import Miner
    from tfssl.data.track_mining import mine_tracks
    from tfssl.visualization.tracks import track_sheet

    check_data(data, "CLIPS")
    miner = Miner(length=length, box=box)
    with CountProgress("clips") as progress:
        mined = mine_tracks(data, out, miner=miner, every=every, min_size=min_size, progress=progress)
    say(f"written to {out}: {mined.tracks} tracks in {mined.clips} clips")
    say("frames without one: " + ", ".join(f"{reason} {count}" for reason, count in mined.rejected.items() if count))
    if mined.tracks:
        track_sheet(clip_source(data, min_size=min_size), out, out / "sheet.png")
    report_skipped(mined.skipped)
    if mined.skipped:
        raise typer.Exit(1)
