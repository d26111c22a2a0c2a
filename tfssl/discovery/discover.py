"""``tfssl discover``: objects in a collection of pictures, found with a trained network and without labels."""

from pathlib import Path

from tfssl.data.images import image_source
from tfssl.data.labeled import folder_labels
from tfssl.discovery.embedding import BASELINES, baseline_descriptor, embed
from tfssl.discovery.findings import write_findings
from tfssl.discovery.mining import Mining, mine
from tfssl.discovery.patch_index import Grid
from tfssl.errors import ConfigError, ModelError, SourceError


def discover(
    method,
    model,
    source,
    out,
    *,
    mining=None,
    steps=2,
    scales=(1.0,),
    baselines=(),
    shown=40,
    limit=None,
    progress=None,
):
    """Find what occurs again and again in a collection of pictures, and write a page of it.

    Patches of a dense grid are embedded with the network up to fc6. Constellations of four touching patches are
    looked for in all pictures, layout ignored; those whose four matches lie in a square again count as verified;
    constellations are ranked by the number of verified pictures.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        model: its trained model.
        source: pictures, see :func:`tfssl.data.images.image_source`. Where they lie in several folders, the names of
            these are taken for their classes, and purity is measured.
        out: folder for ``index.html``, ``sheet.png``, ``clusters.json`` and, with classes, ``purity_coverage.csv``
            and ``.png``.
        mining: a :class:`~tfssl.discovery.mining.Mining`; None is its defaults.
        steps: grid positions per patch side.
        scales: sides of the patches, as multiples of the network's.
        baselines: names of :data:`~tfssl.discovery.embedding.BASELINES` to measure beside.
        shown: most clusters on the page.
        limit: use only the first so many pictures; None for all.
        progress: see :func:`~tfssl.discovery.mining.mine`.

    Returns:
        ``{name: float}``: ``pictures``, ``patches``, ``constellations``, ``constellations_verified`` (in ``set_size``
        pictures or more), ``verified_mean``, ``clusters``; with classes ``purity`` (mean of all sets), ``coverage``,
        ``area`` (under the curve) and ``random_purity`` (of sets drawn by chance). The same prefixed by its name and
        ``_`` for each baseline. And ``skipped``, the pictures that do not serve, as ``{name: reason}``.

    Raises:
        ModelError: if the model is of another method.
        ConfigError: for an option outside its range.
        SourceError: if too few pictures serve, or nothing was found.

    Reference:
        Doersch, Gupta and Efros (2015), section 4.4 and 4.5.
    """
    if method.name() != "context_prediction":
        raise ModelError(f"the model is a {method.name()} model; discovery needs a context_prediction model")
    _check(baselines, shown, limit)
    source, mining = image_source(source), mining or Mining()
    grid = Grid(method.patch_size, steps, tuple(scales), method.area)
    labels = folder_labels(source)
    found = {"": mine(source, embed(method, model), grid, mining, limit=limit, progress=progress)}
    if not found[""].clusters:
        raise SourceError(
            f"no constellation was verified in {mining.set_size} pictures (the best in {found[''].scores[0]}); give "
            f"more pictures, more `constellations` or a smaller `set_size`"
        )
    for name in baselines:
        descriptor = baseline_descriptor(name, method, mining.seed)
        found[name] = mine(source, descriptor, grid, mining, limit=limit, progress=progress)
    return write_findings(Path(out), source, labels, found, grid, mining, shown)


def _check(baselines, shown, limit):
    for name in baselines:
        if name not in BASELINES:
            raise ConfigError(f"`baseline` must be one of {', '.join(BASELINES)}. Received: baseline={name!r}")
    for name, value in (("shown", shown), ("limit", 1 if limit is None else limit)):
        if value < 1:
            raise ConfigError(f"`{name}` must be at least 1. Received: {name}={value}")
