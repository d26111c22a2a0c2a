"""What can be synthesized: tasks, each a few kinds of terms, and the settings of one. Imports no TensorFlow."""

import dataclasses
import math

import numpy as np

from tfssl.errors import ConfigError, suggest
from tfssl.ops.arguments import check_integers
from tfssl.options import check

TEXTURE_TAPS = ("conv1_1", "pool1", "pool2", "pool3", "pool4")
"""Taps of VGG for textures: 176,640 different statistics (paper, figure 2; DeepTextures)."""

STYLE_TAPS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
"""Taps of VGG for the style of a style transfer (section 3 of the CVPR paper)."""

CONTENT_TAP = "conv4_2"
"""Tap of VGG for its content."""

SYMMETRIES = {
    "left-right": ("left-right",),
    "up-down": ("up-down",),
    "both": ("left-right", "up-down"),
    "quarter-turn": ("quarter-turn",),
}
"""Symmetry -> what the image shall be laid upon itself by, see :data:`tfssl.ops.gram.FLIPS`."""

OPTIMIZERS = ("lbfgs", "adam")
"""What makes an objective small, see :func:`tfssl.synthesis.minimize.minimize`."""

LEAST_SIZE = 32
"""Shorter side of the smallest image that is synthesized, in pixels."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A combination of terms.

    Args:
        kinds: of its terms: gram, shift, flip, content; see :mod:`tfssl.synthesis.objective`.
        content: what a second image is for: None, ``"start"`` (and content) or ``"hole"`` (what is known around it).
        taps: of VGG that the statistics are taken of.
    """

    kinds: tuple[str, ...]
    content: str | None = None
    taps: tuple[str, ...] = TEXTURE_TAPS


TASKS = {
    "texture": Task(("gram",)),
    "long-range": Task(("gram", "shift")),
    "symmetric": Task(("gram", "flip")),
    "inpaint": Task(("gram", "shift"), "hole"),
    "style": Task(("gram", "content"), "start", STYLE_TAPS),
    "season": Task(("gram", "shift", "content"), "start", STYLE_TAPS),
}
"""Name -> :class:`Task`."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of a synthesis.

    Args:
        task: a key of :data:`TASKS`.
        size: longer side of the result in pixels. Its shape is that of the content, or else of the reference.
        reference_size: longer side that the reference is reduced to, where it is larger; None for ``size``. With
            ``inpaint`` None is whatever brings it to the scale of the content.
        iterations: of the optimizer at each octave.
        octaves: sizes, each twice the one before, up to ``size``: each begins with the result of the one before it,
            enlarged. 1 is the papers'.
        optimizer: lbfgs (L-BFGS-B, as released) or adam.
        taps: names of the maps whose statistics are matched; None for the task's, where the network has them, or the
            deepest map of each resolution.
        content_tap: name of the map whose content is kept; None for conv4_2, or the last but one of those.
        shifts: of the shifted Gram matrices, in positions of each map; those over half its side are left out. None
            for powers of two up to a quarter of it, the four largest.
        symmetry: of the task ``symmetric``: left-right, up-down, both or quarter-turn.
        shift_weight: of the shifted Gram matrices, where the plain ones have 1; third-party code has 40.
        flip_weight: of the flipped ones.
        content_weight: of the content. Not the papers' figure: there the unit of the features is another one.

    Raises:
        ConfigError: for a value that there cannot be.
    """

    task: str = "texture"
    size: int = 256
    reference_size: int | None = None
    iterations: int = 200
    octaves: int = 1
    optimizer: str = "lbfgs"
    taps: tuple[str, ...] | None = None
    content_tap: str | None = None
    shifts: tuple[int, ...] | None = None
    symmetry: str = "left-right"
    shift_weight: float = 40.0
    flip_weight: float = 1.0
    content_weight: float = 1.0

    def __post_init__(self):
        for name, known in (("task", TASKS), ("optimizer", OPTIMIZERS), ("symmetry", SYMMETRIES)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"`{name}` {value!r} is unknown; {suggest(value, known)}")
        check_integers(1, iterations=self.iterations)
        check_integers(1, 8, octaves=self.octaves)
        check_integers(LEAST_SIZE, size=self.size)
        if self.reference_size is not None:
            check_integers(LEAST_SIZE, reference_size=self.reference_size)
        for shift in self.shifts or ():
            check_integers(1, shifts=shift)
        for name in ("shift_weight", "flip_weight", "content_weight"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ConfigError(f"`{name}` must be a number, 0 or more. Received: {name}={value!r}")

    @property
    def of_task(self):
        """Its :class:`Task`."""
        return TASKS[self.task]


def check_inputs(recipes, content, mask):
    """Refuse a content image that is missing, and one, or a mask, that no recipe has a use for."""
    for recipe in recipes:
        if content is None and recipe.of_task.content:
            raise ConfigError(f"`content` is missing: the task {recipe.task} changes an image; name it")
    used = {recipe.of_task.content for recipe in recipes}
    for name, given, users in (("content", content, {"start", "hole"}), ("mask", mask, {"hole"})):
        if given is not None and not used & users:
            tasks = ", ".join(task for task, one in TASKS.items() if one.content in users)
            received = ", ".join(recipe.task for recipe in recipes)
            raise ConfigError(f"`{name}` is of the tasks {tasks}; leave it out. Received: task {received}")


def recipe_options():
    """``{name: default}`` of the settings of a :class:`Recipe`."""
    return {field.name: field.default for field in dataclasses.fields(Recipe)}


def read_recipe(options):
    """A :class:`Recipe` of ``{name: value}``, as people write them: ``taps="conv1,conv2"``, ``shifts="2,4"``.

    Raises:
        ConfigError: for an unknown name, which suggests a known one, or a value that there cannot be.
    """
    check(options, recipe_options(), "synthesize")
    return Recipe(**{name: _LISTS[name](value) if name in _LISTS else value for name, value in options.items()})


def _names(value):
    return value if value is None else tuple(value.split(",") if isinstance(value, str) else value)


def _numbers(value):
    if value is None:
        return None
    try:
        values = value.split(",") if isinstance(value, str) else np.atleast_1d(value)
        return tuple(int(one) for one in values)
    except (ValueError, TypeError):
        raise ConfigError(f"`shifts` must be whole numbers, such as shifts=2,4,8. Received: {value!r}") from None


_LISTS = {"taps": _names, "shifts": _numbers}
"""Options that hold several values, and how they are read."""
