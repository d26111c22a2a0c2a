"""The human test of colorization: realism-test make, realism-test score."""

from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import (
    DATA_HELP,
    Command,
    app,
    check_data,
    check_files,
    check_model,
    listing,
    report_skipped,
    report_written,
    say,
)
from tfssl.errors import ConfigError
from tfssl.files import check_folder
from tfssl.training.progress import CountProgress

realism = typer.Typer(help="Real or fake? Let people tell true colors from a model's.", rich_markup_mode=None)
app.add_typer(realism, name="realism-test")

_RANDOM = "random"


@realism.command(cls=Command)
def make(
    photos: Annotated[str, typer.Argument(metavar="PHOTOS", help=f"Photographs in color: {DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="New folder for index.html and images/.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A run directory, an export, a shipped model, or random: the colors of another photograph; "
            "repeatable. Default colorizer."
        ),
    ] = None,
    practice: Annotated[int, typer.Option(help="Pairs with feedback, not scored.")] = 10,
    pairs: Annotated[int, typer.Option(help="Pairs that are scored; one attention check comes with each ten.")] = 40,
    seconds: Annotated[float, typer.Option(help="How long each image is shown.")] = 1.0,
    pass_checks: Annotated[
        float, typer.Option(help="Fraction of the attention checks to get right to be counted; fixed with the page.")
    ] = 0.75,
    limit: Annotated[int, typer.Option(help="At most N photographs, drawn at random.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
):
    """Write a page that shows pairs, a photograph and the same recolored, and asks which one is fake.

    It needs no server and no network. Each participant gets one of the models, by chance.

    Example: tfssl realism-test make photos/ --model colorizer --model runs/mine --out page/
    """
    check_data(photos, "PHOTOS")
    sources = model or ["colorizer"]
    names = _names(sources)
    for source in sources:
        if source != _RANDOM:
            check_model(source, "colorization", "hypercolumn_colorization")
    check_folder(out, "--out")

    from tfssl.realism.page import check_test, write_test

    options = {"practice": practice, "pairs": pairs, "seconds": seconds, "pass_checks": pass_checks, "limit": limit}
    check_test(out, **options)
    recolor = {name: _recolor(source) for name, source in names.items()}
    with CountProgress("photographs") as progress:
        page, number, skipped = write_test(photos, recolor, out, seed=seed, progress=progress, **options)
    report_skipped(skipped)
    say(f"written to {page}: {number} photographs, models {', '.join(names)}")


def _names(sources):
    """``{name in the answers: source}`` of models: the last part of a path, all of it where that is another's too."""
    last = [Path(source).name or source for source in sources]
    names = [source if last.count(name) > 1 else name for source, name in zip(sources, last, strict=True)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"`--model` {twice!r} is given twice; give each model once")
    return dict(zip(names, sources, strict=True))


def _recolor(source):
    """The function that :func:`tfssl.realism.pairs.write_images` takes for a model."""
    if source == _RANDOM:
        return None
    from tfssl.api import load
    from tfssl.color.predict import Colorizer

    colorizer = Colorizer(*load(source), {"": None})
    return lambda photograph: colorizer(photograph)[""]


@realism.command(cls=Command)
def score(
    files: Annotated[list[str], typer.Argument(metavar="FILES", help="Files of answers, folders or globs.")],
    out: Annotated[Path | None, typer.Option(help="Folder for scores.json, per_image.csv, rates.png.")] = None,
):
    """Score files of answers: how often each model fooled people, with errors over participants.

    Example: tfssl realism-test score answers/*.json --out scores/
    """
    for source in files:
        check_files(source, "FILES")
    if out is not None:
        check_folder(out, "--out")

    from tfssl.realism.answers import read_answers
    from tfssl.realism.score import score as score_sessions, write_score

    answers = read_answers(files)
    found = score_sessions(answers.sessions)
    for line in _table(found):
        say(line)
    for path, reason in answers.refused.items():
        say(f"refused {path}: {reason}", err=True)
    if out is not None:
        before = listing(out)
        write_score(found | {"refused": answers.refused}, out)
        report_written(out, before)
    if answers.refused:
        raise typer.Exit(1)


def _table(found):
    """The scores as lines of text."""
    protocol, models = found["protocol"], found["models"]
    yield f"study {found['study']}: fraction of pairs whose real image was called fake; 50 % cannot be told apart"
    width = max(8, *map(len, models))
    yield f"{'model':{width}}  fooled   s.e.      95 % interval  people  excluded  checks  reaction    left"
    for name, one in models.items():
        ends = one["interval_95"] or (None, None)
        interval = f"{_percent(ends[0])} to {_percent(ends[1])}"
        reaction = "-" if one["median_reaction_seconds"] is None else f"{one['median_reaction_seconds']:.2f} s"
        yield (
            f"{name:{width}}  {_percent(one['fooled']):>6}  {_percent(one['standard_error']):>6}  {interval:>16}  "
            f"{one['participants']:6d}  {len(one['excluded']):8d}  {_percent(one['checks_passed']):>6}  {reaction:>8}  "
            f"{_percent(one['answered_left']):>6}"
        )
    yield (
        f"excluded by the page's rule: fewer than {protocol['checks_needed']} of {protocol['checks']} attention checks "
        f"right; people are counted without them, checks with them"
    )
    for one in found["differences"]:
        if one["p"] is not None:
            yield (
                f"{one['models'][0]} - {one['models'][1]}: {100 * one['difference']:+.1f} points, "
                f"s.e. {100 * one['standard_error']:.1f}, p = {one['p']:.4f}"
            )
    mistimed = sum(one["mistimed_trials"] for one in models.values())
    if mistimed:
        yield f"{mistimed} of {sum(one['trials'] for one in models.values())} scored pairs were shown 0.1 s off or more"


def _percent(fraction):
    return "-" if fraction is None else f"{100 * fraction:.1f} %"
