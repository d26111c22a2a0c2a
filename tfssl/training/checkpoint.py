"""Checkpoints that survive a kill at any moment, and strict loading of weights."""

import dataclasses
import json
import os
from pathlib import Path

import keras
import numpy as np

from tfssl.errors import ModelError

_KEEP = 2


@dataclasses.dataclass
class TrainingState:
    """Where a run stands.

    Args:
        step: optimizer steps done.
        loss_sum: sum of the training losses of the current epoch so far.
        loss_count: number of steps in that sum.
        seconds: training time so far.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0


def save(model, state, folder):
    """Write weights, optimizer and state as ``step_N.npz``, whole or not at all; the two newest are kept."""
    folder = Path(folder)
    arrays = {f"{i:05d}": np.asarray(v) for i, v in enumerate(_variables(model))}
    target = folder / f"step_{state.step:09d}.npz"
    temporary = folder / "unfinished.tmp"
    with open(temporary, "wb") as file:
        np.savez(file, state=np.array(json.dumps(dataclasses.asdict(state))), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)
    for old in sorted(folder.glob("step_*.npz"))[:-_KEEP]:
        old.unlink()


def restore(model, folder):
    """Load the newest readable checkpoint into ``model``; a fresh :class:`TrainingState` if there is none."""
    variables = _variables(model)
    for path in sorted(Path(folder).glob("step_*.npz"), reverse=True):
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = [archive[f"{i:05d}"] for i in range(len(variables))]
                state = TrainingState(**json.loads(str(archive["state"])))
        except Exception:  # damaged by a full disk or a dying machine: the one before is whole
            continue
        if any(a.shape != tuple(v.shape) for a, v in zip(arrays, variables, strict=True)):
            raise ModelError(f"{path} belongs to another network or optimizer; start in another run directory")
        for array, variable in zip(arrays, variables, strict=True):
            variable.assign(array)
        return state
    return TrainingState()


def _variables(model):
    """Every variable that decides the future of a run: weights, statistics, random state, optimizer."""
    return [*model.variables, *model.optimizer.variables]


def load_weights(model, source):
    """Load all weights of ``model`` from another run or .keras file; refuses a partial match.

    Args:
        model: a built ``keras.Model``.
        source: a run directory or a .keras file.

    Raises:
        ModelError: with the counts of matching and missing weights, if any is missing or of another shape.
    """
    from tfssl.training.runs import model_file

    path = model_file(source)
    try:
        other = keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ModelError(f"`weights` {str(source)!r} cannot be read: {' '.join(str(error).split())[:200]}") from None
    theirs = {v.path: v for v in other.variables}
    missing = [v.path for v in model.variables if v.path not in theirs or theirs[v.path].shape != v.shape]
    if missing:
        raise ModelError(
            f"`weights` {str(source)!r} fits {len(model.variables) - len(missing)} of {len(model.variables)} weights; "
            f"missing or of another shape: {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
        )
    for variable in model.variables:
        variable.assign(theirs[variable.path])
