"""What object discovery leaves to look at: a page without links to anywhere, and a sheet."""

import base64
import html
import io
from pathlib import Path

from PIL import Image, ImageDraw

from tfssl.discovery.purity import purity
from tfssl.visualization.sheet import picture_sheet

THUMBNAIL = 128
"""Longest side of a picture on the page, in pixels."""

_SHEET_ROWS, _SHEET_COLUMNS = 12, 8
_SEED_COLOR, _MEMBER_COLOR = "#ff3b30", "#2bff59"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; padding: 0 1em;
       color: #1b1b1b; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1em; margin: 1.6em 0 .3em; }
.note { color: #555; max-width: 60em; } table { border-collapse: collapse; } td { padding: .1em 1.2em .1em 0; }
.row { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; }
figure { margin: 0; width: 128px; } figure img { display: block; max-width: 128px; }
figcaption { font-size: 12px; color: #555; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #181818; } .note, figcaption { color: #aaa; } }
"""


def thumbnail(source, member, color):
    """A picture at most :data:`THUMBNAIL` pixels a side, with the square of a member drawn."""
    image = source.example(member.picture)["image"]
    full = image.size
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    scale = (image.width / full[0], image.height / full[1]) * 2
    box = [round(edge * factor) for edge, factor in zip(member.box, scale, strict=True)]
    box = [max(0, box[0]), max(0, box[1]), min(image.width - 1, box[2]), min(image.height - 1, box[3])]
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, outline="black", width=4)
    draw.rectangle([box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1], outline=color, width=2)
    return image


def cluster_thumbnails(source, cluster, count):
    """The constellation, then the ``count`` strongest members in other pictures: list of (member, picture)."""
    others = [member for member in cluster.members if member.picture != cluster.seed.picture][:count]
    drawn = [(cluster.seed, thumbnail(source, cluster.seed, _SEED_COLOR))]
    return drawn + [(member, thumbnail(source, member, _MEMBER_COLOR)) for member in others]


def write_sheet(source, clusters, path, set_size, labels=None):
    """Write the first twelve clusters as one PNG: the constellation (red), then where else it was found (green)."""
    rows = [[image for _, image in cluster_thumbnails(source, c, _SHEET_COLUMNS)] for c in clusters[:_SHEET_ROWS]]
    texts = [describe(cluster, set_size, labels).replace(", ", "\n") for cluster in clusters[:_SHEET_ROWS]]
    titles = ["constellation", *["found in"] * (max(len(row) for row in rows) - 1)]
    return picture_sheet(rows, path, titles=titles, labels=texts, cell=THUMBNAIL)


def write_page(source, clusters, path, *, title, facts, set_size, labels=None, curve=None):
    """Write ``index.html``, which holds its pictures itself.

    Args:
        source: an :class:`tfssl.data.images.ImageSource`.
        clusters: list of :class:`~tfssl.discovery.mining.Cluster`, the first one on top.
        path: file to write.
        title: heading of the page.
        facts: ``{name: text}`` for the table under it.
        set_size: strongest pictures of a cluster that purity is about; so many are shown.
        labels: class of each picture of the source, or None.
        curve: PNG file of the purity-coverage curve, or None.
    """
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"]
    parts.append('<meta name=viewport content="width=device-width, initial-scale=1">')
    parts.append(f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>")
    parts.append(f"<p class=note>{_EXPLANATION}</p>")
    rows = (f"<tr><td>{html.escape(name)}<td>{html.escape(str(value))}</tr>" for name, value in facts.items())
    parts.append(f"<table>{''.join(rows)}</table>")
    if curve is not None:
        parts.append(f'<p><img src="{_data_uri(Path(curve).read_bytes(), "png")}" alt="Purity-coverage curve">')
    for number, cluster in enumerate(clusters, start=1):
        parts.append(f"<h2>{number}. Verified {html.escape(describe(cluster, set_size, labels))}</h2><div class=row>")
        parts += [
            _figure(source, member, image, labels) for member, image in cluster_thumbnails(source, cluster, set_size)
        ]
        parts.append("</div>")
    Path(path).write_text("\n".join(parts) + "\n", encoding="utf-8")


_EXPLANATION = (
    "Each row is one constellation of four touching patches (red) and the pictures in which its four patches were "
    "found again in the same arrangement (green), the strongest match first. No label took part in finding them. Rows "
    "are in the order of the number of such pictures; a row that would add no new picture comes later."
)


def describe(cluster, set_size, labels=None):
    """One line about a cluster: in how many pictures it was verified, and how pure its strongest ones are."""
    text = f"in {cluster.score} pictures"
    if labels is None:
        return text
    names = [labels[picture] for picture in cluster.pictures(set_size)]
    return f"{text}, purity {purity(names):.2f}, {max(sorted(set(names)), key=names.count)}"


def _figure(source, member, image, labels):
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    name = source.name(member.picture)
    caption = Path(name).name if labels is None else labels[member.picture]
    return (
        f'<figure><img src="{_data_uri(buffer.getvalue(), "jpeg")}" alt="{html.escape(caption)}" loading=lazy '
        f'title="{html.escape(name)}, e = {member.error:.3f}, match {member.strength:.2f} of 4">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _data_uri(data, kind):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
