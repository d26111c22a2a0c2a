"""``tfssl report``: one page about one or several runs that opens offline and can be sent as it is."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tfssl.errors import ConfigError, SourceError, TfsslError
from tfssl.files import read_json
from tfssl.options import as_path
from tfssl.report.evaluations import find_evaluations, headline, own_metrics, transfer
from tfssl.report.runs import facts, learning, pretext, read_runs, verdict
from tfssl.visualization import page

PAGE = "report.html"  # name of the page

_READING = (
    "Gains are the number less that of the strongest baseline: the same network with new random weights, raw pixels, "
    "or a trivial answer, named under it. Better and worse follow from what the record says of the "
    "metric; where it says nothing, the difference stands alone; one within the deviation is "
    "neither. Deviations are those of a sample of seeds.\n\n"
    "Encoders are compared only within one table: all its numbers come from the same images under the same "
    "constants. A single run says little about a method; a difference within the deviation says nothing."
)


def write_report(runs, out, *, evaluations=(), visualizations=(), data=None):
    """Write ``out/report.html``, whole or not at all, and return its path.

    Runs, finished or not, stand side by side: what they are, the images of their pretext tasks, learning curves with
    the trivial predictor's loss, and whatever was measured and drawn, each number beside its baselines. What is
    missing is said. The page holds its images itself and needs neither scripts nor a network.

    Args:
        runs: run directories. Evaluations in their folders ``evaluations/`` and what ``tfssl visualize`` wrote in
            their folders ``visualizations/`` are found.
        out: folder to write to; made if missing. Evaluations in ``out/evaluations/`` are found too.
        evaluations: further folders with ``metrics.json`` of evaluations, searched to the bottom.
        visualizations: further folders that ``tfssl visualize`` wrote, searched to the bottom.
        data: images to draw those of the pretext tasks from anew, as the methods learn from; None takes those of the
            training.

    Raises:
        ModelError: if one of ``runs`` is no run directory.
        SourceError: if one of the given folders holds nothing to show, or ``data`` nothing to draw from.
        ConfigError: if ``out`` is a file, or a configuration is damaged.
    """
    out = as_path("out", out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"`out` must be a folder. Received: out={str(out)!r}, a file")
    records = read_runs(runs)
    here = [out / "evaluations"] if any(out.glob("evaluations/**/metrics.json")) else []
    measured, problems = find_evaluations(records, [*evaluations, *here])
    galleries = find_galleries(records, visualizations)
    with tempfile.TemporaryDirectory() as folder:
        drawn = {} if data is None else _draw(records, data, Path(folder), problems)
        sections = [
            _glance(records, measured),
            facts(records),
            pretext(records, drawn, data),
            learning(records),
            own_metrics(records, measured),
            transfer(records, measured),
            _galleries(records, galleries),
            _about(measured, problems),
        ]
        title = f"What was learned: {', '.join(run.name for run in records)}"
        text = _summary(run=records, evaluation=measured, visualization=galleries)
        return page.write_page(out / PAGE, title, sections, text=text)


def _draw(runs, data, folder, problems):
    """Images of the pretext tasks of all finished runs, ``{name: file}``."""
    from tfssl.data.pipeline import pipeline_errors
    from tfssl.data.source import check_source
    from tfssl.training.runs import load_run

    for method in {run.method.name(): run.method for run in runs}.values():
        check_source(method.open(data))
    drawn = {}
    for number, run in enumerate(runs):
        file = folder / f"{number}.png"
        try:
            method, model = load_run(run.folder)
            with pipeline_errors("be drawn from"):
                method.sample_sheet(model, data, file)
        except (TfsslError, ValueError, OSError) as error:  # the page shows the runs that are whole
            problems.append(f"No image of {run.name} was drawn: {' '.join(str(error).split())}")
        else:
            drawn[run.name] = file
    return drawn


def _summary(**found):
    from tfssl import __version__

    counts = ", ".join(f"{len(items)} {thing}{'' if len(items) == 1 else 's'}" for thing, items in found.items())
    return f"{counts}. Written by tfssl {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."


def _glance(runs, measured):
    """How each run went, and the first metric of each evaluation beside its baseline."""
    rows = []
    for run in runs:
        loss, trivial = run.last.get("loss"), run.last.get("baseline")
        gain = verdict(None if None in (loss, trivial) else loss - trivial, False)
        what = f"{run.method.name()}; {run.last.get('step', 0):,.0f} steps"
        beside = None if trivial is None else page.Cell(trivial, below="trivial predictor")
        rows.append([page.Cell(run.name, below=what), "loss at the end", loss, gain, beside])
        rows += [[page.Cell(run.name), *headline(one)] for one in measured if one.run == run.name]
    caption = "Every number stands beside what a predictor without learning reaches; losing to it is said."
    table = page.Table(["Run", "What", "Measured", "Gain", "Beside"], rows, caption)
    return page.Section("At a glance", [table], "glance")


def find_galleries(runs, folders):
    """Folders that ``tfssl visualize`` wrote, those of the runs first."""
    found = {folder: None for run in runs for folder in _search(run.folder / "visualizations")}
    for folder in folders:
        here = _search(Path(folder).expanduser())
        if not here:
            raise SourceError(f"`visualizations` {str(folder)!r} holds no index.html with images beside it")
        found |= dict.fromkeys(here)
    return list(found)


def _search(folder):
    return sorted(file.parent.resolve() for file in Path(folder).glob("**/index.html") if _images(file.parent))


def _images(folder):
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in page.FORMATS)


def _galleries(runs, folders):
    blocks: list = []
    if not folders:
        command = f"tfssl visualize {runs[0].folder} filters --out {runs[0].folder}/visualizations/filters"
        blocks += ["None were found. To have filters here:", page.Code(command)]
    for folder in folders:
        try:
            record = read_json(folder / "numbers.json")
        except (OSError, ValueError):
            record = {}
        record = record if isinstance(record, dict) else {}
        title, protocol = record.get("title") or page.words(folder.name), record.get("protocol") or {}
        figures = [page.Figure(file, f"{title}: {file.stem} ({folder.name}/{file.name})") for file in _images(folder)]
        settings = "; ".join(f"{page.words(key)} {value}" for key, value in protocol.items())
        made = f"Made with: {settings}." if settings else "How they were made is not recorded (no numbers.json)."
        numbers = page.numbers_table(record.get("numbers") or {}, f"Numbers of {title}")
        details = page.Details("How they were made", [made, page.Code(str(folder))])
        blocks += [page.Heading(title), page.Row(figures), numbers, details]
    return page.Section("Images of what was learned", blocks, "visualizations", "Images")


def _about(measured, problems):
    foreign = [f"{m.folder}: {m.because}" for m in measured if m.run is None]
    stale = [f"{m.folder}: other weights than {m.run} now holds" for m in measured if m.stale]
    guessed = [f"{m.folder}: given to {m.run} {m.because}" for m in measured if m.because.endswith("only")]
    blocks: list = [_READING]
    for heading, lines in (
        ("Could not be read or drawn", problems),
        ("Evaluations of none of the runs", foreign),
        ("Evaluations of other weights", stale),
        ("Evaluations whose run was guessed", guessed),
    ):
        blocks += [page.Heading(heading), "\n\n".join(lines)] if lines else []
    if len(blocks) == 1:
        blocks.append("Every file that was found could be read, and every evaluation given to its run.")
    return page.Section("How to read this page", blocks, "about", "About")
