"""Command for images of what was learned: visualize."""

from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import DATA_HELP, app, progress_bar, report_skipped

_UNTRAINED = "untrained"


@app.command()
def visualize(
    run: Annotated[str, typer.Argument(help="A run directory, an export, a shipped model, a .keras file of one.")],
    what: Annotated[str, typer.Argument(help="filters, dream, neighbors, units, embedding or distance.")],
    out: Annotated[Path, typer.Option(help="Folder for images, index.html and numbers.json.")],
    data: Annotated[str | None, typer.Option(help=f"Images for neighbors, units, embedding: {DATA_HELP}.")] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="Another run, or random:BACKBONE, to set beside; repeatable.")
    ] = None,
    tap: Annotated[
        list[str] | None, typer.Option(help="Layer to look at, such as conv4; repeatable for dream. Default the last.")
    ] = None,
    photo: Annotated[
        list[str] | None, typer.Option(help="dream: image to start from; distance: the query, then the others.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Images of --data to take, spread evenly.")] = None,
    image_size: Annotated[int | None, typer.Option(min=16, max=1024, help="Pixels along a side of the images.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="units: images of each unit; default 10.")] = None,
    fields: Annotated[int | None, typer.Option(min=0, help="units: receptive fields to measure; default 3.")] = None,
    k: Annotated[int | None, typer.Option(min=1, help="neighbors: how many; default 5.")] = None,
    perplexity: Annotated[float | None, typer.Option(help="embedding: below a third of the images.")] = None,
    octaves: Annotated[int | None, typer.Option(min=1, help="dream: sizes from coarse to fine; default 4.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the untrained network and of all that is drawn by chance.")] = 0,
):
    """Images of what a network learned, beside the same network untrained, and the numbers that go with them.

    Example: tfssl visualize runs/puzzles filters --out runs/puzzles/visualizations/filters --compare runs/context
    Example: tfssl visualize runs/puzzles units --data classes/ --tap conv5 --out runs/puzzles/visualizations/units
    Example: tfssl visualize runs/puzzles distance --photo car.jpg --photo bus.jpg --photo teeth.jpg --out distances/
    """
    import inspect

    from tfssl.data.examples import Skipped
    from tfssl.report.kinds import get_kind
    from tfssl.report.kinds import visualize as draw

    taken = inspect.signature(get_kind(what)).parameters
    options = {"data": data, "tap": _taps(what, tap), "photo": _photos(what, photo), "limit": limit}
    options |= {"image_size": image_size, "top": top, "fields": fields, "k": k}
    options |= {"perplexity": perplexity, "octaves": octaves}
    skipped = Skipped()
    options |= {name: value for name, value in {"seed": seed, "skipped": skipped}.items() if name in taken}
    networks = _networks(run, compare or [], seed)
    with progress_bar("steps") as progress:
        numbers = draw(networks, what, out=out, progress=progress, **options)
    _print_columns(numbers)
    report_skipped(skipped.reasons)
    typer.echo(f"written to {out}: " + ", ".join(sorted(path.name for path in out.iterdir())))


def _networks(run, compare, seed):
    """The run, the same network untrained, and what it is compared with, by name."""
    from tfssl.api import is_random, load_encoder
    from tfssl.errors import ConfigError
    from tfssl.evaluation.encoders import untrained

    names = [_name(source) for source in (run, *compare)]
    for name in names:
        if names.count(name) > 1 or name == _UNTRAINED:
            raise ConfigError(f"`--compare`: two networks would be called {name!r}; rename a folder")
    networks = {names[0]: load_encoder(run)}
    # Something without weights, or with random ones, is its own control.
    if networks[names[0]].variables and not is_random(run):
        networks[_UNTRAINED] = untrained(networks[names[0]], seed)
    return networks | {name: load_encoder(source) for name, source in zip(names[1:], compare, strict=True)}


def _name(source):
    return Path(source).expanduser().absolute().name if Path(source).exists() else source


def _taps(what, taps):
    from tfssl.errors import ConfigError

    if what == "dream" or not taps:
        return taps or None
    if len(taps) > 1:
        raise ConfigError(f"`--tap` can be given once for {what}. Received: {', '.join(taps)}")
    return taps[0]


def _photos(what, photos):
    from tfssl.errors import ConfigError

    if what != "dream" or not photos:
        return photos or None
    if len(photos) > 1:
        raise ConfigError(f"`--photo` can be given once for dream. Received: {', '.join(photos)}")
    return photos[0]


def _print_columns(numbers):
    """One line for each number, one column for each network."""
    from tfssl.visualization.page import format_cell

    rows = list(dict.fromkeys(key for column in numbers.values() for key in column))
    widths = [max(12, len(name)) for name in numbers]
    typer.echo(" " * 24 + "".join(f"  {name:>{width}}" for name, width in zip(numbers, widths, strict=True)))
    for key in rows:
        cells = (format_cell(column.get(key)) for column in numbers.values())
        typer.echo(f"{key:24s}" + "".join(f"  {c:>{width}}" for c, width in zip(cells, widths, strict=True)))
