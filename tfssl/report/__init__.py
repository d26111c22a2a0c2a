"""``tfssl report``: one page about one or several runs that opens offline and can be sent as it is."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tfssl.errors import ConfigError, TfsslError
from tfssl.report.about_measurements import own_metrics, transfer
from tfssl.report.about_runs import facts, glance, learning, pretext
from tfssl.report.galleries import find_galleries, visualizations
from tfssl.report.markup import Html, paragraph, section, tag
from tfssl.report.measurements import find_measurements
from tfssl.report.run_record import read_runs
from tfssl.report.style import STYLE

PAGE = "report.html"
"""Name of the page."""


def write_report(runs, out, *, evaluations=(), visualizations=(), data=None):
    """Write ``out/report.html``, whole or not at all.

    Runs, finished or not, stand side by side: what they are, the pictures of their pretext tasks, learning curves with
    the trivial predictor's loss, and whatever was measured and drawn, each figure beside its baselines. What is
    missing is said. The page holds its pictures itself and needs neither scripts nor a network.

    Args:
        runs: run directories. Evaluations in their folders ``evaluations/`` and pages of pictures in their folders
            ``visualizations/`` are found.
        out: folder to write to; made if missing. Evaluations in ``out/evaluations/`` are found too.
        evaluations: further folders with ``metrics.json`` of evaluations, searched to the bottom.
        visualizations: further folders that ``tfssl visualize`` wrote, searched to the bottom.
        data: images to draw the pictures of the pretext tasks from anew, see
            :func:`tfssl.data.images.image_source`; None takes those of the training.

    Returns:
        Path of the page.

    Raises:
        ModelError: if one of ``runs`` is no run directory.
        SourceError: if one of the given folders holds nothing to show, or ``data`` no pictures.
        ConfigError: if ``out`` is a file, or a configuration is damaged.
    """
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise ConfigError(f"`out` {str(out)!r} is a file; give a folder")
    records = read_runs(runs)
    here = [out / "evaluations"] if any(out.glob("evaluations/**/metrics.json")) else []
    measured, problems = find_measurements(records, [*evaluations, *here])
    galleries = find_galleries(records, visualizations)
    with tempfile.TemporaryDirectory() as folder:
        drawn = {} if data is None else _draw(records, data, Path(folder), problems)
        page = _page(records, measured, galleries, drawn, data, problems)
    out.mkdir(parents=True, exist_ok=True)
    unfinished = out / f".{PAGE}.tmp"
    try:
        unfinished.write_text(page, encoding="utf-8")
        os.replace(unfinished, out / PAGE)
    finally:
        unfinished.unlink(missing_ok=True)
    return out / PAGE


def _draw(runs, data, folder, problems):
    """Pictures of the pretext tasks of all finished runs, ``{name: file}``."""
    from tfssl.data.images import check_source, image_source
    from tfssl.training.runs import load_run

    check_source(image_source(data))
    drawn = {}
    for number, run in enumerate(runs):
        file = folder / f"{number}.png"
        try:
            method, model = load_run(run.folder)
            method.sample_sheet(model, data, file)
        except (TfsslError, ValueError, OSError) as error:  # the page shows the runs that are whole
            problems.append(f"No picture of {run.name} was drawn: {' '.join(str(error).split())}")
        else:
            drawn[run.name] = file
    return drawn


def _page(runs, measured, galleries, drawn, data, problems):
    names = ", ".join(run.name for run in runs)
    title = f"What was learned: {names}"
    sections = [
        glance(runs, measured),
        facts(runs),
        pretext(runs, drawn, data),
        learning(runs),
        own_metrics(runs, measured),
        transfer(runs, measured),
        visualizations(runs, galleries),
        _about(measured, problems),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Html(f"<style>{STYLE}</style>"),
    ]
    links = [tag("a", text, href=f"#{anchor}") for anchor, text in _CONTENTS.items()]
    body = [tag("header", tag("h1", title), paragraph(_summary(runs, measured, galleries), note=True))]
    body += [tag("nav", links, aria_label="Contents"), tag("main", sections)]
    return f'<!doctype html>\n<html lang="en">{tag("head", head)}{tag("body", body)}</html>\n'


_CONTENTS = {
    "glance": "At a glance",
    "runs": "Runs",
    "pretext": "Pretext task",
    "curves": "Learning curves",
    "own": "Own metrics",
    "transfer": "Transfer",
    "visualizations": "Pictures",
    "about": "About",
}


def _summary(runs, measured, galleries):
    from tfssl import __version__

    def count(number, thing):
        return f"{number} {thing}{'' if number == 1 else 's'}"

    found = (
        f"{count(len(runs), 'run')}, {count(len(measured), 'evaluation')}, {count(len(galleries), 'page')} of pictures"
    )
    return f"{found}. Written by tfssl {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."


def _about(measured, problems):
    parts = [paragraph(text) for text in _READING]
    strangers = [f"{m.folder}: {m.because}" for m in measured if m.run is None]
    stale = [f"{m.folder}: other weights than {m.run} now holds" for m in measured if m.stale]
    guessed = [f"{m.folder}: given to {m.run} {m.because}" for m in measured if m.because.endswith("only")]
    for heading, lines in (
        ("Could not be read or drawn", problems),
        ("Evaluations of none of the runs", strangers),
        ("Evaluations of other weights", stale),
        ("Evaluations whose run was guessed", guessed),
    ):
        if lines:
            parts += [tag("h3", heading), tag("ul", [tag("li", line) for line in lines])]
    if not (problems or strangers or stale or guessed):
        parts.append(paragraph("Every file that was found could be read, and every evaluation given to its run."))
    return section("about", "How to read this page", *parts)


_READING = (
    "Gains are the figure less that of the first baseline: the same network with new random weights where it was "
    "measured, or else the trivial answer named under it. Better and worse follow from the metric's name; where the "
    "name does not tell, the difference stands alone. Deviations are those of a sample of seeds.",
    "Networks are compared only within one table: all its figures come from the same pictures under the same "
    "constants. A single run says little about a method; a difference within the deviation says nothing.",
)
