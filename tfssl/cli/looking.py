"""Commands that show what was learned: visualize, report."""

from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import (
    DATA_HELP,
    TEXT_OPTIONS,
    TakesOptions,
    app,
    check_data,
    given_options,
    listing,
    report_skipped,
    report_written,
    say,
)
from tfssl.errors import ConfigError
from tfssl.files import check_folder, read_json, write_json
from tfssl.resources import find_model
from tfssl.training.progress import CountProgress


@app.command(cls=TakesOptions)
def visualize(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run directory, an export, a shipped model, a .keras file, random:BACKBONE, local:NAME, pixels.",
        ),
    ],
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="filters, dream, neighbors, units, embedding, distance or steps.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="OPTION=VALUE", help="Of WHAT, see docs/visualization.md.")
    ] = None,
    *,  # --out has no default
    out: Annotated[Path, typer.Option(help="Folder for images, index.html and numbers.json.")],
    data: Annotated[
        str | None, typer.Option(help=f"Images of neighbors, units, embedding, steps: {DATA_HELP}.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Another run, or random:BACKBONE, to set beside; repeatable."),
    ] = None,
):
    """Show what a network learned, beside the same network untrained, and the numbers that go with it.

    Options are written as tap=conv5 or --tap conv5.

    Example: tfssl visualize runs/puzzles filters --out runs/puzzles/visualizations/filters --compare runs/context
    Example: tfssl visualize runs/puzzles units --data classes/ --out runs/puzzles/visualizations/units tap=conv5
    Example: tfssl visualize local:sift-bow steps --out steps/ --photo car.jpg
    Example: tfssl visualize runs/puzzles distance --out distances/ --photo car.jpg --photo bus.jpg --photo teeth.jpg
    """
    from tfssl.api import visualize as draw
    from tfssl.config import read_overrides
    from tfssl.data.examples import Skipped

    check_data(data)
    given = read_overrides(given_options(context, options), TEXT_OPTIONS) | ({"data": data} if data is not None else {})
    skipped, before = Skipped(), listing(out)
    with CountProgress("steps") as progress:
        numbers = draw(run, what, out=out, compare=compare or (), progress=progress, skipped=skipped, **given)
    _print_columns(numbers)
    report_skipped(skipped.reasons)
    report_written(out, before)


def _print_columns(numbers):
    from tfssl.visualization.page import format_cell

    rows = list(dict.fromkeys(key for column in numbers.values() for key in column))
    widths = [max(12, len(name)) for name in numbers]
    say(" " * 24 + "".join(f"  {name:>{width}}" for name, width in zip(numbers, widths, strict=True)))
    for key in rows:
        cells = (format_cell(column.get(key)) for column in numbers.values())
        say(f"{key:24s}" + "".join(f"  {c:>{width}}" for c, width in zip(cells, widths, strict=True)))


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Run directories, shown side by side.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, and for evaluations/ with --data or --task.")],
    evaluations: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="Folder of evaluations, searched to the bottom; repeatable.")
    ] = None,
    visualizations: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="Folder that tfssl visualize wrote; repeatable.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=f"Draw new samples and measure the methods' own metrics: {DATA_HELP}.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="A task to evaluate on --classes; repeatable.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Labeled images for --task.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most N images of --data, and of each split of --classes.")
    ] = None,
):
    """Write one page about runs that opens offline: samples, curves, evaluations with their baselines.

    Evaluations are found in RUN/evaluations/, what tfssl visualize drew in RUN/visualizations/.

    Example: tfssl report runs/puzzles runs/context --evaluations results/ --out page/
    Example: tfssl report runs/puzzles --task knn --classes classes/ --out page/
    """
    if bool(task) != bool(classes):
        raise ConfigError("`--task` and `--classes` go together: a task, and the labeled images for it")
    check_data(data)
    check_data(classes, "--classes")
    for run in runs:
        find_model(run)
    check_folder(out)

    from tfssl.report import find_evaluations, find_galleries, write_report
    from tfssl.report.runs import read_runs

    records, options = read_runs(runs), {} if limit is None else {"limit": limit}
    find_evaluations(records, evaluations or ())  # refused now, not after the measuring
    find_galleries(records, visualizations or ())
    for run in records if data or task else ():
        if data:
            _measure(run, None, data, out, options)
        for name in task or ():
            _measure(run, name, classes, out, options)
    page = write_report(runs, out, evaluations=evaluations or (), visualizations=visualizations or (), data=data)
    say(f"written to {page} ({page.stat().st_size / 1e6:.1f} MB)")


def _measure(run, task, data, out, options):
    """Evaluate into ``out/evaluations/RUN/TASK``, unless that lies there already, of the same weights and data."""
    from tfssl.api import evaluate

    folder = out / "evaluations" / run.name.replace("/", "-") / (task or "own")
    if run.weights is None:
        say(f"{run.name} is not finished: not evaluated", err=True)
        return
    asked = {"task": task, "data": data, "weights_sha256": run.fingerprint, **options}
    stamp = folder / "asked.json"
    if stamp.is_file() and read_json(stamp) == asked:
        return
    with CountProgress("fits" if task else "images") as progress:
        record = evaluate(run.folder, data, task=task, out=folder, progress=progress, **options)
    report_skipped(record.skipped)
    write_json(stamp, asked)
