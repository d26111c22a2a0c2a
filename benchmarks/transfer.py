"""What encoders are good for: every transfer task, of every run and of the baselines, one file for each measurement.

Called by pretraining.py after each training. A task is measured where its data are given, and not measured again where
results/transfer/TASK/NAME-SEED.json exists.
"""

import dataclasses
import time

from machine import RESULTS, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A task of tfssl.evaluation on one set of data.

    Args:
        task: its name.
        data: argument of pretraining.py that holds the data.
        figures: the results that count, ``{name in the result: heading of the table}``.
        options: of the task, other than its defaults.
    """

    task: str
    data: str
    figures: dict
    options: dict = dataclasses.field(default_factory=dict)


MEASUREMENTS = {
    "knn": Measurement("knn", "labeled", {"best_on_test": "Caltech-101, neighbors (%)"}),
    "few_shot": Measurement(
        "few_shot", "labeled", {"accuracy_5": "Caltech-101, 5 a class (%)"}, {"shots": [1, 5], "draws": 3, "pool": 4}
    ),
    "voc_classification": Measurement("voc_classification", "voc", {"map_area": "VOC style, classes (mAP, %)"}),
    "detection": Measurement(
        "detection", "voc", {"map": "VOC style, boxes (mAP, %)"}, {"seeds": 1, "proposals": "sliding_windows"}
    ),
    "selective_search": Measurement(
        "detection",
        "voc",
        {"map": "VOC style, boxes from selective search (mAP, %)"},
        {"seeds": 1, "proposals": "selective_search"},
    ),
    "segmentation": Measurement("segmentation", "camvid", {"mean_iou": "CamVid (mIoU, %)"}, {"seeds": 1}),
}


def measure(name, slug, encoder, arguments):
    """Measure one encoder by every task whose data are given.

    Args:
        name: what to call it in tables.
        slug: of its files, with the seed.
        encoder: function without arguments that gives the ``keras.Model``; called once, and only if needed.
        arguments: of pretraining.py: data folders as attributes, ``tasks`` to measure.
    """
    from tfssl.evaluation import get_task

    network = None
    for title in arguments.tasks:
        wanted = MEASUREMENTS[title]
        data, result = getattr(arguments, wanted.data), f"transfer/{title}/{slug}"
        if data is None or (RESULTS / f"{result}.json").exists():
            continue
        print(f"  {name}: {title}", flush=True)
        network = encoder() if network is None else network
        start = time.perf_counter()
        found = get_task(wanted.task)(network, data, **wanted.options)
        seconds = round(time.perf_counter() - start, 1)
        print(*found.lines(), sep="\n    ", flush=True)
        save(
            result,
            config={"task": wanted.task, **wanted.options},
            packages=PACKAGES,
            seconds={"evaluation": [seconds]},
            comparisons=[],
            entry=name,
            figures=wanted.figures,
            found=slim(found),
        )
