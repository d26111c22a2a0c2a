"""Style and other labels of images from generic features: linear classifiers on normalized vectors, taken together."""

import dataclasses

import numpy as np

from tfssl.data.crop import Crop
from tfssl.data.splits import SEED, TRAIN, VALIDATION, read_splits, split_images, write_splits
from tfssl.data.tagged import tagged_images
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation import off_the_shelf as linear
from tfssl.evaluation.baselines import histogram_encoder
from tfssl.evaluation.features import check_image_size, plot_taps
from tfssl.evaluation.presence import CLASSIFIERS
from tfssl.evaluation.runner import (
    Compared,
    Progress,
    Run,
    best_of_seed,
    by_encoder,
    check_choice,
    check_counts,
    compared,
    finish,
    run_all,
    spread,
    write_classes,
)
from tfssl.evaluation.tagged import CENTER, TaggedSets
from tfssl.visualization.confusion import confusion_plot
from tfssl.visualization.mosaic import write_mosaics

HISTOGRAM, FUSION, PRODUCTS, CONTENT = "lab_histogram", "fusion", "fusion_content", "content"
"""What stands beside: colors counted; scores together; with products of content's; content's scores alone."""

IMPLEMENTATIONS = {
    "svm": "sklearn.svm.LinearSVC, squared hinge, L2, primal; the bias is penalized as a weight",
    "logistic": "sklearn.linear_model.LogisticRegression, L2; bias not penalized",
}

PIXELS = 32  # rows and columns that raw pixels are averaged to
SHOWN = 5  # images of a class in the mosaic, right and wrong each


