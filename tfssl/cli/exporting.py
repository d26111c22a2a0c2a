"""Commands for exports: export, check-export."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import app


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run directory, or a shipped model's name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    format: Annotated[str, typer.Option(help="savedmodel or tflite.")] = "savedmodel",
    quantize: Annotated[str, typer.Option(help="For tflite: none, float16, dynamic or int8.")] = "none",
    data: Annotated[str, typer.Option(help="Representative images for int8.")] = "builtin",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
):
    """Write a SavedModel for TensorFlow Serving or a .tflite file for phones.

    Example: tfssl export runs/mine --out export/ --format tflite --quantize int8
    """
    from tfssl.export import export_run

    report = export_run(run, out, format=format, quantize=quantize, representative=data, overwrite=overwrite)
    for line in report:
        typer.echo(line)


@app.command("check-export")
def check_export(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by tfssl export.")]):
    """Load and run an export in a fresh process, as a server would, and compare it with the Keras model.

    Example: tfssl check-export export/
    """
    import subprocess

    raise typer.Exit(subprocess.run([sys.executable, "-m", "tfssl.export.check", str(folder)], check=False).returncode)
