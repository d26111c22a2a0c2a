"""Which words of held-out photographs are told, what the features and the word vectors are worth, and what it costs.

    python benchmarks/captions.py --data flickr8k_128 --labeled caltech101_96 [--words gensim/test/test_data]

caption_bow/cpu learns the words of the split `train` of captioned photographs in four ways, and tells those of the
split `test`; the taps of the first way are probed, beside the same network untrained. The word vectors of each stand
beside human judgements, the files wordsim353.tsv, simlex999.txt and questions-words.txt of a folder (gensim's wheel
carries them), and beside vectors of the text of the same captions, which never saw an image. `speed` is the time of a
step with all words and with few of them, of 1,000 and 10,000. Writes results/captions.json of all that was measured so
far. Resumable.
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
PARTS = (*WAYS, "untrained", "speed")
PROBED = ("sampled", "untrained")
SIZE, POOL = 64, 4  # pixels of the images that are probed; rows and columns of the maps, about 1500 numbers
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
                measure = functools.partial(learned, part, seed, arguments)
                print(kept(arguments.runs / f"{part}-{seed}.json", measure), flush=True)
    if "speed" in arguments.only:
        print(kept(arguments.runs / "speed.json", speed), flush=True)
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(arguments.runs.glob("*-[0-9].json"))]
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
        rows=sorted(rows, key=lambda row: (PARTS.index(row["way"]), row["seed"])),
    )


def learned(way, seed, arguments):
    """Train in one way from one seed, measure it on the held-out split, and probe its taps; or only probe."""
    import keras

    from tfssl.config import load_config
    from tfssl.evaluation.embeddings import write_vectors
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    row = {"way": way, "seed": seed}
    if way == "untrained":
        method = load_config("caption_bow/cpu").method
        keras.utils.set_random_seed(seed)
        return row | {"probe": probed(method.encoder(method.model()), seed, arguments)}
    run = arguments.runs / f"{way}-{seed}"
    fit(load_config("caption_bow/cpu", [f"data={arguments.data}:train", f"seed={seed}", *WAYS[way]]), run)
    method, model = load_run(run)
    sets = {}
    if arguments.words:
        pairs = [arguments.words / name for name in ("wordsim353.tsv", "simlex999.txt")]
        sets = {"similarity": pairs, "analogies": arguments.words / "questions-words.txt"}
    data = f"{arguments.data}:test"
    row["training"] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    row["told"] = slim(method.evaluate(model, data, **sets))
    if sets:
        text = kept(arguments.runs / "text.json", functools.partial(text_vectors, f"{arguments.data}:train"))
        write_vectors(arguments.runs / "text.vec", {word: np.array(vector) for word, vector in text.items()})
        beside = method.evaluate(model, data, limit=1, vectors=arguments.runs / "text.vec", **sets)
        row["beside_text"] = slim(beside)
    return row | ({"probe": probed(method.encoder(model), seed, arguments)} if way in PROBED else {})


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


def probed(encoder, seed, arguments):
    """Linear probes of the convolutions; the tap that counts is chosen on held-out images of the training set."""
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe

    sets = labeled_sets(arguments.labeled / "train", arguments.labeled / "test", image_size=SIZE)
    taps = [tap for tap in encoder.taps if tap.startswith("conv")]
    with sets.features(encoder, taps=taps, pool=POOL) as parts:
        runs = list(linear_probe.probe("encoder", [seed], *parts))
    chosen = max(runs, key=lambda run: run.held_out)
    found = {run.tap: run.metrics["accuracy"] for run in runs}
    return {"tap": chosen.tap, "accuracy": chosen.metrics["accuracy"], "chance": sets.chance, "taps": found}


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
