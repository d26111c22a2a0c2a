"""Which words of held-out images are told, and what the words' weight vectors are worth as embeddings; pictures."""

import collections
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.special import log_softmax

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError, SourceError
from tfssl.evaluation import embeddings
from tfssl.evaluation.record import method_record
from tfssl.methods.caption_bow.data import log_prior, word_numbers
from tfssl.options import at_least_one
from tfssl.visualization.sheet import GOOD, picture_sheet
from tfssl.visualization.word_map import LEAST, word_map

TOP = 10
"""Words that are told of each image."""

_WRITTEN = 10_000  # words whose vectors are written to words.vec, the most frequent ones
_PANEL, _FONT_SIZE = (150, 192), 14  # pixels


class Truth:
    """For the pipeline, and its worker processes: the middle of an image, and which words it has."""

    def __init__(self, method):
        self._crop, self._index = method.crop, method.index

    def __call__(self, example, rng, training):
        """uint8 (s, s, 3), and bool (K,); ValueError if it has none."""
        numbers = word_numbers(self._index, example["captions"])
        if not len(numbers):
            raise ValueError("no word of its captions is in the vocabulary")
        present = np.zeros(len(self._index), bool)
        present[numbers] = True
        return self._crop.apply(example["image"]), present


def evaluate(
    method, model, data, *, out=None, limit=None, batch_size=64, similarity=None, analogies=None, vectors=None,
    progress=None,
):  # fmt: skip
    """Tell ten words of each image; compare the words' vectors with what people say of words.

    Args:
        method: the :class:`~tfssl.methods.CaptionBow` that the model belongs to.
        model: its model.
        data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`. ``out`` gets ``words.png``, a map of
            the words, and ``words.vec``, their vectors, as word2vec writes them.
        batch_size: images that the network sees at a time.
        similarity: files of pairs of words with a score, with commas between them, such as WordSim-353's.
        analogies: files of four words a line, such as word2vec's questions-words.txt.
        vectors: a file of vectors of word2vec, fastText or GloVe, to stand beside and to be combined with.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``precision_at_10``: fraction of the ten words told that are in the captions, mean over images, beside always
          telling the ten most frequent ones. Where training made words equally frequent, the natural frequencies are
          added to the scores; ``precision_at_10_plain`` is without;
        - of a softmax over all words ``nats_per_word``: mean ``-log p`` of the captions' words, beside frequencies;
        - ``similarity_FILE``: Spearman's correlation over the pairs whose words are in the vocabulary, and
          ``analogies_FILE``: fraction right. With ``vectors`` both are of the words that these know too, with them
          as baseline, and ``..._combined`` is of both vectors, each of length 1, behind each other;
        - the counts ``images``, ``images_skipped``, ``words``, and how many pairs and questions counted.
    """
    at_least_one(limit=limit, batch_size=batch_size)
    sets = _word_sets(similarity, analogies)  # before the work: a file that is wrong is told at once
    source, skipped = method.open(data), Skipped()
    check_source(source)
    words = list(method.index)
    others = None if vectors is None else embeddings.read_vectors(vectors, words)
    tally, score, total = Tally(method), _scorer(method, model), min(len(source), limit or len(source))
    options = {"training": False, "limit": limit, "skipped": skipped}
    for images, present in batches(source, Truth(method), batch_size, **options):
        tally.add(score(images), np.asarray(present))
        if progress is not None:
            progress(tally.images, total)
    if not tally.images:
        raise SourceError("`data` holds no image with a word of the vocabulary; give others")
    values, kinds = tally.metrics()
    weights = np.asarray(_vectors(model), np.float32)
    for name, metric, kind in _embedding_metrics(dict(zip(words, weights, strict=True)), sets, others):
        values[name] = metric
        kinds |= {} if kind is None else {name: kind}
    values |= {"images": float(tally.images), "images_skipped": float(len(skipped.reasons))}
    values |= {"words": float(len(words)), "words_per_image": tally.words / tally.images}
    record = method_record(method, values, kinds, skipped=skipped.reasons)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
        written = dict(zip(words[:_WRITTEN], weights[:_WRITTEN], strict=True))
        embeddings.write_vectors(Path(out) / "words.vec", written)
        if len(words) >= LEAST:
            word_map(words, weights, Path(out) / "words.png")
    return record