def evaluate(
    encoder,
    data,
    *,
    test=None,
    split=None,
    transfer=None,
    classifier="svm",
    augment=False,
    taps=None,
    pool=2,
    fuse=None,
    image_size=96,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Rank images for each label by an encoder's features, by a histogram of colors, and by both together.

    Razavian et al.'s protocol: vectors of each tap, signed square roots of length 1, a linear support vector machine
    for each label against the rest. Fitted to the training part, C, one for all labels, and the tap are chosen on the
    validation part, and both parts are fitted then. Fusion is Karayev et al.'s: the scores of what was fitted to the
    training part, of the encoder, the histogram and those of ``compare``, are fitted again, to the validation part.

    Args:
        data: a CSV file of images and labels, ``"styles:PHOTOS"``, ``"builtin"`` or class folders, see
            :func:`tfssl.data.tagged.tagged_images`.
        test: folder of the test images, with class folders only; None for ``test/`` in ``data``, or a part drawn.
        split: file ``splits.csv`` of another evaluation of the data, for the same parts; None draws them, see
            :func:`tfssl.data.splits.split_images`, with seeds 42, 43, ... .
        transfer: other data as ``data``: all of their images are ranked too, for the labels that both have.
        classifier: ``"svm"``, squared hinge loss, or ``"logistic"``.
        augment: also fit ten crops of each image, four corners and the center of it at 256 / 227 of the size and their
            mirror images, and take the mean of the scores of those of test images. Takes ten times the time. Colors
            stay as they are.
        pool: rows and columns of the grid that maps are averaged to, at least 1.
        fuse: names of the encoders whose scores are fused with those of ``lab_histogram``, ``encoder`` and those of
            ``compare``; None for all of these.
        limit: use at most so many images, or of each of ``train/`` and ``test/``, evenly spread over the labels; None
            for all.
        seeds: number of runs, at least 1, of splits and of untrained networks.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``map``, the mean over the labels of ``ap_LABEL``, average precision
        without interpolation on a part of the test images in which labels occur equally often, beside it as ``chance``
        the mean fraction of positives; ``accuracy``, how often the label with the highest score is one that the image
        has, on all test images; ``transfer_map``, of other data; and as :func:`tfssl.evaluation.runner.tap_metrics`.
        Among the baselines are ``lab_histogram``, ``fusion`` and, where the data tell the content of images,
        ``content``, its scores alone, and ``fusion_content``, all with their products.

    Reference:
        S. Karayev et al.: Recognizing Image Style. BMVC 2014; A. S. Razavian et al.: CNN Features off-the-shelf. CVPR
        Workshops 2014.
    """
    check_counts(pool=pool, seeds=seeds, limit=limit)
    check_choice(CLASSIFIERS, classifier=classifier)
    check_image_size(image_size)
    if taken := sorted({HISTOGRAM, FUSION, PRODUCTS, CONTENT} & set(compare or ())):
        raise ConfigError(f"`compare`: the name {taken[0]!r} is taken; choose another one")
    source = _limited(tagged_images(data, test), limit)
    sources = [source] if transfer is None else [source, _shared(_limited(tagged_images(transfer), limit), source)]
    if split is None:
        splits = {SEED + seed: split_images(source, SEED + seed) for seed in range(seeds)}
    else:
        splits = read_splits(split, source)
    entries = compared(encoder, taps=taps, trained=trained, compare=compare)
    entries.append(Compared(HISTOGRAM, histogram_encoder(), (HISTOGRAM,)))
    sets, fused = TaggedSets(sources, image_size, augment), [HISTOGRAM, *_fused(fuse, compare)]
    work = Progress(progress, sum(len(entry.taps) * seeds for entry in entries) + seeds)

    def parts(seed):
        return sets.parts(list(splits.values())[seed % len(splits)], SEED + seed)

    def measured(entry, network, own):
        grid = PIXELS if list(network.output) == ["pixels"] else pool
        for tap, copies in sets.vectors(network, entry.taps, grid).items():
            for seed in own:
                yield _run(entry.name, seed, tap, copies, parts(seed), classifier)
                work.add(f"{entry.name} {tap}")

    runs = run_all(entries, seeds, measured)
    for seed in range(seeds):
        own = by_encoder([run for run in runs if run.seed == seed])
        best = {name: best_of_seed(some)[0].shown for name, some in own.items()}
        runs += _fusions(seed, [best[name].early for name in fused], best["encoder"].content, parts(seed), classifier)
        work.add(f"fusion {seed}")
    final = [parts(seed) for seed in range(seeds)]
    baselines = {"map": np.mean([part.chance() for part in final])}
    baselines["accuracy"] = np.mean([part.commonest for part in final])
    if transfer is not None:
        baselines["transfer_map"] = np.mean([part.transfer_chance for part in final])

    def draw(folder):
        write_splits(folder / "splits.csv", source, splits)
        chosen = {name: best_of_seed(own) for name, own in by_encoder(runs).items()}
        _write_tables(folder, chosen, final)
        plot_taps(folder / "taps.png", runs, "map", "mean average precision on the test part")
        _draw_confusion(folder / "confusion.png", chosen, final)
        surest = _surest(source, sets.positions, final[0], chosen["encoder"][0].shown.final, image_size)
        write_mosaics(folder, "What the encoder is surest of", surest)

    train = len(final[0].train) + len(final[0].validation)
    return finish(
        "style",
        runs,
        by_tap="map",
        baselines={name: {"chance": float(value)} for name, value in baselines.items()},
        counts={
            "classes": len(source.classes),
            "images_train": train,
            "images_validation": len(final[0].validation),
            "images_test": len(final[0].test),
            "images_balanced": len(final[0].balanced()),
            "images_skipped": len(sets.skipped.reasons),
        },
        skipped=sets.skipped.reasons,
        protocol={
            "data": source.root,
            **({} if transfer is None else {"transfer": sources[1].root}),
            **({} if limit is None else {"limit": limit}),
            **{"classifier": classifier, "augment": augment, "pool": pool, "image_size": image_size, "pixels": PIXELS},
            **{"seeds": seeds, "splits": list(splits), "drawn": split is None, "fused": fused},
            "vectors": "signed square root, then length 1",
            "strengths": linear.STRENGTHS,
            "chosen_by": "mean average precision on the validation part, one C for all labels",
            "implementation": IMPLEMENTATIONS[classifier],
            "ties": "negatives first",
        },
        out=out,
        draw=draw,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Scores:
    """Scores of all images, float (n, classes): ``early`` of what the training part alone was fitted to, ``final``;
    and ``content``, (n, contents), of the content, or None."""

    early: np.ndarray
    final: np.ndarray
    content: np.ndarray | None = None


def _run(name, seed, tap, copies, part, classifier):
    train, both = part.train, part.rows(TRAIN, VALIDATION)
    single = copies[CENTER if len(copies) > 1 else 0]
    strength, held_out = linear.choose(single, part.labels, train, part.validation, classifier)

    def scores(rows, labels):
        return linear.fit([copy[rows] for copy in copies], labels[rows], strength, classifier)(copies)

    content = None if part.content is None or name != "encoder" else scores(train, part.content)
    found = _Scores(scores(train, part.labels), scores(both, part.labels), content)
    about = {"numbers": single.shape[1], "strength": strength}
    return Run(name, seed, part.metrics(found.final), tap, held_out, about, found)


def _fused(fuse, compare):
    """The encoders whose scores are fused."""
    known = ["encoder", *(compare or ())]
    names = known if fuse is None else fuse.split(",") if isinstance(fuse, str) else list(fuse)
    odd = next((name for name in names if name not in known), None)
    if odd is not None or len(set(names)) < len(names) or not names:
        raise ConfigError(f"`fuse` must name some of {', '.join(known)}. Received: fuse={names!r}")
    return names


def _fusions(seed, early, content, part, classifier):
    """Runs of scores taken together: of the parts of the fusion, and of the content or None."""
    ways = {FUSION: (early, None)}
    if content is not None:
        ways |= {CONTENT: ([content], None), PRODUCTS: (early, content)}
    for name, (scores, beside) in ways.items():
        found, strength = linear.fuse(scores, part, classifier, beside)
        yield Run(name, seed, part.metrics(found), "", None, {"strength": strength}, _Scores(found, found))


def _limited(source, limit):
    """At most so many images of a source, or of each of its parts, spread over the labels."""
    if limit is None:
        return source
    ordered, tested = np.argsort(np.argmax(source.labels, axis=1), kind="stable"), np.zeros(len(source), bool)
    tested = tested if source.tested is None else np.array(source.tested)
    parts = [ordered[tested[ordered] == value] for value in (False, True)]
    return source.take(sorted(int(one[i]) for one in parts if len(one) for i in spread(len(one), limit)))


def _shared(other, source):
    """Another source with the labels of a source: those that both have."""
    if not set(other.classes) & set(source.classes):
        few = ", ".join(source.classes[:3])
        raise SourceError(f"`transfer` shares no label with `data`, such as {few}. Received: {other.root!r}")
    columns = [other.classes.index(name) if name in other.classes else -1 for name in source.classes]
    labels = np.pad(np.stack(other.labels), ((0, 0), (0, 1)))[:, columns]  # the last column: what the other one lacks
    return dataclasses.replace(other, labels=tuple(labels), classes=source.classes)


def _write_tables(folder, chosen, final):
    """``classes.csv``: average precision of each class beside chance."""

    def columns(run):
        part = final[run.seed]
        names = [f"ap_{name}" for name in part.classes]
        chance = part.labels[part.balanced()].mean(axis=0)
        return {"class": part.classes, "average_precision": [run.metrics[n] for n in names], "chance": chance}

    write_classes(folder, [run for own in chosen.values() for run in own], columns)


def _draw_confusion(path, chosen, final):
    """Matrices of the test images with one label, all seeds together: of the encoder, the histogram, both."""
    matrices = {}
    for name in ("encoder", HISTOGRAM, FUSION):
        matrix = np.zeros((len(final[0].classes),) * 2)
        for run in chosen[name]:
            part = final[run.seed]
            rows = part.test[part.labels[part.test].sum(axis=1) == 1]
            np.add.at(matrix, (part.labels[rows].argmax(axis=1), run.shown.final[rows].argmax(axis=1)), 1)
        score = np.mean([run.metrics["map"] for run in chosen[name]])
        matrices[f"{name.replace('_', ' ')}: mean average precision {100 * score:.0f} %"] = matrix
    confusion_plot(matrices, path, classes=final[0].classes)


def _surest(source, positions, part, scores, size):
    """``{class: ([(image, its labels), ...] that it is right about, those that it is wrong about)}``, of the test."""
    crop, found = Crop(size, resize=size, flip=False), {}

    def shown(row):
        names = [name for name, has in zip(part.classes, part.labels[row], strict=True) if has]
        return crop.apply(source.example(int(positions[row]))["image"]), ", ".join(names)

    for number, name in enumerate(part.classes):
        ranked = part.test[np.argsort(-scores[part.test, number], kind="stable")]
        has = part.labels[ranked, number] == 1
        found[name] = tuple([shown(row) for row in some[:SHOWN]] for some in (ranked[has], ranked[~has]))
    return found
