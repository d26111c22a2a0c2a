"""The command line. Each command is a thin call of a Python function; heavy imports happen inside it."""

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

# Before TensorFlow is imported: its start-up notes would drown the one line that a user needs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from tfssl.errors import TfsslError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn to see without labels, and colorize photographs.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DATA_HELP = "builtin, a folder, a glob, *.tfrecord or tfds:NAME:SPLIT"


@app.command()
def methods():
    """The table of methods: paper, year, inputs, loss of the trivial predictor.

    Example: tfssl methods
    """
    from rich.console import Console
    from rich.table import Table

    from tfssl import methods as registry

    table = Table("method", "paper", "venue", "learns from", "baseline loss", box=None, pad_edge=False)
    for name in registry.names():
        method = registry.get(name)
        paper = method.paper
        citation = f"{paper.authors}: {paper.title}"
        table.add_row(name, citation, f"{paper.venue} {paper.year}", method.inputs, f"{method().baseline:.4f}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="A YAML file, or a shipped one such as colorization/cpu.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Replace values.")] = None,
    data: Annotated[str | None, typer.Option(help=f"Training images: {_DATA_HELP}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; resumes an interrupted run.")] = None,
):
    """Train a method. The same command again resumes an interrupted run.

    Example: tfssl train colorization/cpu --data photos/ --out runs/mine epochs=20
    """
    from tfssl.config import load_config
    from tfssl.training.fit import default_run, fit
    from tfssl.training.progress import Reporter

    overrides = list(overrides or []) + ([f"data={json.dumps(data)}"] if data is not None else [])
    loaded = load_config(config, overrides)
    run = out if out is not None else default_run(config, loaded)
    reporter = Reporter()
    try:
        fit(loaded, run, reporter=reporter)
    finally:
        reporter.stop()
    typer.echo(f"run {run}: " + ", ".join(f"{k} {v:.6g}" for k, v in _read_json(run / "metrics.json").items()))


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(help="A run directory, an export, a shipped model; for tasks also random:BACKBONE, pixels.")
    ],
    data: Annotated[
        str, typer.Option(help=f"Images to measure on: {_DATA_HELP}; of tasks, class folders.")
    ] = "builtin",
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json, tables and pictures.")] = None,
    task: Annotated[str | None, typer.Option(help="linear_probe, knn; default the method's own metrics.")] = None,
    test: Annotated[str | None, typer.Option(help="Tasks: class folders of the test pictures.")] = None,
    taps: Annotated[str | None, typer.Option(help="Tasks: layers to use, such as conv3,conv4; default all.")] = None,
    pool: Annotated[int | None, typer.Option(help="Tasks: average maps to NxN; default about 9000 numbers.")] = None,
    side: Annotated[int | None, typer.Option(help="Tasks: side of the pictures in pixels; default 96.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Tasks: number of splits; default 3.")] = None,
    temperature: Annotated[float | None, typer.Option(help="T of the annealed mean; default the model's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    compare: Annotated[list[str] | None, typer.Option(help="Another run to measure on the same pictures.")] = None,
):
    """The method's own metrics, or a transfer task on labelled folders, with baselines beside them.

    Example: tfssl evaluate colorizer --data photos/ --out results/
    Example: tfssl evaluate runs/mine --task linear_probe --data classes/train --test classes/test --out results/
    """
    from tfssl.api import evaluate as measure

    options: dict = {"temperature": temperature, "limit": limit, "compare": compare or None}
    options |= {"test": test, "taps": taps.split(",") if taps else None, "pool": pool, "side": side, "seeds": seeds}
    given = {name: value for name, value in options.items() if value is not None}
    with _progress("fits" if task else "images") as progress:
        metrics = measure(run, data, task=task, out=out, progress=progress, **given)
    _print_metrics(metrics)
    _report_skipped(metrics.get("skipped", {}))
    if out is not None:
        typer.echo(f"written to {out}: " + ", ".join(sorted(p.name for p in out.iterdir())))


@app.command()
def discover(
    run: Annotated[str, typer.Argument(help="A run directory of context_prediction.")],
    data: Annotated[str, typer.Option(help=f"Pictures; class folders give purity: {_DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="Folder for index.html, sheet.png, clusters.json, purity_coverage.*.")],
    constellations: Annotated[int, typer.Option(help="Squares of four patches to look for (paper: 16384).")] = 1000,
    top: Annotated[int, typer.Option(help="Best matching pictures that are checked.")] = 100,
    set_size: Annotated[int, typer.Option(help="Pictures that a cluster must be verified in.")] = 10,
    steps: Annotated[int, typer.Option(help="Grid positions per patch side.")] = 2,
    scale: Annotated[list[float] | None, typer.Option(help="Patch side as a multiple; repeatable. Default 1.")] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="untrained, pixels or hog; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N pictures.")] = None,
    seed: Annotated[int, typer.Option(help="Of the constellations drawn.")] = 0,
):
    """Find what occurs again and again in pictures, without labels, and write a page of it.

    Example: tfssl discover runs/context --data photos/ --out found/ --baseline untrained
    """
    from tfssl.api import load
    from tfssl.methods.context_prediction.discover import discover as find
    from tfssl.methods.context_prediction.mining import Mining

    method, model = load(run)
    mining = Mining(constellations=constellations, top=top, set_size=set_size, seed=seed)
    options: dict = {"steps": steps, "scales": tuple(scale or [1.0]), "baselines": baseline or [], "limit": limit}
    summary = find(method, model, data, out, mining=mining, progress=_progress, **options)
    _report_skipped(summary.pop("skipped"))
    _print_metrics(summary)
    typer.echo(f"written to {out}: " + ", ".join(sorted(p.name for p in out.iterdir())))


@app.command()
def colorize(
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help="Pictures, folders or globs, grey or colour.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; keeps the structure of input folders.")],
    model: Annotated[str, typer.Option(help="A run directory, an export, or a shipped model's name.")] = "colorizer",
    temperature: Annotated[
        float | None, typer.Option(help="Lower is more vivid, 1 most cautious; default the model's.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")] = False,
    format: Annotated[str | None, typer.Option(help="jpg or png; default as each input.")] = None,
):
    """Colorize photographs of any size.

    Example: tfssl colorize photos/ --out colour/
    """
    from tfssl.api import load
    from tfssl.errors import ConfigError, ModelError
    from tfssl.methods.colorization.colorize import colorize_paths
    from tfssl.methods.colorization.predict import compiled_predictor

    if temperature is not None and not 0 < temperature <= 1:
        raise ConfigError(f"`--temperature` must lie in (0, 1]. Received: {temperature}")
    method, network = load(model)
    if method.name() != "colorization":
        raise ModelError(f"`--model` {model!r} is a {method.name()} model; give a colorization model")
    with _progress("pictures") as progress:
        report = colorize_paths(
            inputs,
            out,
            compiled_predictor(method, network),
            side=method.network_side,
            stride=method.output_stride,
            temperature=temperature,
            overwrite=overwrite,
            format=format,
            progress=progress,
        )
    typer.echo(f"{len(report.done)} colorized, {len(report.skipped)} already there, {len(report.failed)} failed: {out}")
    for path, reason in report.failed.items():
        typer.echo(f"failed {path}: {reason}", err=True)
    if report.failed:
        raise typer.Exit(1)