class Tally:
    """What :func:`evaluate` counts about images, a batch after the other: scores of all at once can fill the memory."""

    def __init__(self, method):
        self.images = self.words = 0
        self._frequencies = method.statistics["counts"].astype(np.float64)
        self._frequencies /= self._frequencies.sum()
        self._prior = log_prior(method)
        # Of few words at a time the softmax gives no probabilities.
        self._whole = method.objective == "multi_class" and method.candidates is None
        self._sums = collections.Counter()

    def add(self, scores, truth):
        """Scores float64 (B, K), without natural frequencies, and truth bool (B, K)."""
        if not np.isfinite(scores).all():
            raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
        if scores.shape != truth.shape:
            raise ModelError(
                f"the model scores {scores.shape[1]} words, the vocabulary holds {truth.shape[1]}: make the model of "
                "the method that was adapted to the data"
            )
        natural, count = scores + self._prior, len(truth)
        always = np.broadcast_to(self._frequencies, truth.shape)
        for name, ranked in (("precision_at_10", natural), ("frequency", always), ("plain", scores)):
            self._sums[name] += count * precision(ranked, truth)
        if self._whole:
            self._sums["nats"] -= log_softmax(natural, axis=1)[truth].sum()
            self._sums["frequency_nats"] -= np.log(self._frequencies)[np.nonzero(truth)[1]].sum()
        self.images += count
        self.words += int(truth.sum())

    def metrics(self):
        """``(numbers, what they are)``, see :func:`tfssl.evaluation.record.metrics_of`."""
        means = {name: float(total / self.images) for name, total in self._sums.items()}
        values = {name: means[name] for name in ("precision_at_10", "frequency")}
        kinds = {"precision_at_10": ("fraction", True, {"frequency": "frequency"})}
        if self._prior.any():
            values["precision_at_10_plain"] = means["plain"]
            kinds["precision_at_10_plain"] = ("fraction", True, {"frequency": "frequency"})
        if self._whole:
            values |= {name: float(self._sums[name] / self.words) for name in ("nats", "frequency_nats")}
            values["nats_per_word"] = values.pop("nats")
            kinds["nats_per_word"] = ("nats", False, {"frequency": "frequency_nats"})
        return values, kinds


def precision(scores, truth):
    """Fraction of the ten words with the largest scores that are true, mean over images; of equal scores the first."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    return float(np.take_along_axis(truth, top, axis=1).mean())


def _word_sets(similarity, analogies):
    """``[(name, function of vectors, what it counts)]`` of the files given."""
    found = []
    for kind, given, read, measure in (
        ("similarity", similarity, embeddings.read_pairs, embeddings.similarity),
        ("analogies", analogies, embeddings.read_questions, embeddings.analogies),
    ):
        for path in embeddings.files(kind, given):
            name = f"{kind}_{re.sub(r'[^a-z0-9]+', '_', path.stem.lower()).strip('_')}"
            items = read(path)
            found.append((name, lambda vectors, items=items, measure=measure: measure(vectors, items)))
    return found


def _embedding_metrics(own, sets, others):
    """``(name, number, what it is or None)`` of all word sets; with other vectors of the words that both know."""
    if others is not None:
        both = embeddings.combined(own, others)
        own = {word: own[word] for word in both}
        yield "words_with_vectors", float(len(both)), None
    for name, measure in sets:
        value, count = measure(own)
        unit = "fraction" if name.startswith("analogies") else ""
        beside = {"chance": 1 / max(len(own) - 3, 1) if unit else 0.0}
        if others is not None:
            beside["vectors"] = measure({word: others[word] for word in own})[0]
            yield f"{name}_combined", measure(both)[0], (unit, True, beside | {"captions": value})
        yield name, value, (unit, True, beside)
        yield f"{name}_counted", float(count), None


def write_sheet(method, model, data, path, count=8):
    """Draw ``count`` images spread over the source, and below each the ten words told, green if captions have them."""
    truth, words, score = Truth(method), list(method.index), _scorer(method, model)
    drawn = spread_examples(method.open(data), count, lambda example, seed: truth(example, None, False))
    images, present = (np.stack(part) for part in zip(*drawn, strict=True))
    ranked = np.argsort(-(score(images) + log_prior(method)), axis=1, kind="stable")[:, :TOP]
    panels = [_panel([(words[k], has[k]) for k in row]) for row, has in zip(ranked.tolist(), present, strict=True)]
    picture_sheet([list(images), panels], path, labels=["image", "words told,\ngreen: in its\ncaptions"], cell=192)


def _panel(words):
    panel = Image.new("RGB", _PANEL, "white")
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(_FONT_SIZE)
    for line, (word, right) in enumerate(words):
        draw.text((2, line * _PANEL[1] // TOP), word, GOOD if right else "#777777", font)
    return panel


def _scorer(method, model):
    """Function of uint8 images (B, s, s, 3) that gives the scores of all words, float64 (B, K)."""
    from tfssl.methods.caption_bow.network import build_scorer

    network = build_scorer(model)
    return lambda images: np.asarray(network(np.asarray(images, np.float32) / 255.0, training=False), np.float64)


def _vectors(model):
    from tfssl.methods.caption_bow.network import word_vectors

    return word_vectors(model)
