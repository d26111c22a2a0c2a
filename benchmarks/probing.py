"""Linear probes as benchmarks of several seeds take them: one seed, every tap."""


def probed(encoder, labeled, seed, *, image_size, pool):
    """Linear probes of every tap, on a folder with train/<class>/ and test/<class>/.

    The tap that counts is chosen on held-out images of the training set.
    """
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe

    sets = labeled_sets(labeled / "train", labeled / "test", image_size=image_size)
    with sets.features(encoder, pool=pool) as parts:
        runs = list(linear_probe.probe("encoder", [seed], *parts))
    chosen = max(runs, key=lambda run: run.held_out)
    taps = {run.tap: run.metrics["accuracy"] for run in runs}
    held_out = {run.tap: run.held_out for run in runs}
    found = {"tap": chosen.tap, "accuracy": chosen.metrics["accuracy"], "chance": sets.chance}
    return found | {"taps": taps, "held_out": held_out}
