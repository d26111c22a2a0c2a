"""Command for the page about runs: report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import DATA_HELP, app, progress_bar, report_skipped


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directories, shown side by side.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, and for evaluations/ with --data.")],
    evaluations: Annotated[
        list[str] | None, typer.Option(help="Folder of evaluations, searched to the bottom; repeatable.")
    ] = None,
    visualizations: Annotated[
        list[str] | None, typer.Option(help="Folder that tfssl visualize wrote; repeatable.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=f"Draw new images and measure the methods' own metrics: {DATA_HELP}.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task to evaluate on --classes; repeatable.")] = None,
    classes: Annotated[str | None, typer.Option(help="Labeled images for --task.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images of --data.")] = None,
):
    """Write one page about runs that opens offline: images, curves, evaluations with their baselines.

    Evaluations are found in RUN/evaluations/, what tfssl visualize wrote in RUN/visualizations/.

    Example: tfssl report runs/puzzles runs/context --evaluations results/ --out page/
    Example: tfssl report runs/puzzles --task knn --classes classes/ --out page/
    """
    from tfssl.errors import ConfigError
    from tfssl.report import write_report
    from tfssl.report.runs import read_runs

    if bool(task) != bool(classes):
        raise ConfigError("`--task` and `--classes` go together: a task, and the labeled images for it")
    for run in read_runs(runs) if data or task else ():
        if data:
            _measure(run, None, data, out, {"limit": limit} if limit else {})
        for name in task or ():
            _measure(run, name, classes, out, {})
    page = write_report(runs, out, evaluations=evaluations or (), visualizations=visualizations or (), data=data)
    typer.echo(f"written to {page} ({page.stat().st_size / 1e6:.1f} MB)")


def _measure(run, task, data, out, options):
    """Evaluate into ``out/evaluations/RUN/TASK``, unless that lies there already, of the same weights and images."""
    from tfssl.api import evaluate
    from tfssl.evaluation.provenance import add_model

    folder = out / "evaluations" / run.name.replace("/", "-") / (task or "own")
    if run.weights is None:
        typer.echo(f"{run.name} is not finished: not evaluated", err=True)
        return
    asked = {"task": task, "data": data, "weights_sha256": run.fingerprint, **options}
    stamp = folder / "asked.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == asked:
        return
    with progress_bar("fits" if task else "images") as progress:
        metrics = evaluate(run.folder, data, task=task, out=folder, progress=progress, **options)
    report_skipped(metrics.get("skipped", {}))
    add_model(folder, run.folder)
    stamp.write_text(json.dumps(asked) + "\n", encoding="utf-8")
