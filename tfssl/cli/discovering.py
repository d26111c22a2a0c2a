"""The command ``discover``: what occurs again and again in images."""

from pathlib import Path
from typing import Annotated

import typer

from tfssl.cli.app import DATA_HELP, app, check_choice, check_data, listing, report_skipped, report_written, say
from tfssl.errors import ConfigError
from tfssl.files import check_folder
from tfssl.resources import find_model
from tfssl.training.progress import CountProgress

_WAYS = ("constellations", "context")


@app.command()
def discover(
    data: Annotated[str, typer.Option(help=f"Images; class folders give purity: {DATA_HELP}.")],
    out: Annotated[Path, typer.Option(help="Folder for index.html, sheet.png, clusters.json, purity_coverage.*.")],
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="For constellations: a run directory of context_prediction.")
    ] = None,
    how: Annotated[
        str | None, typer.Option(help="constellations (of a network's patches, the default) or context (no RUN).")
    ] = None,
    set_size: Annotated[
        int | None, typer.Option(help="Images of a cluster that count; 10 for constellations, 5 for context.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    constellations: Annotated[
        int | None, typer.Option(help="Constellations: squares of four patches; 1000 (paper: 16384).")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Constellations: best images that are checked; 100.")] = None,
    steps: Annotated[int | None, typer.Option(help="Constellations: grid positions per patch side; 2.")] = None,
    scale: Annotated[
        list[float] | None,
        typer.Option(metavar="FACTOR", help="Constellations: patch size as a multiple; repeatable; 1."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Constellations: untrained, pixels or hog; repeatable."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Context: patches to start clusters from; 200.")] = None,
    neighbors: Annotated[int | None, typer.Option(help="Context: images in each cluster; 20 (code: 200).")] = None,
    predictors: Annotated[int | None, typer.Option(help="Context: images that predict a patch; 5 (paper: 20).")] = None,
    components: Annotated[
        int | None, typer.Option(help="Context: of each mixture of texture; 64 (paper: 5000).")
    ] = None,
    levels: Annotated[int | None, typer.Option(help="Context: scales in an octave; 3 (paper: 8).")] = None,
    rounds: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Context: patches verified in a round; repeatable; 1, 2 and 4 (paper: to 16)."),
    ] = None,
):
    """Find what occurs again and again in images, without labels, and write a page of it.

    Example: tfssl discover runs/context --data photos/ --out found/ --baseline untrained
    Example: tfssl discover --how context --data photos/ --out found/
    """
    check_choice("--how", how, _WAYS)
    how = how or ("constellations" if run is not None else "")
    if how != "context" and run is None:
        raise ConfigError(
            "`RUN` is missing: constellations need a run of context_prediction; give it, or --how context, which "
            "needs none"
        )
    if how == "context" and run is not None:
        raise ConfigError(f"`--how context` uses no network; leave out {run!r}, or give --how constellations")
    networks = {"constellations": constellations, "top": top, "steps": steps, "scale": scale, "baseline": baseline}
    contexts = {
        "seeds": seeds,
        "neighbors": neighbors,
        "predictors": predictors,
        "components": components,
        "levels": levels,
        "rounds": tuple(rounds) if rounds else None,
    }
    for name, value in (networks if how == "context" else contexts).items():
        if value is not None:
            other = _WAYS[how == "constellations"]
            raise ConfigError(f"`--{name}` is an option of --how {other}; leave it out with --how {how}")
    check_data(data)
    if run is not None:
        find_model(run)
    check_folder(out)
    before = listing(out)
    given: dict = {key: value for key, value in {**contexts, "set_size": set_size}.items() if value is not None}
    if how == "context":
        from tfssl.discovery.context.discover import discover_context
        from tfssl.discovery.context.mining import ContextMining

        mining = ContextMining(**given, seed=seed)
        summary = discover_context(data, out, mining=mining, limit=limit, progress=CountProgress)
    else:
        summary = _constellations(run, data, out, networks, {**given, "seed": seed}, limit)
    report_skipped(summary.pop("skipped"))
    for name, value in summary.items():
        say(f"{name:40s} {value:.6g}")
    report_written(out, before)


def _constellations(run, data, out, options, given, limit):
    from tfssl.api import load
    from tfssl.discovery.discover import discover as find
    from tfssl.discovery.mining import Mining

    method, model = load(run)
    known = {key: options[key] for key in ("constellations", "top") if options[key] is not None}
    grid = {"steps": options["steps"] or 2, "scales": tuple(options["scale"] or [1.0])}
    mining = Mining(**known, **given)
    baselines = options["baseline"] or []
    return find(
        method, model, data, out, mining=mining, baselines=baselines, limit=limit, progress=CountProgress, **grid
    )
