"""The files of an object discovery: ``clusters.json``, the purity-coverage curve, a sheet and a page."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfssl import __version__
from tfssl.discovery.clusters import Cluster
from tfssl.discovery.purity import area_under_curve, purity, purity_coverage, random_sets
from tfssl.files import write_json, writing
from tfssl.visualization.line_plot import line_plot
from tfssl.visualization.page import Figure, Row, Section, Table, write_page
from tfssl.visualization.sheet import picture_sheet

THUMBNAIL = 128
"""Longest side of an image on the page, in pixels."""

_SHEET_ROWS, _SHEET_COLUMNS = 12, 8
_SEED_COLOR, _MEMBER_COLOR = "#ff3b30", "#2bff59"
_DIMMED = 0.2  # what is left of the light where a mask is 0
_ENDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the axis of coverage
_RANDOM, _RANDOM_SETS = "random", "random sets"


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a way of discovery hands over to be written."""

    clusters: Sequence[Cluster]  # best first
    images: Sequence[int]  # numbers in the source of those that were searched
    skipped: dict[str, str]  # {name: reason} of the images that do not serve
    sets: dict[str, list[list[int]]]  # images of the clusters of each descriptor; "" is that of ``clusters``
    names: dict[str, str]  # of the descriptors, in the plot
    set_size: int  # members of a cluster that count for purity and are shown
    random_seed: int  # of the sets drawn by chance
    settings: dict[str, object]
    summary: dict[str, float]
    facts: list[tuple[str, str]]  # rows of the page's table
    title: str  # in a report
    text: str  # what the page says first
    seed: str  # what the first column of the sheet shows
    verb: str  # begins the heading of a cluster, before its description
    describe: Callable[[Cluster], str]  # of a cluster, by its score


def write_findings(out, source, labels, found, shown):
    """Write what was found to a folder: ``index.html``, ``sheet.png``, ``clusters.json`` and the curve of purity.

    And ``numbers.json``, from which ``tfssl report`` knows what the images in the folder are.

    Args:
        out: the folder.
        source: where the images come from.
        labels: the classes of its images, or None.
        found: :class:`Findings`.
        shown: most clusters on the page.

    Returns:
        The summary: that of ``found``, with classes ``purity``, ``coverage`` and ``area`` of each descriptor, prefixed
        by its name and ``_``, and of random sets; and ``skipped``.
    """
    summary, figures, facts = dict(found.summary), [], list(found.facts)
    numbers = {found.names[""]: dict(summary)}
    facts.append(("clusters", f"{len(found.clusters)}, of which {min(shown, len(found.clusters))} are shown"))
    if labels is not None:
        curves = _curves(found, labels)
        for name, (coverage, pure) in curves.items():
            summary[prefixed(name, "purity")] = float(pure[-1]) if len(pure) else 0.0
            summary[prefixed(name, "coverage")] = float(coverage[-1]) if len(pure) else 0.0
            summary[prefixed(name, "area")] = area_under_curve(coverage, pure)
        for name in curves:
            known = {key: summary[prefixed(name, key)] for key in ("purity", "coverage", "area")}
            numbers.setdefault(found.names.get(name, _RANDOM_SETS), {}).update(known)
        plot = _write_curves(curves, found.names, summary, out)
        figures = [Figure(plot, "Purity against coverage, beside sets drawn by chance")]
        ours, chance, covered = (summary[key] for key in ("purity", "random_purity", "coverage"))
        text = f"{ours:.3f} on average (random sets {chance:.3f}), coverage {covered:.3f}"
        facts.append((f"purity of the strongest {found.set_size}", text))
    record = {"version": __version__, "settings": found.settings, "summary": summary, "skipped": found.skipped}
    record["clusters"] = [_cluster_record(source, labels, c, found.set_size) for c in found.clusters]
    write_json(out / "clusters.json", record)
    write_json(out / "numbers.json", {"title": found.title, "numbers": numbers, "protocol": found.settings})
    _write_sheet(source, found, out / "sheet.png", labels)
    sections = [Section("", [Table(["What was searched", "and found"], facts), *figures])]
    for number, cluster in enumerate(found.clusters[:shown], start=1):
        drawn = _thumbnails(source, cluster, found.set_size)
        heading = f"{number}. {found.verb} {_describe(cluster, found, labels)}"
        sections.append(Section(heading, [Row([_figure(source, *one, labels) for one in drawn], small=True)]))
    write_page(out / "index.html", "Objects discovered without labels", sections, text=found.text)
    return {**summary, "skipped": found.skipped}


