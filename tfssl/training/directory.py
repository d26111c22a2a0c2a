"""The run directory: who uses it, and what it was made from."""

import hashlib
import os
from pathlib import Path

from tfssl.config import load_config
from tfssl.errors import ModelError
from tfssl.files import read_json, write_json
from tfssl.options import is_name

DATA = "data.json"
DIVERGED = "diverged.json"
"""Says that the run cannot go on with its learning rate: another one may be given."""

# Keys that do not change what the weights become, so a run may be continued with other values.
_FREE_KEYS = ("checkpoint_steps", "baseline_steps", "workers")


def check_free(out):
    """Refuse an output that is a file, or a folder of other things."""
    if out.exists() and not out.is_dir():
        raise ModelError(f"`out` {str(out)!r} is a file; choose a folder")
    if not out.exists() or (out / "config.yaml").exists():
        return
    # Hidden files are the lock and what a killed process left.
    if any(not path.name.startswith(".") and path.name != DATA and not _is_empty(path) for path in out.iterdir()):
        raise ModelError(f"`out` {str(out)!r} is not empty and not a run directory; choose another folder")


def _is_empty(path):
    return path.is_dir() and not any(path.iterdir())


def data_record(settings, source):
    """What tells the data of a run from others: absolute path, count, and a digest of names and sizes."""
    names = list(getattr(source, "paths", None) or (source.name(index) for index in range(len(source))))
    files = [os.path.abspath(name) for name in names if os.path.exists(name)]
    base = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    digest = hashlib.sha256()
    for name in names:
        exists = os.path.exists(name)
        shown = os.path.relpath(name, base) if exists else name
        digest.update(os.fsencode(shown) + b"\0%d\0" % (os.path.getsize(name) if exists else -1))
    return {
        "data": _absolute(settings.data),
        "validation": _absolute(settings.validation),
        "count": len(source),
        "digest": digest.hexdigest(),
    }


def _absolute(data):
    if data is None or is_name(data):
        return data
    return os.path.abspath(os.path.expanduser(data))


def claim(config, out, data, steps_per_epoch):
    """Make a run directory, or check that it is one of the same configuration and data; its caller has
    locked it.

    ``data`` is of :func:`data_record`. A run may get more epochs where its schedule does not depend on them, and
    after it diverged another learning rate.
    """
    file = out / "config.yaml"
    if not file.exists():
        for name in ("checkpoint", "samples"):
            (out / name).mkdir(exist_ok=True)
        write_json(out / DATA, data)
        config.save(file)
        return
    old, new = load_config(file).to_dict(), config.to_dict()
    changed = [k for k in new if old.get(k) != new[k] and k not in _FREE_KEYS]
    known = _known_data(out)
    if known is not None:
        _compare(known, data, out)
        changed = [k for k in changed if k not in ("data", "validation")]
    allowed = [k for k in changed if _may_change(k, old[k], new, config, out, steps_per_epoch)]
    refused = [k for k in changed if k not in allowed]
    if refused:
        listing = ", ".join(f"{k} {old.get(k)!r} -> {new[k]!r}" for k in refused)
        raise ModelError(
            f"`out` {str(out)!r} holds a run of another configuration ({listing}); choose another folder, "
            f"weights={out} starts from what this run has learned"
        )
    if allowed:
        (out / "metrics.json").unlink(missing_ok=True)
        config.save(file)
    if known is None:
        write_json(out / DATA, data)


def _known_data(out):
    try:
        known = read_json(out / DATA)
        return known if {"data", "validation", "count", "digest"} <= set(known) else None
    except (OSError, ValueError, TypeError):  # a run of an earlier version
        return None


def _compare(old, new, out):
    if old["count"] != new["count"]:
        difference = f"{new['count']} items, not {old['count']} as when it began"
    elif old["digest"] != new["digest"]:
        difference = "files of other names or sizes than when it began"
    elif old["data"] != new["data"] and os.path.exists(old["data"]):
        difference = f"other files than {old['data']!r}, with which it began"
    elif old["validation"] != new["validation"]:
        raise ModelError(
            f"`out` {str(out)!r} holds a run with other validation data ({old['validation']!r} -> "
            f"{new['validation']!r}); give the same, or choose another folder"
        )
    else:
        return
    raise ModelError(
        f"`out` {str(out)!r} holds a run on other data: {new['data']!r} holds {difference}; give back the same data, "
        f"or choose another folder"
    )


def _may_change(key, before, new, config, out, steps_per_epoch):
    if key in ("learning_rate", "clip_norm"):
        same_kind = key == "clip_norm" or isinstance(before, dict) == isinstance(new[key], dict)
        return same_kind and (out / DIVERGED).exists()
    if key == "epochs":  # what was trained so far does not depend on how long it goes on
        free = new["schedule"] == "constant" and len(config.method.phases) == 1
        return free and new[key] * steps_per_epoch >= _newest_step(out)
    return False


def _newest_step(out):
    return max((int(path.stem[5:]) for path in Path(out).glob("checkpoint/step_*.npz")), default=0)
