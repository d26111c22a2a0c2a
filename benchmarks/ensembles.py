"""What two pretext tasks together are worth: features of two methods side by side in one linear probe, three seeds.

    python benchmarks/ensembles.py --train PHOTOS --labeled caltech101_96 [--seeds 0 1 2]

Trains short runs of split-brain autoencoders and of context prediction from each seed, then probes their ensemble,
beside each member, the members untrained, and, to tell what more features alone give, two seeds of each method.
Writes results/ensembles.json. Resumable.
"""

import argparse
from pathlib import Path

MEMBERS = {  # configurations, with what is changed so that a run takes minutes
    "split_brain": ("steps_per_epoch=300", "epochs=2"),
    "context_prediction": ("steps_per_epoch=300", "epochs=3", "color=projection"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/ensembles"), help="folder of the run directories")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for member in MEMBERS:
            train(member, seed, arguments)


def train(member, seed, arguments):
    """A finished run of a member; its directory."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit

    run = arguments.runs / f"{member}-{seed}"
    fit(load_config(f"{member}/cpu", [f"data={arguments.train}", f"seed={seed}", *MEMBERS[member]]), run)
    return run


if __name__ == "__main__":
    main()
