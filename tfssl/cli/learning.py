"""Commands around learning: methods, train, evaluate."""

import importlib.util
import sys
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
    print_record,
    report_written,
    say,
)
from tfssl.cli.option_help import EvaluateCommand
from tfssl.errors import ConfigError
from tfssl.evaluation import task_names
from tfssl.files import read_json
from tfssl.training.progress import CountProgress


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


@app.command(cls=TakesOptions)
def train(
    context: typer.Context,
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or a shipped one such as colorization/cpu.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Replace values of it.")] = None,
    data: Annotated[str | None, typer.Option(help=f"What to learn from: {DATA_HELP}; default as CONFIG says.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory, resumed if it was interrupted; default runs/METHOD-CONFIG.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs to OUT/tensorboard.")] = False,
):
    """Train a method. The same command again resumes an interrupted run.

    Example: tfssl train colorization/cpu --data photos/ --out runs/mine epochs=20
    """
    from tfssl.config import load_config
    from tfssl.training.progress import Reporter

    given = given_options(context, overrides) + ([("data", data)] if data is not None else [])
    loaded = load_config(config, given)
    wanted = loaded.settings.data
    fix = f", the data that {config} names; give yours: --data SRC"
    check_data(wanted, "data", fix if wanted == load_config(config).settings.data else "")
    check_data(loaded.settings.validation, "validation")

    from tfssl.training.fit import default_run, fit

    run = out if out is not None else default_run(config, loaded)
    reporter = Reporter()
    try:
        fit(loaded, run, callbacks=_tensorboard(run) if tensorboard else (), reporter=reporter)
    finally:
        reporter.stop()
    say(f"run {run}: " + ", ".join(f"{k} {v:.6g}" for k, v in read_json(run / "metrics.json").items()))


def _tensorboard(run):
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("`--tensorboard` needs TensorBoard: pip install 'tfssl[tensorboard]'")
    import keras

    return [keras.callbacks.TensorBoard(run / "tensorboard", update_freq=10)]


@app.command(cls=EvaluateCommand)
def evaluate(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run directory, an export, a shipped model; for tasks also random:BACKBONE, local:NAME, pixels, "
            "vgg16, efficientnet_lite0 (extra pretrained).",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPTION=VALUE", help="Options of the method's metrics or of the task."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help=f"{', '.join(task_names())}; default the method's own metrics.")
    ] = None,
    data: Annotated[str, typer.Option(help=f"What to measure on: {DATA_HELP}; of tasks, as docs say.")] = "builtin",
    ensemble: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="With --task: one more encoder, its taps joined to RUN's; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json, tables and images.")] = None,
    table: Annotated[Path | None, typer.Option(help="A .csv or .json file to append a row to.")] = None,
):
    """The method's own metrics, or a transfer task on labeled data, with baselines beside them.

    Options are written as limit=100 or --limit 100. With --task TASK, or RUN, --help lists them.

    Example: tfssl evaluate --task knn --help
    Example: tfssl evaluate colorizer --data photos/ --out results/ limit=100
    Example: tfssl evaluate runs/mine --task linear_probe --data classes/train --out results/ test=classes/test
    Example: tfssl evaluate runs/mine --task segmentation --data camvid/ strategy=fine_tune steps=2000
    Example: tfssl evaluate local:sift-bow --task linear_probe --data classes/ compare=local:hog
    Example: tfssl evaluate runs/puzzles --ensemble runs/split --task linear_probe --data classes/
    """
    from tfssl.api import evaluate as measure
    from tfssl.config import read_overrides

    check_data(data)
    given, before = read_overrides(given_options(context, options), TEXT_OPTIONS), listing(out)
    names = " + ".join([run, *(ensemble or ())])
    what = f"{f'the task {task}' if task else 'its own metrics'} of {names} on {data}"
    where = "no --out: only shown here" if out is None else f"results go to {out}"
    with _Announced("fits" if task else "images", what, where) as progress:
        record = measure(run, data, task=task, ensemble=ensemble, out=out, table=table, progress=progress, **given)
    print_record(record)
    if out is not None:
        report_written(out, before)


class _Announced(CountProgress):
    """Says once what is measured: at the first call, for then the arguments are known to be right."""

    def __init__(self, unit, what, where):
        super().__init__(unit)
        self._what, self._where = what, where

    def __call__(self, done, total, note=""):
        if self._what:
            say(f"{self._what}: {total} {self.unit}; {self._where}", err=True)
            self._what = ""
        super().__call__(done, total, note)
