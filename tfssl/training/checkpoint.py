"""Checkpoints that survive a kill at any moment."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from tfssl.errors import ModelError
from tfssl.files import writing
from tfssl.training.optimizers import optimizers_of

log = logging.getLogger("tfssl")

_KEEP = 2


@dataclasses.dataclass
class TrainingState:
    """Where a run stands: steps done, the losses of the current epoch so far, training time."""

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0


def save(model, state, folder):
    """Write weights, optimizer and state as ``step_N.npz``, whole or not at all; the two newest are kept."""
    folder = Path(folder)
    arrays = {f"{i:05d}": np.asarray(v) for i, v in enumerate(_variables(model))}
    target = folder / f"step_{state.step:09d}.npz"
    with writing(target) as file:
        np.savez(file, state=np.array(json.dumps(dataclasses.asdict(state))), **arrays)
    for old in sorted(folder.glob("step_*.npz"))[:-_KEEP]:
        old.unlink()


def newest(folder):
    """``(TrainingState, arrays)`` of the newest checkpoint that is whole; a fresh state and None if there is none."""
    for path in sorted(Path(folder).glob("step_*.npz"), reverse=True):
        try:
            with np.load(path, allow_pickle=False) as archive:
                state = TrainingState(**json.loads(str(archive["state"])))
                return state, [archive[name] for name in sorted(set(archive.files) - {"state"})]
        except Exception:  # damaged by a full disk or a dying machine: the one before is whole
            log.warning("%s is damaged; going back to the checkpoint before it", path)
    return TrainingState(), None


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