def prefixed(name, key):
    """Name of a figure of a descriptor; "" is the one that all is about."""
    return f"{name}_{key}" if name else key


def _curves(found, labels):
    """``{descriptor: (coverage, purity)}``, and of random sets as many and as large as the learned ones."""
    images = np.array(found.images)
    sets = {**found.sets, _RANDOM: random_sets(found.sets[""], images, np.random.default_rng(found.random_seed))}
    return {name: purity_coverage(members, labels, len(images)) for name, members in sets.items()}


def _write_curves(curves, names, summary, out):
    """A CSV with one line for each point, and the PNG, whose path is returned."""
    with writing(out / "purity_coverage.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["descriptor", "sets", "coverage", "purity"])
        for name, (coverage, pure) in curves.items():
            for count, (x, y) in enumerate(zip(coverage, pure, strict=True), start=1):
                rows.writerow([name or names[""], count, f"{x:.6f}", f"{y:.6f}"])
    names = {**names, _RANDOM: _RANDOM_SETS}
    drawn = {f"{names[name]} ({summary[prefixed(name, 'area')]:.3f})": curve for name, curve in curves.items()}
    covered = max((coverage[-1] for coverage, _ in curves.values() if len(coverage)), default=1.0)
    plot, end = out / "purity_coverage.png", next(end for end in _ENDS if end >= covered)
    line_plot(drawn, plot, x_label="coverage", y_label="mean purity (area under the curve)", x_range=(0.0, end))
    return plot


def _cluster_record(source, labels, cluster, set_size):
    record = {"score": cluster.score, "seed": {"image": source.name(cluster.seed.image), "box": _box(cluster.seed)}}
    if labels is not None:
        record["purity"] = purity([labels[image] for image in cluster.images(set_size)])
    record["members"] = [
        {
            "image": source.name(member.image),
            "box": _box(member),
            **member.measures,
            **({} if labels is None else {"label": labels[member.image]}),
        }
        for member in cluster.members
    ]
    return record


def _box(member):
    return [round(edge, 1) for edge in member.box]


def _thumbnails(source, cluster, count):
    """The seed, then the ``count`` strongest members in other images: list of (member, ``PIL.Image``)."""
    others = [member for member in cluster.members if member.image != cluster.seed.image][:count]
    colors = [_SEED_COLOR] + [_MEMBER_COLOR] * len(others)
    return [(m, _thumbnail(source, m, color)) for m, color in zip([cluster.seed, *others], colors, strict=True)]


def _thumbnail(source, member, color):
    image = source.example(member.image)["image"]
    full = image.size
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    if member.mask is not None:
        mask = np.asarray(Image.fromarray(member.mask).resize(image.size, Image.Resampling.BILINEAR)) / 255
        light = _DIMMED + (1 - _DIMMED) * mask[..., None]
        image = Image.fromarray(np.round(light * np.asarray(image)).astype(np.uint8))
    scale = (image.width / full[0], image.height / full[1]) * 2
    left, top, right, bottom = (round(edge * factor) for edge, factor in zip(member.box, scale, strict=True))
    left, top, right, bottom = max(0, left), max(0, top), min(image.width - 1, right), min(image.height - 1, bottom)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right, bottom), outline="black", width=4)
    draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=color, width=2)
    return image


def _write_sheet(source, found, path, labels):
    clusters = found.clusters[:_SHEET_ROWS]
    rows = [[image for _, image in _thumbnails(source, cluster, _SHEET_COLUMNS)] for cluster in clusters]
    texts = [_describe(cluster, found, labels).replace(", ", "\n") for cluster in clusters]
    titles = [found.seed, *["found in"] * (max(len(row) for row in rows) - 1)]
    picture_sheet(rows, path, titles=titles, labels=texts, cell=THUMBNAIL)


def _describe(cluster, found, labels):
    """One line about a cluster: its score, and how pure its strongest members are."""
    text = found.describe(cluster)
    if labels is None:
        return text
    names = [labels[image] for image in cluster.images(found.set_size)]
    return f"{text}, purity {purity(names):.2f}, {max(sorted(set(names)), key=names.count)}"


def _figure(source, member, image, labels):
    name = source.name(member.image)
    caption = Path(name).name if labels is None else labels[member.image]
    title = ", ".join([name, *(f"{what} {value:.4g}" for what, value in member.measures.items())])
    return Figure(image, caption, title=title, photograph=True)
