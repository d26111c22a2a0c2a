"""The constants of the detection task, checked, and how far its work has come."""

import dataclasses
import math
from typing import ClassVar

from tfssl.errors import ConfigError
from tfssl.evaluation.detection import head as detection_head
from tfssl.evaluation.detection import proposals
from tfssl.evaluation.detection.sampling import Sampling
from tfssl.evaluation.labeled_sets import check_counts
from tfssl.transfer import STRATEGIES


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How detectors are trained and tested.

    Args:
        tap, strategy, train_from, steps, rate, short_side, long_side, batch, regions, units, dropout, flip, seeds: see
            :func:`tfssl.evaluation.detection.evaluate`.

    Raises:
        ConfigError: for a value out of range.
    """

    tap: str
    strategy: str
    train_from: str | None
    steps: int
    rate: float
    short_side: int
    long_side: int
    batch: int
    regions: int
    units: int
    dropout: float
    flip: bool
    seeds: int

    pool_size: ClassVar[int] = 6
    """Side of the grid that a region is pooled to (CaffeNet)."""

    nms: ClassVar[float] = 0.3
    """Largest IoU of two detections of a class."""

    momentum: ClassVar[float] = 0.9
    weight_decay: ClassVar[float] = 5e-4
    drops: ClassVar[tuple[float, ...]] = (0.75,)
    """The rate drops after these shares of the steps."""

    bias_rate: ClassVar[float] = 2.0
    """Multiple of the rate for biases (Fast R-CNN's network definitions)."""

    def __post_init__(self):
        names = ("steps", "short_side", "long_side", "batch", "regions", "units", "seeds")
        check_counts(**{name: getattr(self, name) for name in names})
        if self.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise ConfigError(f"`strategy` must be one of {known}. Received: strategy={self.strategy!r}")
        if not self.rate > 0:
            raise ConfigError(f"`rate` must be above 0. Received: rate={self.rate!r}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"`dropout` must be in [0, 1). Received: dropout={self.dropout!r}")
        if not 16 <= self.short_side <= self.long_side:
            raise ConfigError(
                f"`short_side` must be 16 to `long_side` pixels. Received: short_side={self.short_side!r}, "
                f"long_side={self.long_side!r}"
            )

    @property
    def sampling(self):
        """How regions are drawn in training."""
        return Sampling(regions=self.regions)

    @property
    def training(self):
        """Arguments of :func:`tfssl.transfer.training.train_head`."""
        return {
            "steps": self.steps,
            "rate": self.rate,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "drops": self.drops,
            "bias_rate": self.bias_rate,
        }

    def longest_cell(self, cells):
        """Map cells along the side of a grid cell of a region as long as a map of ``cells`` cells."""
        return math.ceil((cells + 2) / self.pool_size) + 1

    def record(self):
        """Every constant, for ``metrics.json``."""
        return {
            **dataclasses.asdict(self),
            "sampling": dataclasses.asdict(self.sampling),
            "pool_size": self.pool_size,
            "nms": self.nms,
            "detections_per_image": detection_head.MAX_DETECTIONS,
            "maps": "standardized per channel by mean and deviation over 64 training pictures",
            "map_store": "float32 file, one map for each picture and mirror image"
            if self.strategy == "freeze"
            else None,
            "training": "softmax cross entropy + smooth L1 of normalized offsets, over the regions of a batch; SGD, "
            f"momentum {self.momentum}, weight decay {self.weight_decay}, rate x0.1 after {self.drops[0]:.0%} of the "
            f"steps, biases at {self.bias_rate:g} times the rate, gradient norm at most 10; objects join the proposals",
            "offsets": "normalized per class by mean and deviation over the proposals with IoU 0.5 or more",
            "windows": {"sides": proposals.SIDES, "step": proposals.STEP, "max_aspect": proposals.MAX_ASPECT},
            "selective_search": {"width": proposals.SEARCH_WIDTH, "min_side": proposals.MIN_SIDE, "mode": "fast"},
            "metrics": "map: VOC 2007, IoU 0.5, 11 points; map_area: IoU 0.5, area under the raw curve; coco_ap: IoU "
            "0.5 to 0.95, 101 points, 100 detections; difficult objects count for nothing",
        }


class Progress:
    """Counts units of work: pictures read, maps computed, steps of training, pictures tested.

    Args:
        report: called with (done, in all, what), or None.
        total: units in all.
    """

    def __init__(self, report, total):
        self._report, self._total, self._done = report, total, 0

    def add(self, what):
        """A function that counts one unit for each call, whatever it is called with."""

        def step(*_):
            self._done += 1
            self._tell(self._done, what)

        return step

    def steps(self, what, count):
        """A function of (done, in all, text) that counts the ``count`` steps of one training."""
        begun = self._done
        self._done += count
        return lambda done, _, text: self._tell(begun + done, f"{what} {text}")

    def _tell(self, done, what):
        if self._report is not None:
            self._report(done, self._total, what)
