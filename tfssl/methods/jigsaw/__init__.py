"""Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles (Noroozi and Favaro, ECCV 2016)."""

import functools
import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.errors import ConfigError
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper, check_resize
from tfssl.methods.jigsaw import data
from tfssl.ops.permutations import KINDS, load_permutations, permutation_set


class Jigsaw(Method):
    """Tell from nine tiles, each seen alone, which permutation has shuffled them.

    Defaults are the paper's: a random crop of 225 pixels with cells of 75. The released code differs:
    ``crop_size=255, crop_position="center", gray_fraction=0.5, projection_fraction=0.5, fc6=1024``.

    Three guards keep the network from matching tiles by their borders: the gap between tiles (``tile`` smaller than
    the cell), ``normalization`` and ``channel_jitter``. Each can be switched off to see what it is for.

    Args:
        resize: images are scaled so that their shorter side has this many pixels (256).
        crop_size: of the square that becomes the puzzle, in pixels, a multiple of 3: cells of 75 pixels for 225
            (paper), of 85 for 255 (released code).
        crop_position: ``"random"``: the square lies anywhere in the scaled image (paper), or ``"center"``: in its
            center (released code).
        tile: size of the square cut from each cell at random, in pixels (64; networks on whole cells: 75). The gap
            between the tiles of neighboring cells is 0 to 2 (cell - tile) pixels, cell - tile on average.
        channel_jitter: the channels of a tile are shifted against each other by up to this many pixels in x and y
            (2); 0 for none. This room is taken from the cell.
        gray_fraction: fraction of puzzles in gray, in [0, 1] (paper: 0.3, released code: 0.5).
        projection_fraction: fraction of the puzzles in color that lose their green - magenta component, where chromatic
            aberration shows, in [0, 1] (paper: none, released code: 0.5).
        normalization: ``"channel"``: each channel of each tile has mean 0 and standard deviation 1; ``"tile"``: each
            tile as a whole; ``"none"``: the same shift and scale for all images, as a control.
        permutations: number P of permutations, that is of classes (paper: 1000).
        permutation_set: ``"max_mean"`` (paper), ``"max_min"``, ``"middle"``, ``"min"``, see
            :func:`tfssl.ops.permutations.permutation_set`, or a file with P permutations (.npy, .bin as the
            released ones, or text; counting from 0 or 1).
        permutation_seed: of the generated set.
        backbone: ``"alexnet"`` (grouped, stride 2 in conv1) or ``"small"`` (0.7 million parameters in
            ``cpu.yaml``, batch normalization, for CPUs).
        fc6: units that describe one tile (paper: 512, released code: 1024).
        fc7: units that see all tiles (4096).
        dropout: fraction of units dropped after fc6 and fc7, in [0, 1) (0.5).
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", "Noroozi, Favaro", "ECCV", 2016
    )
    inputs: ClassVar[str] = "photographs"

    resize: int = Field(256, ge=9)
    crop_size: int = Field(225, ge=9, multiple_of=3)
    crop_position: Literal["random", "center"] = "random"
    tile: int = Field(64, ge=3, le=256)
    channel_jitter: int = Field(2, ge=0, le=16)
    gray_fraction: float = Field(0.3, ge=0, le=1)
    projection_fraction: float = Field(0.0, ge=0, le=1)
    normalization: Literal["channel", "tile", "none"] = "channel"
    permutations: int = Field(1000, ge=2, le=362_880)
    permutation_set: str = "max_mean"
    permutation_seed: int = Field(0, ge=0)
    backbone: Annotated[Any, Backbone("alexnet", "small")] = "alexnet"
    fc6: int = Field(512, ge=1)
    fc7: int = Field(4096, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _check_sizes(self):
        check_resize(self.resize, self.crop_size)
        if self.tile + self.channel_jitter > self.cell:
            raise ValueError(
                f"`tile` and `channel_jitter` must fit into a cell of {self.cell} pixels (crop_size / 3). "
                f"Received: tile={self.tile}, channel_jitter={self.channel_jitter}"
            )
        smallest = 23 if self.backbone == "alexnet" else 9
        if self.tile < smallest:
            raise ValueError(
                f"`tile` must be at least {smallest} pixels for backbone {self.backbone!r}. Received: tile={self.tile}"
            )
        return self

    @property
    def cell(self):
        """Size of a cell in pixels."""
        return self.crop_size // 3

    @functools.cached_property
    def permutation_table(self):
        """The permutations, uint8 (P, 9): slot i of a puzzle with label h holds the tile of cell ``table[h, i]``.

        Raises:
            ConfigError: if ``permutation_set`` is a file that does not hold P permutations of 9 tiles.
        """
        if self.permutation_set in KINDS:
            return permutation_set(self.permutations, self.permutation_set, seed=self.permutation_seed)
        table = load_permutations(self.permutation_set)
        if len(table) != self.permutations:
            raise ConfigError(
                f"`permutations` must be {len(table)}, the rows of {self.permutation_set!r}. "
                f"Received: permutations={self.permutations}"
            )
        return table

    @property
    def min_size(self):
        return self.resize

    def sample(self, example, rng, training):
        return data.cut_puzzle(self, example["image"], rng)

    def blank(self, tiles, *_):
        return super().blank(tiles.reshape(1, -1, tiles.shape[-1]))  # flat tiles that differ are a puzzle

    def prepare(self, tiles, labels, projected):
        return data.to_inputs(self, tiles, projected), labels

    def model(self, optimizer=None):
        from tfssl.methods.jigsaw.loss import puzzle_accuracy, puzzle_loss
        from tfssl.methods.jigsaw.network import build_network

        sizes = {name: getattr(self, name) for name in ("tile", "permutations", "fc6", "fc7", "dropout")}
        network = build_network(self.backbone, **sizes)
        # XLA fails under MirroredStrategy on CPU devices.
        optimizer = optimizer or paper_optimizer()
        network.compile(optimizer, puzzle_loss(), metrics=[puzzle_accuracy()], jit_compile=False)
        return network

    def encoder(self, model):
        """Features of whole images; a copy with stride 4 in conv1 for ``"alexnet"``, as in the paper's transfer."""
        from tfssl.methods.jigsaw.network import build_encoder

        return build_encoder(model, self.backbone, self.normalization)

    @property
    def baseline(self):
        """ln P, the loss of guessing."""
        return math.log(self.permutations)

    def evaluate(self, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
        from tfssl.methods.jigsaw.evaluate import evaluate

        options = {"limit": limit, "repeats": repeats, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)


def paper_optimizer():
    """The released solver: SGD, momentum 0.9, 0.01 divided by 10 every 100,000 steps; biases learn twice as fast.

    Kernels decay by 5e-4, through the momentum.
    """
    import keras

    from tfssl.optimizers import SGD

    # Keras keeps a rate up to and including its boundary.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [100_000 * i - 1 for i in (1, 2, 3)], [0.01, 0.001, 1e-4, 1e-5]
    )
    decay = {"weight_decay": 5e-4, "weight_decay_form": "coupled"}
    return SGD(schedule, momentum=0.9, bias_learning_rate_scale=2.0, **decay)
