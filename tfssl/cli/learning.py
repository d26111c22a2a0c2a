"""Commands around learning: methods, train, evaluate, discover."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import DATA_HELP, app, print_metrics, progress_bar, read_json, report_skipped

TASKS = "linear_probe, knn, few_shot, classification, voc_classification, detection, segmentation, surface_normals"


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
    data: Annotated[str | None, typer.Option(help=f"Training images: {DATA_HELP}.")] = None,
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
    typer.echo(f"run {run}: " + ", ".join(f"{k} {v:.6g}" for k, v in read_json(run / "metrics.json").items()))


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(help="A run directory, an export, a shipped model; for tasks also random:BACKBONE, pixels.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="More of the task's.")
    ] = None,
    data: Annotated[str, typer.Option(help=f"Images to measure on: {DATA_HELP}; of tasks, as docs say.")] = "builtin",
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json, tables and pictures.")] = None,
    task: Annotated[str | None, typer.Option(help=f"{TASKS}; default the method's own metrics.")] = None,
    table: Annotated[Path | None, typer.Option(help="A .csv or .json file to append a row to; needs --out.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Tasks: fine_tune, freeze, augment or joint.")] = None,
    test: Annotated[str | None, typer.Option(help="Tasks: class folders of the test pictures.")] = None,
    taps: Annotated[str | None, typer.Option(help="Tasks: layers to use, such as conv3,conv4; default all.")] = None,
    pool: Annotated[int | None, typer.Option(help="Tasks: average maps to NxN; default about 9000 numbers.")] = None,
    side: Annotated[int | None, typer.Option(help="Tasks: side of the pictures in pixels; default 96.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Tasks: number of splits; default 3.")] = None,
    temperature: Annotated[float | None, typer.Option(help="T of the annealed mean; default the model's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    compare: Annotated[list[str] | None, typer.Option(help="Another run to measure on the same pictures.")] = None,
    bank: Annotated[str | None, typer.Option(help="Inpainting: pictures to take nearest neighbors from.")] = None,
):
    """The method's own metrics, or a transfer task on labeled folders, with baselines beside them.

    Example: tfssl evaluate colorizer --data photos/ --out results/
    Example: tfssl evaluate runs/mine --task linear_probe --data classes/train --test classes/test --out results/
    Example: tfssl evaluate runs/mine --task segmentation --data camvid/ --strategy fine_tune steps=2000
    """
    from tfssl.api import evaluate as measure
    from tfssl.config import read_overrides

    flags: dict = {"temperature": temperature, "limit": limit, "compare": compare or None, "bank": bank}
    flags |= {"test": test, "taps": taps.split(",") if taps else None, "pool": pool, "image_size": side, "seeds": seeds}
    flags["strategy"] = strategy
    given = {name: value for name, value in flags.items() if value is not None} | read_overrides(options or [])
    with progress_bar("fits" if task else "images") as progress:
        record = measure(run, data, task=task, out=out, table=table, progress=progress, **given)
    for line in record.lines():
        typer.echo(line)
    report_skipped(record.skipped)
    if out is not None:
        typer.echo(f"written to {out}: " + ", ".join(sorted(p.name for p in out.iterdir())))


@app.command()
def discover(
    run: Annotated[str, typer.Argument(help="A run directory of context_prediction.")],
    data: Annotated[str, typer.Option(help=f"Pictures; class folders give purity: {DATA_HELP}.")],
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
    from tfssl.discovery.discover import discover as find
    from tfssl.discovery.mining import Mining

    method, model = load(run)
    mining = Mining(constellations=constellations, top=top, set_size=set_size, seed=seed)
    options: dict = {"steps": steps, "scales": tuple(scale or [1.0]), "baselines": baseline or [], "limit": limit}
    summary = find(method, model, data, out, mining=mining, progress=progress_bar, **options)
    report_skipped(summary.pop("skipped"))
    print_metrics(summary)
    typer.echo(f"written to {out}: " + ", ".join(sorted(p.name for p in out.iterdir())))
