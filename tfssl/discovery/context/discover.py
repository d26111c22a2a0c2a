"""``tfssl discover --how context``: things in a collection of images, found by their predictable surroundings."""

import dataclasses

from tfssl.data.images import image_source
from tfssl.data.labeled import folder_labels
from tfssl.discovery.context.mining import ContextMining, mine_context
from tfssl.discovery.findings import Findings, write_findings
from tfssl.ops.arguments import check_integers
from tfssl.options import as_path

_NAMES = {
    "": "context",
    "hog_neighbors": "HOG neighbors alone",
    "same_seeds": "same seeds, not verified",
}
_TEXT = (
    "Each row is one cluster: the patch it began with, and the patches (green) whose surroundings the others of the "
    "cluster predict better than a model of texture does, the best first. What is not taken for part of the thing is "
    "dimmed. No label and no network took part in finding them. Rows are in the order of the sum of their scores; rows "
    "that repeat better ones are left out."
)


def discover_context(data, out, *, mining=None, shown=40, limit=None, progress=None):
    """Find things that occur again and again in a collection of images, and write a page of them.

    Random patches and their nearest neighbors by gradient histograms are clusters to begin with. A member is verified
    by predicting the cells around it, ring by ring, from the same places around other members; its score is how much
    likelier that makes what is there than a model of texture does. Clusters are ranked by the sum of these scores.

    Args:
        data: images, see :func:`tfssl.data.images.image_source`. Where they lie in several folders, the names of
            these are taken for their classes, and purity is measured.
        out: folder for ``index.html``, ``sheet.png``, ``clusters.json`` and, with classes, ``purity_coverage.csv``
            and ``.png``.
        mining: a :class:`~tfssl.discovery.context.mining.ContextMining`; None is its defaults.
        shown: most clusters on the page.
        limit, progress: see :func:`~tfssl.discovery.context.mining.mine_context`.

    Returns:
        ``{name: float}``: ``images``, ``seeds``, ``patches_verified``, ``clusters``, ``clusters_repeated``; with
        classes ``purity`` (mean of all sets), ``coverage`` and ``area`` (under the curve), and the same after
        ``hog_neighbors_`` (as many clusters by gradient histograms alone), ``same_seeds_`` (these clusters, their
        nearest neighbors instead of verified members) and ``random_``. And ``skipped``, as ``{name: reason}``.

    Raises:
        ConfigError: for an option outside its range.
        SourceError: if too few images serve.

    Reference:
        Doersch, Gupta and Efros: Context as Supervisory Signal: Discovering Objects with Predictable Context. ECCV
        2014.
    """
    check_integers(1, shown=shown)
    if limit is not None:
        check_integers(1, limit=limit)
    out, source, mining = as_path("out", out), image_source(data), mining or ContextMining()
    mined = mine_context(source, mining, limit=limit, progress=progress)
    ways = {"": mined.clusters, "hog_neighbors": mined.neighbors, "same_seeds": mined.unverified}
    found = Findings(
        clusters=mined.clusters,
        images=mined.images,
        skipped=mined.skipped,
        sets={name: [cluster.images(mining.set_size) for cluster in clusters] for name, clusters in ways.items()},
        names=_NAMES,
        set_size=mining.set_size,
        random_seed=mining.seed,
        settings=dataclasses.asdict(mining),
        summary={
            "images": float(len(mined.images)),
            "images_skipped": float(len(mined.skipped)),
            "seeds": float(mined.seeds),
            "patches_verified": float(mined.verified),
            "clusters": float(len(mined.clusters)),
            "clusters_repeated": float(mined.repeated),
        },
        facts=[
            ("images searched", f"{len(mined.images)} ({len(mined.skipped)} left out)"),
            ("seeds", f"{mined.seeds}, each with {mining.neighbors} neighbors"),
            ("verified", f"{mined.verified} patches, each by {mining.predictors} others"),
            ("repeated", f"{mined.repeated} clusters that better ones show already"),
        ],
        title="Predictable context",
        text=_TEXT,
        seed="seed",
        verb="Context",
        describe=lambda cluster: f"score {cluster.score:.0f}",
    )
    return write_findings(out, source, folder_labels(source), found, shown)
