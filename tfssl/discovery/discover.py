"""``tfssl discover``: objects in a collection of images, found with a trained network and without labels."""

import dataclasses

import numpy as np

from tfssl.data.images import image_source
from tfssl.data.labeled import folder_labels
from tfssl.data.pipeline import pipeline_errors
from tfssl.discovery.embedding import BASELINES, baseline_descriptor, embed
from tfssl.discovery.findings import Findings, prefixed, write_findings
from tfssl.discovery.mining import Mining, mine
from tfssl.discovery.patch_index import Grid
from tfssl.errors import ConfigError, ModelError, SourceError, suggest
from tfssl.ops.arguments import check_integers
from tfssl.options import as_path

_NAMES = {"": "learned", "untrained": "untrained network", "pixels": "raw pixels", "hog": "HOG"}
_TEXT = (
    "Each row is one constellation of four touching patches (red) and the images in which its four patches were "
    "found again in the same arrangement (green), the strongest match first. No label took part in finding them. Rows "
    "are in the order of the number of such images; a row that would add no new image comes later."
)


def discover(
    method, model, data, out, *, mining=None, steps=2, scales=(1.0,), baselines=(), shown=40, limit=None, progress=None
):
    """Find what occurs again and again in a collection of images, and write a page of it.

    Patches of a dense grid are embedded with the network. Constellations of four touching patches are
    looked for in all images, layout ignored; those whose four matches lie in a square again count as verified;
    constellations are ranked by the number of verified images (sections 4.4 and 4.5 of the paper).

    Args:
        method: a method that embeds patches: ``embedder(model)`` as of :func:`~tfssl.discovery.embedding.embed`,
            ``patch_size`` in pixels and ``area`` of images, as :class:`~tfssl.discovery.patch_index.Grid` takes them.
        model: its trained model.
        data: images, see :func:`tfssl.data.images.image_source`. Where they lie in several folders, the names of
            these are taken for their classes, and purity is measured.
        out: folder for ``index.html``, ``sheet.png``, ``clusters.json`` and, with classes, ``purity_coverage.csv``
            and ``.png``.
        mining: a :class:`~tfssl.discovery.mining.Mining`; None is its defaults.
        steps, scales: of the :class:`~tfssl.discovery.patch_index.Grid`.
        baselines: names of :data:`~tfssl.discovery.embedding.BASELINES` to measure beside.
        shown: most clusters on the page.
        limit, progress: see :func:`~tfssl.discovery.mining.mine`.

    Returns:
        ``{name: float}``: ``images``, ``patches``, ``constellations``, ``constellations_verified`` (in ``set_size``
        images or more), ``verified_mean``, ``clusters``; with classes ``purity`` (mean of all sets), ``coverage``,
        ``area`` (under the curve) and ``random_purity`` (of sets drawn by chance). The same prefixed by its name and
        ``_`` for each baseline. And ``skipped``, the images that do not serve, as ``{name: reason}``.

    Raises:
        ModelError: if the method embeds no patches.
        ConfigError: for an option outside its range.
        SourceError: if too few images serve, or nothing was found.
    """
    if not hasattr(method, "embedder"):
        raise ModelError(f"the model is a {method.name()} model; discovery needs one of context_prediction")
    for name in baselines:
        if name not in BASELINES:
            raise ConfigError(f"`baseline` {name!r} is unknown; {suggest(name, BASELINES)}")
    check_integers(1, shown=shown)
    if limit is not None:
        check_integers(1, limit=limit)
    out = as_path("out", out)
    source, mining = image_source(data), mining or Mining()
    grid = Grid(method.patch_size, steps, tuple(scales), method.area)
    labels = folder_labels(source)

    def searched(descriptor):
        with pipeline_errors("be searched"):
            return mine(source, descriptor, grid, mining, limit=limit, progress=progress)

    found = {"": searched(embed(method, model))}
    if not found[""].clusters:
        raise SourceError(
            f"no constellation was verified in {mining.set_size} images (the best in {found[''].scores[0]}); give "
            f"more images, more `constellations` or a smaller `set_size`"
        )
    for name in baselines:
        found[name] = searched(baseline_descriptor(name, method, mining.seed))
    return write_findings(out, source, labels, _findings(found, grid, mining), shown)


def _findings(found, grid, mining):
    ours = found[""]
    return Findings(
        clusters=ours.clusters,
        images=ours.images,
        skipped=ours.skipped,
        sets={name: [c.images(mining.set_size) for c in mined.clusters] for name, mined in found.items()},
        names=_NAMES,
        set_size=mining.set_size,
        random_seed=mining.seed,
        settings={**dataclasses.asdict(mining), **dataclasses.asdict(grid)},
        summary={
            prefixed(name, key): value for name, mined in found.items() for key, value in _counts(mined, mining).items()
        },
        facts=list(_facts(ours, grid, mining)),
        title="Constellations",
        text=_TEXT,
        seed="constellation",
        verb="Verified",
        describe=lambda cluster: f"in {cluster.score} images",
    )


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


def _facts(mined, grid, mining):
    sizes = ", ".join(f"{grid.side * scale:g}" for scale in grid.scales)
    yield "images searched", f"{len(mined.images)} ({len(mined.skipped)} left out)"
    yield "patches", f"{mined.patches} of {sizes} pixels, {grid.steps} positions per patch size"
    yield "constellations", f"{len(mined.scores)}, each looked for in {mining.top} images"
    yield "verified", f"{np.sum(mined.scores >= mining.set_size)} in {mining.set_size} images or more"