@app.command()
def prior(
    data: Annotated[str, typer.Argument(metavar="SRC", help=f"Photographs: {_DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write.")],
):
    """Count how often each of the 313 colours occurs in your own photographs, for `prior: FILE` in a config.

    Example: tfssl prior photos/ --out prior.npy
    """
    import numpy as np

    from tfssl.data.images import image_source
    from tfssl.data.pipeline import Skipped
    from tfssl.methods.colorization.prior import estimate_prior, smooth_prior

    source = image_source(data)
    skipped = Skipped()
    with _progress("images") as progress:
        estimate = estimate_prior(source, skipped=skipped, progress=lambda done: progress(done, len(source)))
    if out.suffix != ".npy":
        out = out.with_name(out.name + ".npy")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        np.save(file, estimate)
    os.replace(temporary, out)
    smooth = smooth_prior(estimate)
    typer.echo(
        f"{out}: {len(source) - len(skipped.reasons)} images, {int((estimate > 0).sum())} of {len(estimate)} bins "
        f"occur, smoothed share of grey {smooth.max():.3f}"
    )
    _report_skipped(skipped.reasons)


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


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
):
    if version:
        from tfssl import __version__

        typer.echo(f"tfssl {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    elif not {"-h", "--help"} & set(sys.argv):
        _start_tensorflow()


def _start_tensorflow():
    """Import TensorFlow without its start-up notes, which its C++ side writes past every log setting."""
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def _progress(unit):
    from tfssl.training.progress import CountProgress

    return CountProgress(unit)


def _print_metrics(metrics):
    for key, value in metrics.items():
        if isinstance(value, (int, float, str)):
            typer.echo(f"{key:40s} {value if isinstance(value, str) else format(value, '.6g')}")


def _report_skipped(reasons):
    for name, reason in reasons.items():
        typer.echo(f"skipped {name}: {reason}", err=True)


def _read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 some inputs failed, 2 wrong use or bad input, 130 interrupted."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # a run's own log file takes the rest
    logging.basicConfig(format="%(message)s", handlers=[handler])
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # what matters of them comes back as a picture's reason
    try:
        code = app(args=arguments, standalone_mode=False)
    except TfsslError as error:
        code = _complain(str(error))
    except OSError as error:
        code = _complain(f"{error.strerror or error}: {error.filename or ''}")
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", 130)
    except Exception as error:
        # Typer's own usage errors; their classes are not public and moved between its releases.
        if not hasattr(error, "format_message"):
            raise
        code = _complain(f"{error.format_message()} (see tfssl --help)")
    sys.exit(code or 0)


def _complain(message, code=2):
    typer.echo(f"tfssl: {' '.join(message.split())}", err=True)
    return code
