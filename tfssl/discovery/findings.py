"""The files of an object discovery: ``clusters.json``, the purity-coverage curve, a sheet and a page."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfssl import __version__
from tfssl.discovery.purity import area_under_curve, purity, purity_coverage, random_sets
from tfssl.files import write_json, writing
from tfssl.visualization.line_plot import line_plot
from tfssl.visualization.page import Figure, Row, Section, Table, write_page
from tfssl.visualization.sheet import picture_sheet

THUMBNAIL = 128
"""Longest side of an image on the page, in pixels."""

_SHEET_ROWS, _SHEET_COLUMNS = 12, 8
_SEED_COLOR, _MEMBER_COLOR = "#ff3b30", "#2bff59"
_ENDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the axis of coverage
_RANDOM = "random"
_NAMES = {"": "learned", "untrained": "untrained network", "pixels": "raw pixels", "hog": "HOG", _RANDOM: "random sets"}
_TEXT = (
    "Each row is one constellation of four touching patches (red) and the images in which its four patches were "
    "found again in the same arrangement (green), the strongest match first. No label took part in finding them. Rows "
    "are in the order of the number of such images; a row that would add no new image comes later."
)


def write_findings(out, source, labels, found, grid, mining, shown):
    """Write what was found to a folder, and return the summary of :func:`~tfssl.discovery.discover.discover`.

    ``labels`` are the classes of the images of ``source``, or None; ``found`` is ``{descriptor: Mined}``, of which
    ``""`` is the learned one, which the page and ``clusters.json`` are about.
    """
    summary = {_key(name, key): value for name, mined in found.items() for key, value in _counts(mined, mining).items()}
    ours, figures = found[""], []
    if labels is not None:
        curves = _curves(found, labels, mining)
        for name, (coverage, pure) in curves.items():
            summary[_key(name, "purity")] = float(pure[-1]) if len(pure) else 0.0
            summary[_key(name, "coverage")] = float(coverage[-1]) if len(pure) else 0.0
            summary[_key(name, "area")] = area_under_curve(coverage, pure)
        figures = [Figure(_write_curves(curves, summary, out), "Purity against coverage, beside sets drawn by chance")]
    settings = {**dataclasses.asdict(mining), **dataclasses.asdict(grid)}
    record = {"version": __version__, "settings": settings, "summary": summary, "skipped": ours.skipped}
    record["clusters"] = [_cluster_record(source, labels, c, mining.set_size) for c in ours.clusters]
    write_json(out / "clusters.json", record)
    _write_sheet(source, ours.clusters[:_SHEET_ROWS], out / "sheet.png", mining.set_size, labels)
    facts = list(_facts(summary, grid, mining, min(shown, len(ours.clusters))))
    sections = [Section("", [Table(["What was searched", "and found"], facts), *figures])]
    for number, cluster in enumerate(ours.clusters[:shown], start=1):
        drawn = _thumbnails(source, cluster, mining.set_size)
        heading = f"{number}. Verified {_describe(cluster, mining.set_size, labels)}"
        sections.append(Section(heading, [Row([_figure(source, *one, labels) for one in drawn], small=True)]))
    write_page(out / "index.html", "Objects discovered without labels", sections, text=_TEXT)
    return {**summary, "skipped": ours.skipped}


def _key(name, key):
    return f"{name}_{key}" if name else key


def _counts(mined, mining):
    return {
        "images": float(len(mined.images)),
        "images_skipped": float(len(mined.skipped)),
        "patches": float(mined.patches),
        "embedding_mib": mined.patches * mined.dimensions * 2 / 2**20,
        "constellations": float(len(mined.scores)),
        "constellations_verified": float(np.sum(mined.scores >= mining.set_size)),
        "verified_mean": float(np.mean(mined.scores)),
        "clusters": float(len(mined.clusters)),
    }


def _curves(found, labels, mining):
    """``{descriptor: (coverage, purity)}``, and of random sets as many and as large as the learned ones."""
    sets = {name: [c.images(mining.set_size) for c in mined.clusters] for name, mined in found.items()}
    images = np.array(found[""].images)
    sets[_RANDOM] = random_sets(sets[""], images, np.random.default_rng(mining.seed))
    return {name: purity_coverage(members, labels, len(images)) for name, members in sets.items()}


def _write_curves(curves, summary, out):
    """A CSV with one line for each point, and the PNG, whose path is returned."""
    with writing(out / "purity_coverage.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["descriptor", "sets", "coverage", "purity"])
        for name, (coverage, pure) in curves.items():
            for count, (x, y) in enumerate(zip(coverage, pure, strict=True), start=1):
                rows.writerow([name or "learned", count, f"{x:.6f}", f"{y:.6f}"])
    drawn = {f"{_NAMES[name]} ({summary[_key(name, 'area')]:.3f})": curve for name, curve in curves.items()}
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
            "e": round(member.error, 4),
            "match": round(member.strength, 4),
            **({} if labels is None else {"label": labels[member.image]}),
        }
        for member in cluster.members
    ]
    return record


def _box(member):
    return [round(edge, 1) for edge in member.box]


def _facts(summary, grid, mining, shown):
    sizes = ", ".join(f"{grid.side * scale:g}" for scale in grid.scales)
    yield "images searched", f"{summary['images']:.0f} ({summary['images_skipped']:.0f} left out)"
    yield "patches", f"{summary['patches']:.0f} of {sizes} pixels, {grid.steps} positions per patch size"
    yield "constellations", f"{summary['constellations']:.0f}, each looked for in {mining.top} images"
    yield "verified", f"{summary['constellations_verified']:.0f} in {mining.set_size} images or more"
    yield "clusters", f"{summary['clusters']:.0f}, of which {shown} are shown"
    if "purity" in summary:
        ours, chance, covered = (summary[key] for key in ("purity", "random_purity", "coverage"))
        text = f"{ours:.3f} on average (random sets {chance:.3f}), coverage {covered:.3f}"
        yield f"purity of the strongest {mining.set_size}", text


def _thumbnails(source, cluster, count):
    """The constellation, then the ``count`` strongest members in other images: list of (member, ``PIL.Image``)."""
    others = [member for member in cluster.members if member.image != cluster.seed.image][:count]
    colors = [_SEED_COLOR] + [_MEMBER_COLOR] * len(others)
    return [(m, _thumbnail(source, m, color)) for m, color in zip([cluster.seed, *others], colors, strict=True)]


def _thumbnail(source, member, color):
    image = source.example(member.image)["image"]
    full = image.size
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    scale = (image.width / full[0], image.height / full[1]) * 2
    left, top, right, bottom = (round(edge * factor) for edge, factor in zip(member.box, scale, strict=True))
    left, top, right, bottom = max(0, left), max(0, top), min(image.width - 1, right), min(image.height - 1, bottom)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right, bottom), outline="black", width=4)
    draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=color, width=2)
    return image


def _write_sheet(source, clusters, path, set_size, labels):
    rows = [[image for _, image in _thumbnails(source, cluster, _SHEET_COLUMNS)] for cluster in clusters]
    texts = [_describe(cluster, set_size, labels).replace(", ", "\n") for cluster in clusters]
    titles = ["constellation", *["found in"] * (max(len(row) for row in rows) - 1)]
    picture_sheet(rows, path, titles=titles, labels=texts, cell=THUMBNAIL)


def _describe(cluster, set_size, labels):
    """One line about a cluster: in how many images it was verified, and how pure its strongest ones are."""
    text = f"in {cluster.score} images"
    if labels is None:
        return text
    names = [labels[image] for image in cluster.images(set_size)]
    return f"{text}, purity {purity(names):.2f}, {max(sorted(set(names)), key=names.count)}"


def _figure(source, member, image, labels):
    name = source.name(member.image)
    caption = Path(name).name if labels is None else labels[member.image]
    title = f"{name}, e = {member.error:.3f}, match {member.strength:.2f} of 4"
    return Figure(image, caption, title=title, photograph=True)
