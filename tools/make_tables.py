"""Fill the generated tables of README.md and docs/*.md from committed results, so that no figure is typed by hand.

A table goes between two marks, on lines of their own:

    <!-- table:speed -->
    <!-- end -->

    python tools/make_tables.py            rewrites the blocks
    python tools/make_tables.py --check    changes nothing; exit 1 if a block differs from its source
"""

import argparse
import functools
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # where this file is run as a script

from tools import (  # noqa: E402
    activity_tables,
    caption_tables,
    color_tables,
    ensemble_tables,
    future_tables,
    grouping_tables,
    learned_tables,
    local_tables,
    lstm_tables,
    relation_tables,
    sound_tables,
    split_tables,
    style_tables,
    synchrony_tables,
    synthesis_tables,
    video_tables,
    zero_bias_tables,
)
from tools.tables import TableError, machine_of, markdown  # noqa: E402

BLOCK = re.compile(r"(<!-- table:([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def speed(root):
    """Every comparison of benchmarks/results/*.json, and the machines they ran on."""
    rows, machines = [], {}
    for file in sorted((root / "benchmarks" / "results").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        for row in record.get("comparisons", ()):
            limit, unit = "at most" if row["at_most"] else "at least", row["unit"]
            measured, promised = f"{row['measured']:.3g}{unit}", f"{limit} {row['required']:g}{unit}"
            rows.append((row["what"], row["against"], measured, promised))
        if record.get("comparisons"):
            machines.setdefault(machine_of(record), []).append(f"`{file.stem}`")
    if not rows:
        raise TableError("benchmarks/results/ holds no comparisons; run `make bench`")
    table = markdown(["What", "Against", "Measured", "Promised"], rows)
    return table + "\n" + "\n".join(f"{text} ({', '.join(names)})." for text, names in machines.items()) + "\n"


def methods(root):
    """The methods that the library holds, each with its page: paper, year, what they learn from."""
    import tfssl.methods

    found = [tfssl.methods.get(name) for name in tfssl.methods.names()]
    rows = [
        (
            f"[`{m.name()}`](docs/{m.name()}.md)",
            m.paper.title,
            m.paper.authors,
            f"{m.paper.venue} {m.paper.year}",
            m.inputs,
        )
        for m in found
    ]
    return markdown(["Method", "Paper", "Authors", "Where", "Learns from"], rows)


TABLES = {
    "activity": activity_tables.activity,
    "ambient-sound": sound_tables.told,
    "ambient-sound-textures": sound_tables.textures,
    "aberration": learned_tables.aberration,
    "bfloat16": color_tables.bfloat16,
    "captions-features": caption_tables.features,
    "captions-vectors": caption_tables.vectors,
    "captions-words": caption_tables.words,
    "co-occurrence-boundaries": grouping_tables.boundaries,
    "co-occurrence-frames": grouping_tables.frames,
    "co-occurrence-known": grouping_tables.known,
    "co-occurrence-patches": grouping_tables.patches,
    "colorizer": color_tables.colorizer,
    "colorizers": learned_tables.colorizers,
    "context-mining": learned_tables.context_mining,
    "context-planted": learned_tables.context_planted,
    "controls": split_tables.controls,
    "discovery": learned_tables.discovery,
    "encoding-error": color_tables.encoding_error,
    "ensembles": ensemble_tables.ensembles,
    "film": color_tables.film,
    "filters": learned_tables.filters,
    "gated": relation_tables.gated,
    "egomotion": relation_tables.egomotion,
    "egomotion-toy": relation_tables.egomotion_toy,
    "hints": color_tables.hints,
    "hypercolumns": learned_tables.hypercolumns,
    "literature": learned_tables.literature,
    "local-features": local_tables.photographs,
    "local-features-shapes": local_tables.shapes,
    "methods": methods,
    "odometry": relation_tables.odometry,
    "old-photographs": color_tables.old_photographs,
    "semantic": color_tables.semantic,
    "mobile": color_tables.mobile,
    "pretraining": learned_tables.pretraining,
    "rgbd": split_tables.rgbd,
    "rgbd-fusion": split_tables.rgbd_fusion,
    "rgbd-gradients": split_tables.rgbd_gradients,
    "shortcuts": learned_tables.shortcuts,
    "slow-steady": relation_tables.slow_steady,
    "sparsity": zero_bias_tables.sparsity,
    "styles": style_tables.styles,
    "styles-classes": style_tables.classes,
    "speed": speed,
    "synchrony-shifts": synchrony_tables.shifts,
    "synchrony-stereo": synchrony_tables.stereo,
    "synthesis-bricks": synthesis_tables.bricks,
    "synthesis-symmetric": synthesis_tables.symmetric,
    "synthesis-textures": synthesis_tables.textures,
    "transfer": learned_tables.transfer,
    "video-prediction": future_tables.video_prediction,
    "video-prediction-flipped": future_tables.video_prediction_flipped,
    "video-lstm": lstm_tables.told,
    "video-lstm-states": lstm_tables.states,
    "video-lstm-clips": lstm_tables.clips,
    "video-triplet-boxes": video_tables.boxes,
    "video-triplet-mined": video_tables.mined,
    "video-triplet-probes": video_tables.probes,
    "video-triplet-triplets": video_tables.triplets,
    "web": color_tables.web,
    "zero_bias": zero_bias_tables.zero_bias,
    "web-page": color_tables.web_page,
    **{method: functools.partial(learned_tables.learned, method=method) for method in learned_tables.PRETEXT},
}


def fill(text, root):
    """``text`` with each block replaced by its table.

    Raises:
        TableError: for a block that names no table, one without its end mark, or missing results.
    """

    def replace(match):
        start, name, _, end = match.groups()
        if name not in TABLES:
            raise TableError(f"no table {name!r}; there are {', '.join(TABLES)}")
        return start + TABLES[name](root) + end

    if text.count("<!-- table:") != len(BLOCK.findall(text)):
        raise TableError("a `<!-- table:NAME -->` has no `<!-- end -->`")
    return BLOCK.sub(replace, text)


def documents(root):
    """README.md and every Markdown file of docs/."""
    return [p for p in (root / "README.md", *sorted((root / "docs").rglob("*.md"))) if p.is_file()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if a table is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the checkout")
    options = parser.parse_args(arguments)
    stale = 0
    for path in documents(options.root):
        text = path.read_text(encoding="utf-8")
        try:
            new = fill(text, options.root)
        except TableError as error:
            print(f"{path.relative_to(options.root)}: {error}", file=sys.stderr)
            return 1
        if new == text:
            continue
        if options.check:
            print(f"{path.relative_to(options.root)} is out of date; run `make tables`", file=sys.stderr)
            stale += 1
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(options.root)} rewritten")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
