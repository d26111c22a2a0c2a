"""Which words of held-out photographs are told, what the features and the word vectors are worth, and what it costs.

    python benchmarks/captions.py --data flickr8k_128 --labeled caltech101_96 [--words gensim/test/test_data]

caption_bow/cpu learns the words of the split `train` of captioned photographs in four ways, and tells those of the
split `test`; the convolutions of the first way are probed, beside the same network untrained. The word vectors of each
stand beside human judgements, the files wordsim353.tsv, simlex999.txt and questions-words.txt of a folder (gensim's
wheel carries them), and beside vectors of the text of the same captions, which never saw an image. `speed` is the time
of a step with all words and with few of them, of 1,000 and 10,000. Writes results/captions.json of all that was
measured so far. Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import Comparison, alternate, kept, ratio, save, slim
from scipy import sparse
from scipy.sparse.linalg import svds

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy")
WAYS = {
    "sampled": ["candidates=128", "sampling=images"],
    "full": ["candidates=null", "sampling=images"],
    "one_vs_all": ["objective=one_vs_all", "candidates=null", "sampling=images"],
    "balanced": ["candidates=128", "sampling=words"],
}
PARTS = (*WAYS, "probe", "speed")
TAPS, SIZE, POOL = ("conv1", "conv3", "conv5"), 64, 3  # probed; pixels of the images; rows and columns of the maps
TEXT = 100  # numbers of the vectors of text
VOCABULARIES, REPEATS = (1000, 10_000), 7
LAST = {"features": 4096, "batch": 128}  # the paper's last layer and its batches (recalled)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="captioned photographs with the splits train and test")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--words", type=Path, help="folder with wordsim353.tsv, simlex999.txt, questions-words.txt")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/captions"), help="folder of the run directories")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now: " + ", ".join(PARTS)
    )
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for part in arguments.only:
            if part != "speed":
                measure = functools.partial(probed if part == "probe" else learned, part, seed, arguments)
                print(kept(arguments.runs / f"{part}-{seed}.json", measure), flush=True)
    if "speed" in arguments.only:
        print(kept(arguments.runs / "speed.json", speed), flush=True)
    found = {}
    for part in PARTS[:-1]:
        files = sorted(arguments.runs.glob(f"{part}-[0-9].json"))
        found[part] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    timed = arguments.runs / "speed.json"
    seconds = json.loads(timed.read_text(encoding="utf-8")) if timed.is_file() else {}
    from tfssl.config import load_config

    save(
        "captions",
        config=load_config("caption_bow/cpu").to_dict()
        | {"data": "captioned photographs", "seeds": arguments.seeds, "image_size": SIZE, "pool": POOL}
        | {"ways": WAYS, "last_layer": LAST},
        packages=PACKAGES,
        seconds=seconds,
        comparisons=compared(seconds),
        rows=[row for way in WAYS for row in found[way]],
        probes=found["probe"],
    )


def learned(way, seed, arguments):
    """Train in one way from one seed, and measure it on the held-out split."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    run = arguments.runs / f"{way}-{seed}"
    fit(load_config("caption_bow/cpu", [f"data={arguments.data}:train", f"seed={seed}", *WAYS[way]]), run)
    training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {"way": way, "seed": seed, "training": training} | told(*load_run(run), arguments)


def told(method, model, arguments):
    """The method's own metrics on the held-out split; with word sets beside vectors of the captions' text."""
    from tfssl.evaluation.embeddings import write_vectors

    sets = {}
    if arguments.words:
        pairs = [arguments.words / name for name in ("wordsim353.tsv", "simlex999.txt")]
        sets = {"similarity": pairs, "analogies": arguments.words / "questions-words.txt"}
        vectors = kept(arguments.runs / "text.json", functools.partial(text_vectors, f"{arguments.data}:train"))
        sets["vectors"] = arguments.runs / "text.vec"  # of every word of the vocabulary
        write_vectors(sets["vectors"], {word: np.array(vector) for word, vector in vectors.items()})
    return {"told": slim(method.evaluate(model, f"{arguments.data}:test", **sets))}


def text_vectors(data):
    """Vectors of the words of captions by their neighbors in the text, ``{word: [numbers]}``: what word2vec does.

    Positive pointwise mutual information of words in one caption, its leading singular vectors by the root of their
    values (Levy and Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NeurIPS 2014).
    """
    from tfssl.data.captions import captioned_source
    from tfssl.methods.caption_bow.data import tokens

    texts = [set(tokens(text)) for captions in captioned_source(data).captions for text in captions]
    words = sorted(set().union(*texts))
    places = {word: number for number, word in enumerate(words)}
    rows = np.concatenate([np.full(len(text), number) for number, text in enumerate(texts)])
    columns = np.array([places[word] for text in texts for word in sorted(text)])
    has = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(texts), len(words)))
    together = (has.T @ has).tocoo()
    counts = np.asarray(has.sum(axis=0)).ravel()
    chance = counts[together.row] * counts[together.col] / len(texts)
    values = np.where(together.row == together.col, 0, np.maximum(np.log(together.data / chance), 0))
    found, scales, _ = svds(sparse.csr_matrix((values, (together.row, together.col)), together.shape), TEXT, rng=0)
    return dict(zip(words, (found * np.sqrt(scales)).round(6).tolist(), strict=True))


