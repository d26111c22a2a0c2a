"""Stereo: how well the disparity of each pixel can be read from an encoder's codes of left and right patches."""

import importlib.util

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from tfssl.data.examples import Skipped
from tfssl.data.rendered import stereogram_source
from tfssl.data.stereo import stereo_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.disparity import (
    STRENGTH,
    WRONG,
    FilterVotes,
    PairMaps,
    ReadOut,
    Views,
    coverage_curve,
    disparity_maps,
    filter_pairs,
    labeled_positions,
    unit_disparities,
)
from tfssl.evaluation.runner import Progress, Run, check_choice, check_counts, compared, finish, run_all, spread
from tfssl.visualization.line_plot import line_plot
from tfssl.visualization.sheet import picture_sheet

FRACTIONS = tuple(round(0.1 * n, 1) for n in range(1, 11))  # of the pixels that are kept
SHOWN = 4  # pairs on the sheet

_RENDERED_TEST, _RENDERED_TRAIN = 8, 200  # pairs


def evaluate(
    encoder,
    data,
    *,
    train=None,
    lowest=None,
    highest=None,
    width=None,
    read_out="regression",
    positions=4000,
    reach=4,
    window=5,
    step=1,
    taps=None,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Read disparities of whole images from the codes, by a regression on few labeled positions or without any.

    Args:
        encoder: of modality ``"pair"`` and two views, left and right.
        data: stereo pairs with disparities, see :func:`tfssl.data.stereo.stereo_source`; ``"builtin"``: random-dot
            stereograms of disparities -4 to 4.
        train: pairs with disparities, others than those of ``data``, where the read-out is fitted; None: stereograms
            rendered with the builtin photographs as textures, so that no label of ``data`` is used.
        lowest: smallest disparity that is looked for, in pixels of the working size; None: -4 for ``"builtin"``, 0.
        highest: largest one; None: 4 for ``"builtin"``, 16.
        width: pixels that pairs are scaled to if they are wider, the working size; disparities are scaled along. None
            keeps their size.
        read_out: ``"regression"``: fitted to labeled positions; ``"filters"``: each unit votes, by its activity, for
            the disparity between its own two filters (:func:`tfssl.evaluation.disparity.unit_disparities`); for
            encoders of synchrony, nothing is fitted.
        positions: labeled ones that the read-out is fitted to, as many again choose the tap.
        reach: residual disparities that the read-out tells apart around every one that is looked for, in pixels.
        step: pixels from one move of the right view to the next, at most ``reach``: 1 asks the read-out about every
            disparity most often.
        window: pixels, odd, over whose square the evidence is averaged; 1 for none.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``bad``, the fraction of the pixels whose disparity is more than 1
        pixel off, beside the most frequent disparity everywhere (``constant``) and, where OpenCV is installed, its
        semi-global matching (``sgbm``, pixels without an answer are bad); ``bad_kept_half`` of the half with the
        highest confidence; ``right``, within half a pixel; ``right_interior`` likewise, of the pixels around which the
        disparity varies by at most a pixel over a patch; ``mean_error`` in pixels. All over the pixels of known
        disparity that have a whole patch around them. ``details`` hold the curve of ``bad`` over what is kept.

    Raises:
        SourceError: if no pair with a known disparity can be read.
    """
    check_counts(seeds=seeds, limit=limit, positions=positions, reach=reach, window=window, width=width, step=step)
    if step > reach:
        raise ConfigError(f"`step` must be at most reach ({reach}). Received: step={step}")
    check_choice(("regression", "filters"), read_out=read_out)
    if window % 2 == 0:
        raise ConfigError(f"`window` must be odd. Received: window={window!r}")
    rendered = isinstance(data, str) and data == "builtin"
    default = (-4, 4) if rendered else (0, 16)
    disparities = tuple(d if given is None else given for given, d in zip((lowest, highest), default, strict=True))
    if not disparities[0] <= disparities[1]:
        raise ConfigError(f"`lowest` must not be above `highest`. Received: lowest={lowest!r}, highest={highest!r}")
    test = stereogram_source(count=_RENDERED_TEST, seed=1) if rendered else stereo_source(data, disparity=True)
    if train is None:
        around = (-reach - 2, reach + 2)
        labeled = stereogram_source("builtin", count=_RENDERED_TRAIN, disparities=around, noise=2.0, seed=2)
    else:
        labeled = stereo_source(train, disparity=True)
    found = compared(encoder, modality="pair", taps=taps, trained=trained, compare=compare)
    for entry in found:
        if entry.network.input.shape[1] != 2:
            raise ConfigError(
                f"the task measures encoders of two views. Received: {entry.network.name!r}, {entry.network.takes}"
            )
    skipped, swept = Skipped(), {"window": window, "step": step}
    chosen = spread(len(test), limit or len(test))
    work = Progress(progress, sum(len(chosen) + 1 for entry in found for _ in range(seeds)))

    def measure(entry, network, seeds):
        maps = PairMaps(network)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            options = {"width": None if train is None else width}
            codes, residuals = labeled_positions(maps, labeled, positions, reach, rng, **options)
            if read_out == "filters":
                read_outs = dict.fromkeys(entry.taps, FilterVotes(unit_disparities(*filter_pairs(network)), reach))
            else:
                read_outs = {tap: ReadOut.fit(codes[tap], residuals, reach) for tap in entry.taps}
            codes, residuals = labeled_positions(maps, labeled, positions, reach, rng, **options)
            held_out = {tap: read_outs[tap].accuracy(codes[tap], residuals) for tap in entry.taps}
            work.add(f"{entry.name} {seed}")
            answers = {tap: [] for tap in entry.taps}
            for views in _pairs(test, chosen, width, skipped):
                for tap, answer in disparity_maps(maps, views, read_outs, disparities, **swept).items():
                    answers[tap].append((views, *answer))
                work.add(f"{entry.name} {seed}")
            for tap, shown in answers.items():
                metrics, curve = _metrics(shown)
                yield Run(entry.name, seed, metrics, tap, held_out[tap], {"curve": curve}, shown)

    runs = run_all(found, seeds, measure)
    own = max((r for r in runs if r.encoder == "encoder" and r.seed == 0), key=lambda r: r.held_out)
    beside, matched = _baselines(own.shown, disparities)
    curves = {name: _curve(runs, name) for name in dict.fromkeys(run.encoder for run in runs)}
    protocol = {
        "data": str(data) if isinstance(data, (str, bytes)) else test.noun,
        "train": "stereograms rendered from the builtin photographs" if train is None else str(train),
        "disparities": list(disparities),
        "width": width,
        "positions": positions,
        "reach": reach,
        **swept,
        "seeds": seeds,
        "limit": limit,
        "bad": f"more than {WRONG:g} pixel of the working size",
        "pixels": "of known disparity, with a whole patch around them",
        "read_out": {
            "regression": f"multinomial logistic regression, C = {STRENGTH:g}",
            "filters": "units vote by their activity for the disparity between their filters",
        }[read_out],
        "confidence": "a third each: mean probability, the right view agrees, no step within a patch",
    }
    details = {"kept": list(FRACTIONS), "bad_by_kept": curves}

    def draw(folder):
        _write_sheet(folder / "sheet.png", own.shown, disparities, matched)
        shown = {name: (list(FRACTIONS), values) for name, values in curves.items()}
        line_plot(shown, folder / "coverage.png", x_label="kept, the most confident", y_label="bad pixels")

    for run in runs:
        run.about.pop("curve")
    return finish(
        "stereo",
        runs,
        protocol=protocol,
        kinds={"bad": ("fraction", False), "bad_kept_half": ("fraction", False), "mean_error": ("px", False)},
        baselines=beside,
        counts={"pairs": len(own.shown), "pixels": int(sum(len(_errors(*entry)[0]) for entry in own.shown))},
        details=details,
        skipped=skipped.reasons,
        out=out,
        draw=draw,
    )


def _pairs(source, chosen, width, skipped):
    """Yield the :class:`Views` of the pairs that can be read."""
    count = 0
    for index in chosen:
        try:
            views = Views.of(source.example(index), width)
        except (ValueError, OSError) as error:
            skipped.add(source.name(index), str(error))
            continue
        count += 1
        yield views
    if not count:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.reasons.items())[:1])
        raise SourceError(f"`data`: no pair can be read ({reasons})")


def _errors(views, disparity, confidence):
    """Errors in pixels, confidences, and whether they are of the interior, of the pixels that count, (N,) each."""
    counts = np.isfinite(views.disparity) & np.isfinite(disparity)
    size = int(np.flatnonzero(np.isfinite(disparity).any(axis=1))[0]) * 2 + 1  # of a patch: there is none at the border
    known = np.isfinite(views.disparity)  # where something is not, the pixels around it are no interior
    largest = maximum_filter(np.where(known, views.disparity, np.inf), size, mode="nearest")
    least = minimum_filter(np.where(known, views.disparity, -np.inf), size, mode="nearest")
    return (disparity - views.disparity)[counts], confidence[counts], (largest - least <= 1)[counts]


def _metrics(shown):
    parts = zip(*(_errors(*one) for one in shown), strict=True)
    errors, confidence, interior = (np.concatenate(part) for part in parts)
    curve = coverage_curve(errors, confidence, FRACTIONS)
    metrics = {
        "bad": curve[-1],
        "bad_kept_half": coverage_curve(errors, confidence, [0.5])[0],
        "right": float(np.mean(np.abs(errors) < 0.5)),
        "right_interior": float(np.mean(np.abs(errors[interior]) < 0.5)) if interior.any() else np.nan,
        "mean_error": float(np.mean(np.abs(errors))),
    }
    return metrics, curve


def _curve(runs, name):
    """Mean curve of an encoder, each seed by the tap that held-out positions prefer."""
    own = [run for run in runs if run.encoder == name]
    best = [max((r for r in own if r.seed == seed), key=lambda r: r.held_out) for seed in {r.seed for r in own}]
    return np.mean([run.about["curve"] for run in best], axis=0).tolist()


def _baselines(shown, disparities):
    """``{metric: {name: value}}`` of a constant and of OpenCV's matching, and the maps of the latter or None."""
    truth = np.concatenate([views.disparity[np.isfinite(views.disparity)] for views, *_ in shown])
    values, counts = np.unique(np.rint(truth), return_counts=True)
    constant = np.float32(values[counts.argmax()])
    answers = {"constant": [np.full(views.disparity.shape, constant) for views, *_ in shown]}
    if importlib.util.find_spec("cv2") is not None:
        answers["sgbm"] = [semi_global_matching(views, disparities) for views, *_ in shown]
    found = {}
    for name, maps in answers.items():
        errors = []
        for (views, ours, _), other in zip(shown, maps, strict=True):
            errors.append((other - views.disparity)[np.isfinite(views.disparity) & np.isfinite(ours)])
        errors = np.abs(np.concatenate(errors))
        found.setdefault("bad", {})[name] = float(np.mean(~(errors <= WRONG)))
        found.setdefault("right", {})[name] = float(np.mean(errors < 0.5))
    return found, answers.get("sgbm")


def semi_global_matching(views, disparities, block=5):
    """OpenCV's semi-global block matching with its documented penalties, float32 (H, W); NaN where it has no answer."""
    import cv2

    low, high = disparities
    number = -(-(high - low + 1) // 16) * 16  # it looks for multiples of 16
    matcher = cv2.StereoSGBM_create(
        low, number, block, P1=8 * 3 * block**2, P2=32 * 3 * block**2, disp12MaxDiff=1, uniquenessRatio=10,
        speckleWindowSize=100, speckleRange=2,
    )  # fmt: skip
    # Borders are repeated by the range: it gives no answer for the columns that a search would leave.
    sides = [np.rint(side * 255).astype(np.uint8)[..., ::-1] for side in (views.left, views.right)]
    padded = [cv2.copyMakeBorder(side, 0, 0, number + abs(low), abs(low) + 16, cv2.BORDER_REPLICATE) for side in sides]
    found = matcher.compute(*padded).astype(np.float32) / 16
    found = found[:, number + abs(low) :][:, : views.left.shape[1]]
    return np.where(found >= low, found, np.nan).astype(np.float32)


def _write_sheet(path, shown, disparities, matched):
    rows = []
    for number in spread(len(shown), SHOWN):
        views, disparity, confidence = shown[number]
        kept = np.where(confidence >= np.nanmedian(confidence), disparity, np.nan)
        maps = [views.disparity, disparity, kept] + ([] if matched is None else [matched[number]])
        rows.append([views.left, views.right, *(painted(one, disparities) for one in maps)])
    titles = ["left", "right", "truth", "ours", "the confident half"] + ([] if matched is None else ["SGBM"])
    picture_sheet(rows, path, titles=titles)


def painted(disparity, disparities):
    """A disparity map as colors, near is bright, black where nothing is known: float (H, W) -> uint8 (H, W, 3)."""
    import matplotlib

    low, high = disparities
    known = np.isfinite(disparity)
    scaled = np.clip((np.where(known, disparity, low) - low) / max(high - low, 1), 0, 1)
    colors = matplotlib.colormaps["viridis"](0.1 + 0.9 * scaled)[..., :3]
    return np.where(known[..., None], np.rint(colors * 255), 0).astype(np.uint8)
