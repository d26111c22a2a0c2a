"""The learned part of co_occurrence.py: a joint that is known, patches of photographs, and frames of clips."""

import csv
import time
from pathlib import Path

import numpy as np

JOINT = np.array([[0.4, 0.1], [0.1, 0.4]])
KNOWN_STEPS, KNOWN_BATCH = 800, 256
PATCH_PAIRS = 4000  # at least, of each folder of photographs and each kind of pairs
HELD_OUT = 0.3  # of the clips: none of their frames is learned from
LATER = 0.25  # of each other clip: its last frames are not learned from
FRAMES = 8  # of a clip, to measure
RATE = 6  # frames a second that are kept
TINY = {"crop_size": 8, "gap": 2, "jitter": 1, "channels": (4,), "features": 16, "head": (32, 16)}


def known(positives, seed):
    """Learn from pairs of black and white images that are drawn anew at every step."""
    import keras

    from tfssl.methods import CoOccurrence
    from tfssl.ops.pmi import context_logit, table_pmi

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    count = KNOWN_STEPS * KNOWN_BATCH
    same = rng.random(count) < positives
    together, apart = rng.choice(4, count, p=JOINT.ravel()), rng.integers(0, 4, count)  # both margins are even
    symbols = np.stack(np.divmod(np.where(same, together, apart), 2), axis=1)
    method = CoOccurrence(**TINY, positives=positives)
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.005, KNOWN_STEPS)))

    def batches():
        for start in range(0, count, KNOWN_BATCH):
            part = slice(start, start + KNOWN_BATCH)
            yield images_of(symbols[part]), same[part, None].astype(np.float32)

    model.fit(batches(), steps_per_epoch=KNOWN_STEPS, verbose=0)
    table = np.stack(np.divmod(np.arange(4), 2), axis=1)
    logits = np.asarray(model(images_of(table)), np.float64)[:, 0]
    wanted = context_logit(table_pmi(JOINT), positives).ravel()
    return {
        "positives": positives,
        "seed": seed,
        "logits": logits.tolist(),
        "pmi": wanted.tolist(),
        "largest_error": float(abs(logits - wanted).max()),
    }


def images_of(symbols):
    return np.broadcast_to(symbols[..., None, None, None].astype(np.float32), (*symbols.shape, 8, 8, 3)).copy()


def patches(seed, arguments):
    """Train `co_occurrence/cpu` on photographs, and tell pairs of patches of others, which are unlike them."""
    import keras

    from tfssl.config import load_config

    config = load_config("co_occurrence/cpu", [f"seed={seed}"])
    method, settings = config.method, config.settings
    steps = settings.steps_per_epoch * settings.epochs
    keras.utils.set_random_seed(seed)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    model = method.model(keras.optimizers.Adam(schedule))
    before = pairs_told(method, model, arguments, seed)
    started = time.process_time()
    source = method.open(arguments.photos)
    data = method.dataset(source, batch_size=settings.batch_size, seed=seed, start=0, count=steps)
    history = model.fit(data, verbose=2)
    return {
        "seed": seed,
        "photographs": len(source),
        "steps": steps,
        "core_seconds": round(time.process_time() - started, 1),
        "training_loss": history.history["loss"][-1],
        "untrained": before,
        "trained": pairs_told(method, model, arguments, seed),
    }


