"""What two pretext tasks together are worth: features of two methods side by side in one linear probe, three seeds.

    python benchmarks/ensembles.py --train PHOTOS --labeled caltech101_96 [--seeds 0 1 2]

Trains short runs of split-brain autoencoders and of context prediction from each seed, then probes their ensemble,
beside each member, the members untrained, and, to tell what more features alone give, two seeds of each method.
Writes results/ensembles.json. Resumable.
"""

import argparse
from pathlib import Path

from machine import kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
MEMBERS = {  # configurations, with what is changed so that a run takes minutes
    "split_brain": ("steps_per_epoch=300", "epochs=2"),
    "context_prediction": ("steps_per_epoch=300", "epochs=3", "color=projection"),
}
TAPS, SIZE, POOL = ("conv3", "conv4", "conv5"), 64, 4  # rows and columns of the maps: 1536 numbers of a member


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs, at least two")
    parser.add_argument("--runs", type=Path, default=Path("runs/ensembles"), help="folder of the run directories")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for member in MEMBERS:
            train(member, seed, arguments)
    rows = []
    for seed in arguments.seeds:
        rows.append(kept(arguments.runs / f"probe-{seed}.json", lambda seed=seed: probed(seed, arguments)))
        print(rows[-1]["probe"]["metrics"]["accuracy"], flush=True)
    config = {"members": MEMBERS, "seeds": arguments.seeds, "taps": TAPS, "image_size": SIZE, "pool": POOL}
    save("ensembles", config=config, packages=PACKAGES, seconds={}, comparisons=[], rows=rows)


def train(member, seed, arguments):
    """A finished run of a member."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit

    changes = [f"data={arguments.train}", f"seed={seed}", *MEMBERS[member]]
    fit(load_config(f"{member}/cpu", changes), arguments.runs / f"{member}-{seed}")


def probed(seed, arguments):
    """Both members of a seed together, beside each of them, and beside each together with that of the next seed."""
    import tfssl
    from tfssl.backbones import ensemble
    from tfssl.evaluation.tasks import linear_probe

    following = arguments.seeds[(arguments.seeds.index(seed) + 1) % len(arguments.seeds)]
    own, next_ones = (
        {member: tfssl.load_encoder(arguments.runs / f"{member}-{number}") for member in MEMBERS}
        for number in (seed, following)
    )
    twice = {f"two seeds of {name}": ensemble({"own": own[name], "next": next_ones[name]}) for name in MEMBERS}
    record = linear_probe.evaluate(
        ensemble(own),
        arguments.labeled / "train",
        test=arguments.labeled / "test",
        taps=TAPS,
        pool=POOL,
        image_size=SIZE,
        seeds=1,
        compare={**own, **twice},
    )
    return {"seed": seed, "probe": slim(record)}


if __name__ == "__main__":
    main()
