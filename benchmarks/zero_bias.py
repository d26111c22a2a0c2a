"""What the filters of zero-bias autoencoders are worth: features of CIFAR-10 in four quadrants, a linear probe.

    python benchmarks/zero_bias.py CLASSES [--limit 3000] [--picture zero_bias_autoencoder.png]

CLASSES holds train/<class>/ and test/<class>/, such as CIFAR-10. Each variant learns from patches of the training
images without labels (zero_bias_autoencoder/cpu), from several seeds. Its encoder's codes at all places of an image are
averaged in each quadrant (after Coates, Ng and Lee 2011), and classes are told by logistic regression. Beside them: the
patches that filters start from, random filters, and the ordinary autoencoder with hidden biases, sparse or not. Writes
results/zero_bias.json. What is done is kept, the rest is made when the script is started again.
"""

import argparse
from pathlib import Path

from machine import WORK, kept, save

VARIANTS = {
    "TRec": (),
    "TLin": ("form=tlin",),
    "ordinary": ("form=relu",),
    "ordinary, sparse": ("form=relu", "sparsity=0.3"),
    "TRec, dropout": ("dropout=0.5",),
}
UNTRAINED = ("patches", "random filters")
MEASURED = ("reconstruction_error", "constant_reconstruction_error", "codes_active", "units_used", "filter_edges")
SIZE, POOL = 32, 2


def run_of(arguments, variant, seed):
    """``(method, model)`` of a variant, trained where it was not yet."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    run = arguments.work / f"{variant.replace(', ', '_')}-{seed}"
    settings = [f"data={arguments.data / 'train'}", "resize=null", f"stride={arguments.stride}", f"seed={seed}"]
    fit(load_config("zero_bias_autoencoder/cpu", [*settings, *VARIANTS[variant]]), run)
    return load_run(run)


def encoder_of(arguments, variant, seed):
    """The encoder of a variant, and what its method measures of it."""
    import keras

    from tfssl.evaluation.baselines import untrained

    if variant in VARIANTS:
        method, model = run_of(arguments, variant, seed)
        found = method.evaluate(model, str(arguments.data / "test"), limit=50).flat()
        return method.encoder(model), {name: found[name] for name in MEASURED}
    method, model = run_of(arguments, "TRec", seed)
    if variant == "random filters":
        return untrained(method.encoder(model), seed), {}
    keras.utils.set_random_seed(seed)
    return method.encoder(method.model()), {}


def probed(arguments, sets, variant, seed):
    """Accuracy on the test images."""
    from tfssl.evaluation.tasks.linear_probe import probe

    encoder, row = encoder_of(arguments, variant, seed)
    with sets.features(encoder, taps=["codes"], pool=POOL) as parts:
        (run,) = probe(variant, [seed], *parts)
    return row | {"accuracy": run.metrics["accuracy"], "strength": run.about["strength"]}


def draw(arguments, path):
    """What filters start as, and filters of three variants, of the first seed."""
    import tempfile

    import keras

    from tfssl.methods.zero_bias_autoencoder.evaluate import filters_of
    from tfssl.visualization.filters import filter_sheet
    from tfssl.visualization.sheet import picture_sheet

    seed = arguments.seeds[0]
    method, model = run_of(arguments, "TRec", seed)
    keras.utils.set_random_seed(seed)
    drawn = {"patches, the start": (method, method.model()), "TRec": (method, model)}
    drawn |= {name: run_of(arguments, name, seed) for name in ("TLin", "ordinary")}
    with tempfile.TemporaryDirectory() as folder:
        sheets = [filter_sheet(filters_of(*pair)[:100], Path(folder) / "filters.png") for pair in drawn.values()]
    picture_sheet([sheets], path, titles=list(drawn), cell=330)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--limit", type=int, default=None, help="labeled images of each half, at most")
    parser.add_argument("--stride", type=int, default=2, help="of the encoder, in pixels")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=[*VARIANTS, *UNTRAINED], help="which of them")
    parser.add_argument("--work", type=Path, default=WORK / "zero_bias", help="folder of what is done")
    parser.add_argument("--picture", help="PNG to draw filters into")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.evaluation.features import labeled_sets

    sets = labeled_sets(arguments.data / "train", arguments.data / "test", image_size=SIZE, limit=arguments.limit)
    rows = []
    for seed in arguments.seeds:
        for variant in arguments.variants:
            file = f"{variant.replace(', ', '_')}-{seed}-{arguments.limit}-{arguments.stride}.json"
            found = kept(
                arguments.work / file, lambda variant=variant, seed=seed: probed(arguments, sets, variant, seed)
            )
            rows.append({"variant": variant, "seed": seed, **found})
            print(rows[-1], flush=True)
    if arguments.picture:
        draw(arguments, arguments.picture)
    save(
        "zero_bias",
        config=load_config("zero_bias_autoencoder/cpu").to_dict()
        | {"data": "training images", "resize": None, "stride": arguments.stride, "variants": VARIANTS}
        | {"image_size": SIZE, "pool": POOL, "limit": arguments.limit, "seeds": arguments.seeds},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        rows=rows,
    )


if __name__ == "__main__":
    main()