def probed(part, seed, arguments):
    """Linear probes of some convolutions of the run `sampled` of a seed, and of the same network untrained."""
    import keras

    from tfssl.config import load_config
    from tfssl.training.runs import load_run

    method, model = load_run(arguments.runs / f"sampled-{seed}")
    found = {"seed": seed}
    for name in ("trained", "untrained"):
        if name == "untrained":
            method = load_config("caption_bow/cpu").method
            keras.utils.set_random_seed(seed)
            model = method.model()
        encoder, taps = method.encoder(model), {}
        for tap in TAPS:
            file = arguments.runs / f"{part}-{seed}-{name}-{tap}.json"
            taps[tap] = kept(file, functools.partial(probed_tap, encoder, tap, seed, arguments))
        # The tap that counts is chosen on held-out images of the training set.
        chosen = max(TAPS, key=lambda tap: taps[tap]["held_out"])
        found[name] = taps[chosen] | {"tap": chosen, "taps": {tap: one["accuracy"] for tap, one in taps.items()}}
    return found


def probed_tap(encoder, tap, seed, arguments):
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe

    sets = labeled_sets(arguments.labeled / "train", arguments.labeled / "test", image_size=SIZE)
    with sets.features(encoder, taps=[tap], pool=POOL) as parts:
        (run,) = linear_probe.probe("encoder", [seed], *parts)
    return {"accuracy": run.metrics["accuracy"], "held_out": run.held_out, "chance": sets.chance}


def speed():
    """Seconds of training steps with all words and with 128: of caption_bow/cpu, and of the last layer alone."""
    import keras
    import tensorflow as tf

    from tfssl.config import load_config
    from tfssl.layers.dense import SelectedDense
    from tfssl.methods.caption_bow.data import MOST
    from tfssl.methods.caption_bow.loss import SampledCrossEntropy, WordCrossEntropy

    rng, seconds = np.random.default_rng(0), {}
    for words in VOCABULARIES:
        steps = {}
        for part in ("step", "last layer"):
            for way, candidates in (("full", None), ("sampled", 128)):
                if part == "step":
                    changes = [f"words={words}", f"candidates={'null' if candidates is None else candidates}"]
                    method = load_config("caption_bow/cpu", changes).method
                    model, batch = method.model(keras.optimizers.SGD(0.01, momentum=0.9)), 32
                    inputs = rng.random((batch, method.crop_size, method.crop_size, 3)).astype(np.float32)
                    names = ("image", "words")
                else:
                    batch = LAST["batch"]
                    features, chosen = (
                        keras.Input((LAST["features"],)),
                        keras.Input((128,), dtype="int32", name="words"),
                    )
                    layer = SelectedDense(words)
                    scores = layer(features) if candidates is None else layer(features, indices=chosen)
                    given = features if candidates is None else {"features": features, "words": chosen}
                    model = keras.Model(given, scores)
                    loss = WordCrossEntropy() if candidates is None else SampledCrossEntropy()
                    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, jit_compile=False)
                    inputs, names = rng.normal(size=(batch, LAST["features"])).astype(np.float32), ("features", "words")
                if candidates is None:
                    targets = np.full((batch, MOST), -1, np.int32)
                    targets[:, :13] = rng.integers(words, size=(batch, 13))
                else:
                    drawn = np.stack([rng.choice(words, candidates, replace=False) for _ in range(batch)])
                    targets = (np.arange(candidates) < 13).astype(np.int8)[None].repeat(batch, axis=0)
                    inputs = dict(zip(names, (inputs, drawn.astype(np.int32)), strict=True))
                inputs, targets = tf.nest.map_structure(tf.constant, (inputs, targets))
                steps[f"{part}, {words}, {way}"] = functools.partial(one_step, model, inputs, targets)
        seconds |= alternate(steps, REPEATS, warmup=2)
    return seconds


def one_step(model, inputs, targets):
    model.train_on_batch(inputs, targets)


def compared(seconds):
    """Factors by which a step with few words is faster."""
    found = []
    for key in seconds:
        part, words, way = key.split(", ")
        if way == "sampled":
            what = f"{part} with 128 of {int(words):,} words"
            found.append(Comparison(what, "all words", ratio(seconds, key.replace("sampled", "full"), key), 1.0))
    return found


if __name__ == "__main__":
    main()
