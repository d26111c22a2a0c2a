"""``tfssl discover``: objects in a collection of images, found with a trained network and without labels."""

from tfssl.data.images import image_source
from tfssl.data.labeled import folder_labels
from tfssl.data.pipeline import pipeline_errors
from tfssl.discovery.embedding import BASELINES, baseline_descriptor, embed
from tfssl.discovery.findings import write_findings
from tfssl.discovery.mining import Mining, mine
from tfssl.discovery.patch_index import Grid
from tfssl.errors import ConfigError, ModelError, SourceError, suggest
from tfssl.options import as_path


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
    for name, value in (("shown", shown), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1. Received: {name}={value}")
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
    return write_findings(out, source, labels, found, grid, mining, shown)
