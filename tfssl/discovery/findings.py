"""The files of an object discovery: ``clusters.json``, the purity-coverage curve, a sheet and a page."""

import contextlib
import csv
import dataclasses
import json
import os

import numpy as np

from tfssl import __version__
from tfssl.discovery.page import write_page, write_sheet
from tfssl.discovery.purity import area_under_curve, purity, purity_coverage, random_sets
from tfssl.visualization.line_plot import line_plot

_ENDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the axis of coverage
_RANDOM = "random"
_NAMES = {"": "learned", "untrained": "untrained network", "pixels": "raw pixels", "hog": "HOG", _RANDOM: "random sets"}


def write_findings(out, source, labels, found, grid, mining, shown):
    """Write what was found; every file appears whole.

    Args:
        out: folder, a ``Path``; made if missing.
        source: the :class:`tfssl.data.images.ImageSource` that was searched.
        labels: class of each of its pictures, or None.
        found: ``{descriptor: Mined}``; ``""`` is the learned one, which the page and ``clusters.json`` are about.
        grid: the :class:`~tfssl.discovery.patch_index.Grid`.
        mining: the :class:`~tfssl.discovery.mining.Mining`.
        shown: most clusters on the page.

    Returns:
        The summary that :func:`~tfssl.discovery.discover.discover` returns.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary = {_key(name, key): value for name, mined in found.items() for key, value in _counts(mined, mining).items()}
    plot = None
    if labels is not None:
        curves = _curves(found, labels, mining)
        summary.update(_areas(curves))
        plot = out / "purity_coverage.png"
        _write_curves(curves, summary, plot)
    ours = found[""]
    settings = {**dataclasses.asdict(mining), **dataclasses.asdict(grid)}
    record = {"version": __version__, "settings": settings, "summary": summary, "skipped": ours.skipped}
    record["clusters"] = [_cluster_record(source, labels, c, mining.set_size) for c in ours.clusters]
    with _whole(out / "clusters.json") as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_sheet(source, ours.clusters, out / "sheet.png", mining.set_size, labels)
    with _whole(out / "index.html") as path:
        write_page(
            source,
            ours.clusters[:shown],
            path,
            title="Objects discovered without labels",
            facts=_facts(summary, grid, mining, min(shown, len(ours.clusters))),
            set_size=mining.set_size,
            labels=labels,
            curve=plot,
        )
    return {**summary, "skipped": ours.skipped}


def _key(name, key):
    return f"{name}_{key}" if name else key


def _counts(mined, mining):
    return {
        "pictures": float(len(mined.pictures)),
        "pictures_skipped": float(len(mined.skipped)),
        "patches": float(mined.patches),
        "embedding_mib": mined.patches * mined.dimensions * 2 / 2**20,
        "constellations": float(len(mined.scores)),
        "constellations_verified": float(np.sum(mined.scores >= mining.set_size)),
        "verified_mean": float(np.mean(mined.scores)),
        "clusters": float(len(mined.clusters)),
    }


def _curves(found, labels, mining):
    """``{descriptor: (coverage, purity)}``, and of random sets as many and as large as the learned ones."""
    sets = {name: [c.pictures(mining.set_size) for c in mined.clusters] for name, mined in found.items()}
    pictures = np.array(found[""].pictures)
    sets[_RANDOM] = random_sets(sets[""], pictures, np.random.default_rng(mining.seed))
    return {name: purity_coverage(members, labels, len(pictures)) for name, members in sets.items()}


def _areas(curves):
    summary = {}
    for name, (coverage, pure) in curves.items():
        summary[_key(name, "purity")] = float(pure[-1]) if len(pure) else 0.0
        summary[_key(name, "coverage")] = float(coverage[-1]) if len(pure) else 0.0
        summary[_key(name, "area")] = area_under_curve(coverage, pure)
    return summary


def _write_curves(curves, summary, plot):
    """The PNG, and the CSV beside it: one line for each point."""
    names = {name: f"{_NAMES[name]} ({summary[_key(name, 'area')]:.3f})" for name in curves}
    shown = {names[name]: curve for name, curve in curves.items()}
    covered = max((coverage[-1] for coverage, _ in curves.values() if len(coverage)), default=1.0)
    end = next(end for end in _ENDS if end >= covered)
    line_plot(shown, plot, x_label="coverage", y_label="mean purity (area under the curve)", x_range=(0.0, end))
    with (
        _whole(plot.with_suffix(".csv")) as path,
        open(path, "w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(["descriptor", "sets", "coverage", "purity"])
        for name, (coverage, pure) in curves.items():
            for count, (x, y) in enumerate(zip(coverage, pure, strict=True), start=1):
                rows.writerow([name or "learned", count, f"{x:.6f}", f"{y:.6f}"])


def _cluster_record(source, labels, cluster, set_size):
    record = {"score": cluster.score, "seed": {"picture": source.name(cluster.seed.picture), "box": _box(cluster.seed)}}
    if labels is not None:
        record["purity"] = purity([labels[picture] for picture in cluster.pictures(set_size)])
    record["members"] = [
        {
            "picture": source.name(member.picture),
            "box": _box(member),
            "e": round(member.error, 4),
            "match": round(member.strength, 4),
            **({} if labels is None else {"label": labels[member.picture]}),
        }
        for member in cluster.members
    ]
    return record


def _box(member):
    return [round(edge, 1) for edge in member.box]


def _facts(summary, grid, mining, shown):
    scales = ", ".join(f"{grid.side * scale:g}" for scale in grid.scales)
    facts = {
        "pictures searched": f"{summary['pictures']:.0f} ({summary['pictures_skipped']:.0f} left out)",
        "patches": f"{summary['patches']:.0f}, side {scales} pixels, {grid.steps} positions per side",
        "constellations": f"{summary['constellations']:.0f}, each looked for in {mining.top} pictures",
        "verified": f"{summary['constellations_verified']:.0f} in {mining.set_size} pictures or more",
        "clusters": f"{summary['clusters']:.0f}, of which {shown} are shown",
    }
    if "purity" in summary:
        facts[f"purity of the strongest {mining.set_size}"] = (
            f"{summary['purity']:.3f} on average (random sets {summary['random_purity']:.3f}), coverage "
            f"{summary['coverage']:.3f}"
        )
    return facts


@contextlib.contextmanager
def _whole(path):
    """A name to write to, which becomes ``path`` when all went well."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
