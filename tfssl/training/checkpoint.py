"""Checkpoints that survive a kill at any moment."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from tfssl.errors import ModelError, TrainingError
from tfssl.files import check_zip, writing
from tfssl.training.optimizers import optimizers_of

log = logging.getLogger("tfssl")

_KEEP = 2


@dataclasses.dataclass
class TrainingState:
    """Where a run stands: steps done, the losses of the current epoch so far, training time.

    ``metrics`` are the values of the metrics' variables in this epoch, ``logs`` what they amount to, ``history`` the
    rows of the epochs before; ``learning_rate`` is the setting that the optimizers hold.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0
    metrics: list = dataclasses.field(default_factory=list)
    logs: dict = dataclasses.field(default_factory=dict)
    history: list = dataclasses.field(default_factory=list)
    learning_rate: float | dict | None = None


def save(model, state, folder):
    """Write weights, optimizer and state as ``step_N.npz``, whole or not at all; the two newest are kept.

    TrainingError if a variable is NaN or infinite: then nothing is written.
    """
    folder = Path(folder)
    arrays = {f"{i:05d}": np.asarray(v) for i, v in enumerate(_variables(model))}
    broken = sum(not _finite(array) for array in arrays.values())
    if broken:
        raise TrainingError(f"{broken} of {len(arrays)} variables became NaN or infinite by step {state.step}")
    target = folder / f"step_{state.step:09d}.npz"
    with writing(target) as file:
        np.savez(file, state=np.array(json.dumps(dataclasses.asdict(state))), **arrays)
    for old in sorted(folder.glob("step_*.npz"))[:-_KEEP]:
        old.unlink()


def newest(folder):
    """``(TrainingState, arrays)`` of the newest checkpoint that is whole; a fresh state and None if there is none.

    ModelError if there are some and all are damaged.
    """
    paths = sorted(Path(folder).glob("step_*.npz"), reverse=True)
    for path in paths:
        try:
            check_zip(path)
            with np.load(path, allow_pickle=False) as archive:
                state = TrainingState(**json.loads(str(archive["state"])))
                arrays = [archive[name] for name in sorted(set(archive.files) - {"state"})]
            if all(map(_finite, arrays)):
                return state, arrays
            log.warning("%s holds NaN; going back to the checkpoint before it", path)
        except Exception:  # damaged by a full disk or a dying machine: the one before is whole
            log.warning("%s is damaged; going back to the checkpoint before it", path)
    if paths:
        names = ", ".join(path.name for path in paths)
        raise ModelError(f"all checkpoints in {str(folder)!r} are damaged ({names}); remove them to start from step 0")
    return TrainingState(), None


def _finite(array):
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def assign(model, arrays, folder):
    """Give ``model`` and its optimizers the values of a checkpoint; ModelError if they are of another network."""
    variables = _variables(model)
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise ModelError(f"{folder} belongs to another network or optimizer; start in another run directory")
    for array, variable in zip(arrays, variables, strict=True):
        variable.assign(array)


def _variables(model):
    """Every variable that decides the future of a run: weights, statistics, random state, optimizers."""
    return [*model.variables, *(v for optimizer, _ in optimizers_of(model) for v in optimizer.variables)]
