"""What textures of sounds know of labels, and whether frames tell how they sound: several seeds.

    python benchmarks/ambient_sound.py --sounds esc10/audio --labels esc10/meta.csv --clips CLIPS [--picture sound.png]

Labeled recordings: purity of k-means and a linear classifier over folds, of the 502 statistics, their groups, and mean
spectra. Rendered scenes of four kinds: ambient_sound/cpu with four clusters learns from 600 and is measured on 400
others, with all three kinds of targets, beside logistic regression on the pixels. Clips: the same method as in
ambient_sound/cpu, every fourth clip held out. Writes results/ambient_sound.json of all that was measured so far.
Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn")
TARGETS = ("clusters", "binary", "spectrum")
PARTS = ("sounds", *(f"rendered-{targets}" for targets in TARGETS), "rendered-all", "clips")
CLUSTERS, KMEANS_SEEDS = (10, 20), 10  # of the labeled recordings: as many as classes, and twice that
SCENES, OTHERS, STEPS = 600, 400, 300
HELD_OUT = 4  # of so many clips one is not learned from


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", help="labeled recordings")
    parser.add_argument("--labels", help="their CSV: filename, category, fold")
    parser.add_argument("--clips", help="clips with sound")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], help="of scenes, networks and held-out clips"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/ambient_sound"), help="folder of what was measured")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now: " + ", ".join(PARTS)
    )
    parser.add_argument("--picture", help="PNG to draw what the clusters of rendered scenes sound and look like into")
    arguments = parser.parse_args()
    for part in arguments.only:
        seeds = [0] if part == "sounds" else arguments.seeds
        for seed in seeds:
            measure = functools.partial(MEASURES[part.partition("-")[0]], part, seed, arguments)
            print(kept(arguments.runs / f"{part}-{seed}.json", measure), flush=True)
    found = {}
    for part in PARTS:
        files = sorted(arguments.runs.glob(f"{part}-[0-9]*.json"))
        found[part] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    from tfssl.config import load_config

    save(
        "ambient_sound",
        config=load_config("ambient_sound/cpu").to_dict()
        | {"data": "rendered scenes, or clips", "seeds": arguments.seeds, "steps": STEPS, "kmeans_seeds": KMEANS_SEEDS}
        | {"scenes": SCENES, "held_out_scenes": OTHERS, "held_out_clips": f"1 / {HELD_OUT}"},
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        sounds=found.pop("sounds"),
        rows=[row for part in found for row in found[part]],
    )


def sounds(part, seed, arguments):
    """Purity and accuracy of each kind of vector."""
    from tfssl.data.sounds import sound_source
    from tfssl.evaluation.sounds import chance_purity, cluster_purity, fold_accuracies, read_textures
    from tfssl.ops.sound_texture import SAMPLE_RATE

    vectors, labels, folds, skipped = read_textures(
        sound_source(arguments.sounds, SAMPLE_RATE, labels=arguments.labels)
    )
    rows = {}
    for name, numbers in vectors.items():
        rows[name] = {"accuracy": fold_accuracies(numbers, labels, folds), "numbers": numbers.shape[1]}
        rows[name] |= {f"purity_{k}": cluster_purity(numbers, labels, k, KMEANS_SEEDS) for k in CLUSTERS}
        print(name, {key: float(np.mean(value)) for key, value in rows[name].items()}, flush=True)
    chance = {f"purity_{k}": [chance_purity(labels, k)] for k in CLUSTERS}
    chance["accuracy"] = [float(np.bincount(labels).max() / len(labels))]
    return {"part": part, "sounds": len(labels), "skipped": len(skipped), "vectors": rows | {"chance": chance}}


def rendered(part, seed, arguments):
    """Scenes of four kinds: what is told of others."""
    from tfssl.config import load_config
    from tfssl.data.rendered_sounds import sounding_scenes

    targets = part.partition("-")[2]
    values = {"clusters": 4, "bits": 8, "cache": arguments.runs / "textures"}
    values |= {"targets": targets} if targets in TARGETS else {"drop": "all"}
    method = load_config("ambient_sound/cpu", [f"{key}={value}" for key, value in values.items()]).method
    train, test = (
        sounding_scenes(count=count, image_size=method.resize, seconds=method.seconds, seed=number)
        for count, number in ((SCENES, seed), (OTHERS, 1000 + seed))
    )
    return learned(part, seed, method, train, test, arguments.picture if part == PARTS[1] and not seed else None)


def clips(part, seed, arguments):
    """Real clips, some of them held out."""
    from tfssl.config import load_config
    from tfssl.data.clips import clip_source
    from tfssl.data.sounding import sounding_source

    method = load_config("ambient_sound/cpu", [f"cache={arguments.runs / 'textures'}"]).method
    paths = np.array(clip_source(arguments.clips).paths)
    held = np.random.default_rng(seed).permutation(len(paths)) % HELD_OUT == 0
    options = {"frames": method.frames, "seconds": method.seconds, "min_size": method.min_size}
    train, test = (in_memory(sounding_source(paths[rows].tolist(), **options)) for rows in (~held, held))
    return learned(part, seed, method, train, test) | {"clips": int((~held).sum()), "held_out_clips": int(held.sum())}


def in_memory(source):
    """A source of clips whose few frames are decoded once, not in each of many epochs."""
    from tfssl.data.source import Source

    found = []
    for index in range(len(source)):
        try:
            found.append(source.example(index))
        except (ValueError, OSError) as error:
            found.append(error)

    class InMemory(Source):
        noun = source.noun
        name = staticmethod(source.name)

        def __len__(self):
            return len(found)

        def example(self, index):
            if isinstance(found[index], Exception):
                raise ValueError(str(found[index]))
            return found[index]

        def sound(self, index):
            return self.example(index)["sound"]

    return InMemory()


def learned(part, seed, method, train, test, picture=None):
    """Learn from one source and tell of the other; and what logistic regression on pixels tells of it."""
    import keras

    method = method.adapted(method.adapt(train))
    keras.utils.set_random_seed(seed)
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, STEPS)))
    model.fit(method.dataset(train, batch_size=32, seed=seed, start=0, count=STEPS), verbose=0)
    record = method.evaluate(model, test)
    if picture:
        method.sample_sheet(model, test, picture)
    row = {"part": part, "seed": seed, "seen": slim(method.evaluate(model, train)), "pretext": slim(record)}
    return row | ({"pixels": pixels(method, train, test)} if method.targets == "clusters" else {})


def pixels(method, train, test, size=16):
    """Accuracy of logistic regression on small images, learned from all frames."""
    from PIL import Image

    from tfssl.evaluation.logistic import Rows, accuracy, fit

    sets = []
    for source in (train, test):
        images, labels = [], []
        for crops, targets in method.dataset(source, batch_size=32, training=False):
            small = [
                np.asarray(Image.fromarray(np.uint8(255 * crop)).resize((size, size), Image.Resampling.BOX))
                for crop in np.asarray(crops)
            ]
            images += small
            labels += np.asarray(targets).tolist()
        sets.append((np.stack(images).reshape(len(images), -1).astype(np.float32) / 255, np.array(labels)))
    (seen, known), (asked, truth) = sets
    rows = Rows(seen)
    return accuracy(fit(rows, known, method.clusters, len(seen)), rows.project(asked), truth)


MEASURES = {"sounds": sounds, "rendered": rendered, "clips": clips}

if __name__ == "__main__":
    main()
