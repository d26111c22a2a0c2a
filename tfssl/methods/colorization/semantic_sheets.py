"""What ``semantic=True`` draws: the classifier's answers, simple stimuli, a strip over temperature."""

from pathlib import Path

import numpy as np

from tfssl.backbones.imagenet import IMAGE_SIZE, RESIZE, imagenet_classes
from tfssl.color.metrics import join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photograph
from tfssl.color.predict import Colorizer
from tfssl.color.stimuli import cell, checker, perturbed
from tfssl.data.crop import Crop
from tfssl.data.decode import array_to_image
from tfssl.data.images import image_source
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

CLASSIFIER_CROP = Crop(IMAGE_SIZE, resize=RESIZE, flip=False)
"""What the classifier sees of an image."""

TEMPERATURES = (0.1, 0.25, 0.38, 0.5, 0.7, 1.0)
"""T of the strip, from the mode nearly to the mean."""

_MARK = (213, 94, 0)
_TURNED, _SHOWN, _PAIRS, _CELL = 5, 4, 6, 176


def write_sheets(method, model, data, colorizers, measures, out):
    """Write ``answers.png``, ``stimuli.png`` and, of a model that predicts bins, ``temperature.png`` to a folder.

    Args:
        method, model, data: as :func:`tfssl.methods.colorization.evaluate.evaluate`.
        colorizers: ``{name: predictor}``, ``""`` is the evaluated model.
        measures: the :class:`~tfssl.methods.colorization.semantic.SemanticMeasures` of the images.
        out: the folder.
    """
    source = image_source(data, min_size=LONGEST_SIDE)
    if measures.answers.images:
        _write_answers(source, colorizers, measures, Path(out) / "answers.png")
    step = -(-len(measures.indices) // _SHOWN)
    photographs = [read_photograph(source, index) for index in measures.indices[::step]]
    _write_stimuli(colorizers[""], photographs, Path(out) / "stimuli.png")
    _write_pairs(colorizers[""], source, measures.pairs.widest(_PAIRS), Path(out) / "isoluminant.png")
    if method.objective != "regression":
        _write_temperatures(method, model, photographs, Path(out) / "temperature.png")


def _write_answers(source, colorizers, measures, path):
    """Photographs whose first answer colors turned right, and wrong, against gray; framed by right and wrong."""
    answers, names = measures.answers, [name for _, name in imagenet_classes()]
    rows, labels = [], []
    for turn, text in ((1, "colors help"), (-1, "colors harm")):
        turned = [number for number in range(answers.images) if answers.turned(number, "gray_") == turn]
        for number in turned[:: -(-len(turned) // _TURNED) or 1]:
            photograph = read_photograph(source, measures.indices[number])
            row = [_answer(photograph.rgb, answers, number, "true_", names)]
            for colorizer in _ours_last(colorizers).values():
                for prefix, ab in colorizer(photograph).items():
                    image = join_lab(photograph.lab[..., 0], ab)
                    row.append(_answer(image, answers, number, prefix, names))
            rows.append(row)
            labels.append(f"{text}\n{Path(photograph.name).name}\n{_class_name(answers.reference(number), names)}")
    if rows:
        titles = ["true", *(name or "ours" for name in _ours_last(colorizers))]
        picture_sheet(rows, path, titles=titles, labels=labels, cell=rows[0][0].height)


def _ours_last(colorizers):
    return {name: colorizers[name] for name in sorted(colorizers, key=lambda name: name == "")}


def _answer(image, answers, number, version, names):
    answer, odds = answers.answer(number, version)
    frame = GOOD if answer == answers.reference(number) else BAD
    crop = CLASSIFIER_CROP.apply(array_to_image(image))
    return tile(crop, _CELL, text=f"{100 * odds:.0f} % {names[answer]}", frame=frame)


def _class_name(number, names):
    return names[number] if number >= 0 else "unknown"


def _write_stimuli(colorizer, photographs, path):
    """A row for each photograph: true colors, ours, and ours from other lightnesses; last the color chart."""
    rows, titles = [], ["true", "ours"]
    for photograph in photographs:
        others = perturbed(photograph)
        titles = ["true", "ours", *others]
        rows.append([photograph.rgb, *(_colorized(colorizer, p) for p in (photograph, *others.values()))])
    chart = checker()
    picture_sheet([*rows, [chart.rgb, _colorized(colorizer, chart)]], path, titles=titles)


def _colorized(colorizer, photograph):
    (ab,) = colorizer(photograph).values()
    return join_lab(photograph.lab[..., 0], ab)


def _write_pairs(colorizer, source, pairs, path):
    """A row for each pair of places of one lightness: the photographs in gray, then only the places."""
    rows = []
    for pair in pairs:
        photographs = [read_photograph(source, image) for image, *_ in pair]
        whole = [_gray(photograph) for photograph in photographs]
        versions = [whole, [p.rgb for p in photographs], [_colorized(colorizer, p) for p in photographs]]
        places = [[cell(image, *place[1:]) for image, place in zip(v, pair, strict=True)] for v in versions]
        marked = [_marked(image, *place[1:]) for image, place in zip(whole, pair, strict=True)]
        rows.append([*marked, *(np.concatenate([_square(image) for image in both], axis=1) for both in places)])
    if rows:
        picture_sheet(rows, path, titles=["one", "the other", "both in gray", "true", "ours"])


def _gray(photograph):
    return join_lab(photograph.lab[..., 0], np.zeros_like(photograph.lab[..., 1:]))


def _marked(image, row, column):
    image = image.copy()
    place = cell(image, row, column)  # a view
    for edge in (place[:3], place[-3:], place[:, :3], place[:, -3:]):
        edge[:] = _MARK
    return image


def _square(image):
    return np.asarray(array_to_image(image).resize((_CELL // 2, _CELL // 2)))


def _write_temperatures(method, model, photographs, path):
    colorizer = Colorizer(method, model, {f"T = {t:g}": t for t in TEMPERATURES})
    rows = []
    for photograph in photographs:
        fields = colorizer(photograph).values()
        rows.append([*(join_lab(photograph.lab[..., 0], ab) for ab in fields), photograph.rgb])
    picture_sheet(rows, path, titles=[*colorizer.prefixes, "true"])