def pairs_told(method, model, arguments, seed):
    """Average precision and the rest, ``{folder: {where the others are from: {number: value}}}``."""
    from tfssl.methods.co_occurrence.evaluate import context_metrics, plain_distances, told

    found = {}
    for name, folder in (("others", arguments.others), ("bsds", arguments.bsds / "images")):
        source = method.open(folder)
        photographs = [source.example(n) for n in range(len(source))]
        each = -(-PATCH_PAIRS // len(photographs))
        for negatives in ("dataset", "image"):
            own = method.model_copy(update={"negatives": negatives, "pairs_per_image": each})
            drawn = [own.sample(one, np.random.default_rng((seed, n)), False) for n, one in enumerate(photographs)]
            pairs, labels = map(np.asarray, own.prepare(*map(np.concatenate, zip(*drawn, strict=True))))
            given, same = told(model, pairs), labels[:, 0] > 0
            values = context_metrics(given, same, plain_distances(pairs), method.baseline)[0]
            found.setdefault(name, {})[negatives] = values | {"images": len(photographs), "pairs": len(pairs)}
    return found


def frames(seed, arguments):
    """Train `co_occurrence/frames` on a part of the clips, and tell pairs of frames of the others."""
    import keras

    from tfssl.config import load_config

    config = load_config("co_occurrence/frames", [f"seed={seed}"])
    method, settings = config.method, config.settings
    clips = read_clips(arguments.videos, method.resize, arguments.runs / "frames.npz")
    rng = np.random.default_rng(seed)
    held = set(rng.permutation(len(clips))[: round(HELD_OUT * len(clips))].tolist())
    learned = [cut(clip, 0, 1 - LATER) for n, clip in enumerate(clips) if n not in held]
    later = [cut(clip, 1 - LATER, 1) for n, clip in enumerate(clips) if n not in held]
    others = [clip for n, clip in enumerate(clips) if n in held]
    steps = settings.steps_per_epoch * settings.epochs
    keras.utils.set_random_seed(seed)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    model = method.model(keras.optimizers.Adam(schedule))
    before = {name: measured(method, model, part) for name, part in (("later", later), ("others", others))}
    started = time.process_time()
    data = method.dataset(Clips(learned), batch_size=settings.batch_size, seed=seed, start=0, count=steps)
    history = model.fit(data, verbose=2)
    return {
        "seed": seed,
        "clips": len(learned),
        "held_out_clips": len(others),
        "steps": steps,
        "core_seconds": round(time.process_time() - started, 1),
        "training_accuracy": history.history["accuracy"][-1],
        "untrained": before,
        "later_frames": measured(method, model, later),
        "other_clips": measured(method, model, others),
        "pixels": {name: of_pixels(method, part) for name, part in (("later", later), ("others", others))},
    }


def measured(method, model, clips):
    images, owner, times = spread(clips)
    return told(method.affinities(model, images), owner, times, method.seconds)


def of_pixels(method, clips):
    """The same with the distance of what the network sees, the nearer the likelier one clip; no threshold is known."""
    from scipy.spatial.distance import cdist

    from tfssl.data.crop import Crop

    images, owner, times = spread(clips)
    crop = Crop(method.crop_size, resize=method.resize, flip=False)
    pixels = np.stack([crop.apply(image).ravel() for image in images]).astype(np.float64)
    return {"separated": told(-cdist(pixels, pixels), owner, times, method.seconds)["separated"]}


def spread(clips):
    """Frames at equal distances in each clip: images, the number of the clip of each, their seconds."""
    from PIL import Image

    images, owner, times = [], [], []
    for number, (pixels, seconds) in enumerate(clips):
        chosen = np.unique(np.linspace(0, len(pixels) - 1, FRAMES).round().astype(int))
        images += [Image.fromarray(pixels[n]) for n in chosen]
        owner += [number] * len(chosen)
        times += seconds[chosen].tolist()
    return images, np.array(owner), np.array(times)


def told(affinities, owner, times, seconds):
    """How pairs of frames of one clip, at most so many seconds apart, differ from all pairs of different clips."""
    from tfssl.evaluation.ranking import fraction_smaller

    first, second = np.triu_indices(len(owner), 1)
    values, one = affinities[first, second], owner[first] == owner[second]
    near = one & (abs(times[first] - times[second]) <= seconds)
    return {
        "separated": fraction_smaller(-values[near], -values[~one]),
        "different_told": float((values[~one] < 0.5).mean()),
        "same_told": float((values[near] > 0.5).mean()),
        "pairs_same": int(near.sum()),
        "pairs_different": int((~one).sum()),
    }


def cut(clip, start, end):
    pixels, seconds = clip
    part = slice(round(start * len(pixels)), round(end * len(pixels)))
    return pixels[part], seconds[part] - seconds[part][0]


def read_clips(folders, size, cache):
    """Frames of one clip of each recording, list of (uint8 (n, h, w, 3), seconds (n,)); what is left out is named."""
    from tfssl.data.clips import Clip, clip_source

    if cache.is_file():
        with np.load(cache) as file:
            return [(file[f"frames{n}"], file[f"seconds{n}"]) for n in range(len(file.files) // 2)]
    groups = {}
    for folder in folders:
        if (folder / "meta.tsv").is_file():
            with open(folder / "meta.tsv", encoding="utf-8", newline="") as file:
                groups |= {str(folder / row["file"]): row["group"] for row in csv.DictReader(file, delimiter="\t")}
    found, seen = [], set()
    for path in (path for folder in folders for path in clip_source(folder).paths):
        group = groups.get(path, path)
        if group in seen:
            continue
        try:
            clip = Clip(path, size)
            step = max(1, round(clip.rate / RATE))
            numbers = np.arange(0, len(clip), step)
            pixels = clip.frames(numbers)
            if len(numbers) < 2 * FRAMES:
                raise ValueError(f"{Path(path).name}: {len(numbers)} frames are too few")
        except ValueError as error:
            print(f"left out: {error}", flush=True)
            continue
        seen.add(group)
        found.append((pixels, np.asarray(clip.times)[numbers]))
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        cache,
        **{f"frames{n}": pixels for n, (pixels, _) in enumerate(found)},
        **{f"seconds{n}": seconds for n, (_, seconds) in enumerate(found)},
    )
    return found


def Clips(clips):
    """A source of clips that are in memory."""
    from tfssl.data.rendered import FrameClip
    from tfssl.data.source import Source

    class Kept(Source):
        noun = "clips"

        def __len__(self):
            return len(clips)

        def example(self, index):
            return {"clip": FrameClip(*clips[index])}

        def name(self, index):
            return f"clip {index}"

        def check(self, index):
            pass

        def sized(self, min_size):
            return self

    return Kept()
