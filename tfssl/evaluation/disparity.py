"""Disparities read from the codes of an encoder of pairs: the read-out, maps of whole images, their confidence."""

import dataclasses
import functools

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.logistic import Classifier, Rows, fit

STRENGTH = 100.0  # C of the regression
WRONG = 1.0  # pixels: a disparity that is further off is bad

_FLOOR = 1e-4  # least probability: no single place rules a disparity out


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """A stereo pair as the encoder sees it: RGB in [0, 1], float32 (H, W, 3) each, and its disparity (H, W) or None."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray | None

    @classmethod
    def of(cls, example, width=None):
        """An example of a source, scaled to ``width`` pixels unless None; disparities are scaled along."""
        left, right, disparity = example["left"], example["right"], example.get("disparity")
        if width is not None and width < left.width:
            size = (width, max(round(left.height * width / left.width), 1))
            rows, columns = (
                ((np.arange(n) + 0.5) * full / n).astype(int)
                for n, full in zip(size[::-1], (left.height, left.width), strict=True)
            )
            if disparity is not None:  # the nearest one: a mean over an edge is on neither side of it
                disparity = disparity[np.ix_(rows, columns)] * (width / left.width)
            left, right = (image.resize(size, Image.Resampling.BOX) for image in (left, right))
        sides = (np.asarray(image.convert("RGB"), np.float32) / 255 for image in (left, right))
        return cls(*sides, disparity)


class PairMaps:
    """Codes of a pair at every position, the right view moved by whole pixels.

    Args:
        network: an encoder of modality ``"pair"``: (1, 2, H, W, 3) -> ``{tap: (1, h, w, K)}``.
    """

    def __init__(self, network):
        self._call = _traced(lambda pair: network(pair, training=False), _PAIR)
        self._responses, self._joined = _halves(network) or (None, None)

    def __call__(self, views, shift):
        """``{tap: float32 (h, w, K)}`` with the right view moved to the right by ``shift`` pixels, border repeated."""
        columns = np.clip(np.arange(views.left.shape[1]) - shift, 0, views.right.shape[1] - 1)
        pair = np.stack([views.left, views.right[:, columns]])[None]
        return {tap: np.asarray(values[0]) for tap, values in self._call(pair).items()}

    def moves(self, views, shifts):
        """Yield what a call gives for each of several shifts.

        Filters whose responses meet in nothing but a product answer once for all of them.
        """
        if self._responses is None:
            for shift in shifts:
                yield self(views, shift)
            return
        # With the border repeated far enough, the responses of the moved right view are the moved responses.
        before, behind = max(0, *shifts), max(0, *(-shift for shift in shifts))
        sides = [np.pad(side, ((0, 0), (before, behind), (0, 0)), "edge") for side in (views.left, views.right)]
        responses = self._responses(np.stack(sides)[None])
        width = responses[0].shape[2] - before - behind
        for shift in shifts:
            found = self._joined(*responses, before, before - shift, width)
            yield {tap: np.asarray(values[0]) for tap, values in found.items()}


_PAIR = ((1, 2, None, None, 3), "float32")  # shape and type of two views


def _traced(function, *specs):
    """A function of tensors as a graph, traced once."""
    import tensorflow as tf

    signature = [tf.TensorSpec(*spec) for spec in specs]
    graph = tf.function(function, signature, autograph=False).get_concrete_function()
    return lambda *inputs: graph(*(tf.convert_to_tensor(x, s.dtype) for x, s in zip(inputs, signature, strict=True)))


def _halves(network):
    """What each side of a pair answers by itself, and how the taps follow from both answers; None if that is not so."""
    import keras

    from tfssl.layers.synchrony import SynchronyProduct

    products = [layer for layer in network.layers if isinstance(layer, SynchronyProduct)]
    if len(products) != 1:
        return None
    (product,) = products
    sides = keras.Model(network.input, product.input)
    try:
        rest = keras.Model(product.output, network.output)
    except ValueError:  # a tap that does not come from the product
        return None

    def joined(left, right, first, second, width):
        return rest(left[:, :, first : first + width] * right[:, :, second : second + width], training=False)

    part, place = ((1, None, None, product.units), "float32"), ((), "int32")
    responses = _traced(lambda pair: product.responses(sides(pair, training=False)), _PAIR)
    return responses, _traced(joined, part, part, place, place, place)


def inside(array, shape):
    """The part of a map (H, W, ...) at the centers of the patches of an answer (h, w), and what was cut off: (y, x)."""
    (height, width), (full_height, full_width) = shape, array.shape[:2]
    top = (full_height - height) // 2
    left = full_width - width - (full_height - height) + top  # encoders with an offset lose columns on the left
    return array[top : top + height, left : left + width], (top, left)


@dataclasses.dataclass(frozen=True, eq=False)
class ReadOut:
    """Multinomial logistic regression from codes to residual disparities -R ... R, and ``outside`` of them."""

    classifier: Classifier
    reach: int

    @classmethod
    def fit(cls, codes, residuals, reach):
        """Fit it to codes, float32 (N, K), and residuals in pixels, (N,)."""
        rows, labels = Rows(codes), labels_of(residuals, reach)
        if len(np.unique(labels)) < 2:
            raise SourceError("`train`: all labeled positions have one disparity; there is nothing to tell apart")
        return cls(rows.of_features(fit(rows, labels, 2 * reach + 2, STRENGTH)), reach)

    def log_probabilities(self, codes):
        """Of the residuals -R ... R, codes (h, w, K) -> float32 (2R + 1, h, w)."""
        # Classes come first: whole maps are added up later.
        odds = self.classifier.weights.T @ codes.reshape(-1, codes.shape[-1]).T + self.classifier.bias[:, None]
        odds = np.exp(odds - odds.max(axis=0))
        odds /= odds.sum(axis=0)
        return np.log(np.maximum(odds[:-1], _FLOOR)).reshape(-1, *codes.shape[:-1])

    def accuracy(self, codes, residuals):
        """Fraction of positions whose most probable class is theirs."""
        return float(np.mean(self.classifier.predict(codes) == labels_of(residuals, self.reach)))


@dataclasses.dataclass(frozen=True, eq=False)
class FilterVotes:
    """Residual disparities -R ... R told from filters alone: each unit votes for its own disparity by its activity.

    What is told of a disparity is the mean activity of the units that have it, as a fraction of all of them. Units
    whose disparity is beyond R, and disparities that no unit has, are left out.

    Args:
        disparities: int (K,), of the units, see :func:`unit_disparities`.
        reach: R in pixels.
    """

    disparities: np.ndarray
    reach: int

    @functools.cached_property
    def _weights(self):
        own = self.disparities[:, None] == np.arange(-self.reach, self.reach + 1)
        return (own / np.maximum(own.sum(axis=0), 1)).astype(np.float32)

    def log_probabilities(self, codes):
        """As :meth:`ReadOut.log_probabilities`."""
        votes = np.maximum(self._weights.T @ codes.reshape(-1, codes.shape[-1]).T, _FLOOR)
        return np.log(votes / votes.sum(axis=0)).reshape(-1, *codes.shape[:-1])

    def accuracy(self, codes, residuals):
        """As :meth:`ReadOut.accuracy`; what is outside is never told."""
        return float(np.mean(self.log_probabilities(codes).argmax(axis=0) == labels_of(residuals, self.reach)))


def filter_pairs(network):
    """Filters of an encoder's units on the pixels of left and right patches, float32 (K, size, size) each.

    Raises:
        ConfigError: if the network does not whiten patches and multiply the responses of pairs of filters.
    """
    from tfssl.layers.synchrony import SynchronyProduct
    from tfssl.layers.whitening import PatchWhitening

    found = [[layer for layer in network.layers if isinstance(layer, k)] for k in (PatchWhitening, SynchronyProduct)]
    if [len(layers) for layers in found] != [1, 1]:
        raise ConfigError(
            f"`read_out` filters is for encoders of synchrony, whose units are pairs of filters. Received: a network "
            f"{network.name!r} without"
        )
    (whitening,), (product,) = found
    matrix = np.asarray(whitening.kernel)[:, :, 0]  # (size, size, components)
    return tuple(np.moveaxis(matrix @ np.asarray(k), -1, 0) for k in (product.kernel_x, product.kernel_y))


def unit_disparities(left, right):
    """The disparity of pairs of filters: where moving the right one makes it most like the left one.

    ``argmax_d sum_x u(x) v(x - d)``, d up to half of the filters' size: of white patches it is the disparity at which
    the product of both responses is largest in the mean.

    Args:
        left, right: (K, size, size).

    Returns:
        int (K,), pixels.
    """
    half = left.shape[2] // 2
    padded = np.pad(right, ((0, 0), (0, 0), (half, half)))
    lags = range(-half, half + 1)
    moved = [np.sum(left * padded[:, :, half - d : half - d + left.shape[2]], axis=(1, 2)) for d in lags]
    return np.argmax(moved, axis=0) - half


def labels_of(residuals, reach):
    """Classes: residual + reach, and 2 reach + 1 for those outside."""
    whole = np.rint(residuals).astype(int)
    return np.where(np.abs(whole) <= reach, whole + reach, 2 * reach + 1)


def labeled_positions(maps, source, count, reach, rng, *, width=None, per_pair=100):
    """Codes at random positions of known disparity, the right view moved so that it is within about ``reach``.

    Returns:
        ``({tap: float32 (N, K)}, residuals (N,))``, N up to ``count``; SourceError if no position is labeled.
    """
    codes, residuals, found, order = {}, [], 0, rng.permutation(len(source))
    for number in range(-(-count // per_pair)):
        try:
            views = Views.of(source.example(int(order[number % len(order)])), width)
        except (ValueError, OSError):  # others serve as well
            continue
        known = np.isfinite(views.disparity)
        if not known.any():
            continue
        aim = rng.choice(views.disparity[known])
        shift = round(float(aim)) + int(rng.integers(-reach - 1, reach + 2))
        answer = maps(views, shift)
        truth, _ = inside(views.disparity, next(iter(answer.values())).shape[:2])
        y, x = np.nonzero(np.isfinite(truth))
        if not len(y):
            continue
        chosen = rng.choice(len(y), min(per_pair, count - found), replace=len(y) < per_pair)
        for tap, values in answer.items():
            codes.setdefault(tap, []).append(values[y[chosen], x[chosen]])
        residuals.append(truth[y[chosen], x[chosen]] - shift)
        found += len(chosen)
    if not found:
        raise SourceError("`train`: no position of its pairs has a known disparity")
    return {tap: np.concatenate(parts) for tap, parts in codes.items()}, np.concatenate(residuals)


def disparity_maps(maps, views, read_outs, disparities, *, window=5, step=1):
    """Disparity and confidence of each pixel of a pair, ``{tap: (disparity, confidence)}``, float32 (H, W) each.

    The right view is moved by the disparities of the range, ``step`` pixels apart, and the logarithms of what the
    read-out says of the residuals are averaged over all moves that speak of the same disparity, and over ``window``
    pixels squared; the largest mean wins. NaN at the border, where there is no whole patch. See :func:`_confidence`.

    Args:
        read_outs: ``{tap: ReadOut}``.
        disparities: (lowest, highest) in whole pixels.
        window: pixels, odd; 1 for none.
        step: pixels, from 1 to the reach of the read-outs.
    """
    low, high = disparities
    shifts = range(low, high + 1, step)
    votes, counts = {}, np.zeros(high - low + 1, np.float32)
    for shift, answer in zip(shifts, maps.moves(views, shifts), strict=True):
        for tap, read_out in read_outs.items():
            logs = read_out.log_probabilities(answer[tap])
            if tap not in votes:
                votes[tap] = np.zeros((high - low + 1, *logs.shape[1:]), np.float32)
            for place, residual in enumerate(range(-read_out.reach, read_out.reach + 1)):
                if low <= shift + residual <= high:
                    votes[tap][shift + residual - low] += logs[place]
        counts[max(shift - read_out.reach - low, 0) : shift + read_out.reach - low + 1] += 1
    found = {}
    for tap, sums in votes.items():
        scores = uniform_filter(sums / counts[:, None, None], (0, window, window), mode="nearest")
        best, size = scores.argmax(axis=0), views.left.shape[0] - scores.shape[1] + 1
        whole = np.full((2, *views.left.shape[:2]), np.nan, np.float32)
        for full, values in zip(whole, (low + best, _confidence(scores, best, low, size)), strict=True):
            inside(full, values.shape)[0][...] = values
        found[tap] = tuple(whole)
    return found


def _confidence(scores, best, low, size):
    """A third each for evidence, agreement with the right view, and no step within a patch; float (h, w) in [0, 1].

    Evidence is the (geometric) mean probability of the disparity that won. The right view agrees if what wins there,
    by the same evidence, is the same within a pixel. A step of more than a pixel within ``size`` pixels squared is
    where a patch sees two surfaces, of which the one in front is told on both sides, and with certainty.

    Args:
        scores: mean logarithms, (disparities, h, w), the first of the disparity ``low``.
        best: int (h, w), the largest one's number.
        size: of a patch.
    """
    evidence = np.exp(np.take_along_axis(scores, best[None], axis=0)[0])
    width = scores.shape[2]
    right = np.full(scores.shape, -np.inf, np.float32)
    for disparity, (ours, theirs) in enumerate(zip(scores, right, strict=True), start=low):
        ahead, behind = max(disparity, 0), max(-disparity, 0)  # what is at x on the left is at x - disparity there
        theirs[:, behind : width - ahead] = ours[:, ahead : width - behind]
    rows, columns = np.indices(best.shape)
    columns = columns - (low + best)
    there = right.argmax(axis=0)[rows, np.clip(columns, 0, width - 1)]
    agrees = (columns >= 0) & (columns < width) & (np.abs(there - best) <= 1)
    flat = maximum_filter(best, size, mode="nearest") - minimum_filter(best, size, mode="nearest") <= 1
    return (evidence + agrees + flat) / 3


def coverage_curve(errors, confidence, fractions):
    """Fraction of bad pixels among the most confident ones, for each fraction of the pixels that is kept.

    Args:
        errors: (N,), pixels; NaN counts as bad.
        confidence: (N,).
        fractions: in (0, 1].
    """
    bad = ~(np.abs(errors[np.argsort(-confidence, kind="stable")]) <= WRONG)
    return [float(bad[: max(round(f * len(bad)), 1)].mean()) for f in fractions]
