"""The folder of an export: written beside its place and moved there, with export.json that describes it."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl import methods
from tfssl.config import renamed
from tfssl.errors import ModelError
from tfssl.files import disk_errors, read_json, sha256, write_json
from tfssl.options import as_path
from tfssl.training.runs import STATISTICS, read_statistics

REPORT = "export.json"
ATTACHED = "files"


def identity(method, model):
    """What an export is an export of: library versions, method, its configuration, fingerprint of the weights.

    Files that the configuration names (a prior, say) travel with the export, below :data:`ATTACHED`.
    """
    from tfssl import __version__

    digest = hashlib.sha256()
    for variable in sorted(model.variables, key=lambda v: v.path):
        digest.update(variable.path.encode() + np.asarray(variable).tobytes())
    config, attached = method.model_dump(mode="json"), _attached(method)
    return {
        "tfssl": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "method": method.name(),
        "config": {key: attached.get(key, value) for key, value in config.items()},
        "weights_sha256": digest.hexdigest(),
    }


def _attached(method):
    """``{field: path below the folder}`` of the fields that name files."""
    return {
        key: f"{ATTACHED}/{key}{Path(value).suffix}"
        for key, value in method.model_dump(mode="json").items()
        if isinstance(value, str) and Path(value).is_file()
    }


def read_method(report, folder):
    """The configured method of an export, with its statistics and the paths of files that came along."""
    config = {
        key: str(Path(folder) / value) if isinstance(value, str) and value.startswith(f"{ATTACHED}/") else value
        for key, value in report["config"].items()
    }
    return methods.get(report["method"])(**config).adapted(read_statistics(Path(folder) / ATTACHED / STATISTICS))


def served_name(method):
    """Name under which an exported method is served, and of its files."""
    return method.export_name or method.name().rpartition(":")[2]


def read_report(folder):
    """The parsed export.json of a folder, its configuration under the names that keys have now."""
    path = Path(folder) / REPORT
    try:
        report = read_json(path)
        required = [(report, "method"), (report, "config"), (report, "files")]
        required += [(report["savedmodel"], key) for key in ("version", "weights")] if "savedmodel" in report else []
        required += [(report["web"], key) for key in ("model", "litert", "files")] if "web" in report else []
        required += [(e, key) for e in report.get("tflite", {}).values() for key in ("quantize", "side", "signature")]
        for part, key in required:
            part[key]
        _check_names(Path(folder), report)
        return {**report, "config": renamed(report["config"], report["method"])}
    except FileNotFoundError:
        raise ModelError(f"{str(folder)!r} is no export: it has no {REPORT}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ModelError(f"{str(path)!r} is damaged: {' '.join(str(error).split())}") from None


def _check_names(folder, report):
    """Refuse names that lead out of the folder: files are written, removed and read by them."""
    version = report.get("savedmodel", {}).get("version", 1)
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{str(folder / REPORT)!r} is damaged: version {version!r} is no positive integer")
    attached = [v for v in report["config"].values() if isinstance(v, str) and v.startswith(f"{ATTACHED}/")]
    for name in [*report["files"], *report.get("tflite", {}), *attached]:
        inside = folder.resolve() in (folder / name).resolve().parents
        if not inside or ".." in Path(name).parts or Path(name).is_absolute():
            raise ModelError(f"{str(folder / REPORT)!r} names {name!r}, which lies outside of the export")


@contextlib.contextmanager
def write_export(out, method, model, names, *, overwrite):
    """Add parts to an export folder: all of them or, after an error, none.

    ``out`` may hold other parts of an export of the same weights; they stay.

    Args:
        model: the network that is exported, in float32.
        names: names below ``out`` that will be written.
        overwrite: replace existing ones, and an export of other weights altogether; otherwise they are a ModelError.

    Yields:
        ``(stage, report)``: an empty folder to write into, and the dict that becomes export.json.
    """
    out, who = as_path("out", out), identity(method, model)
    old = _claim(out, who, names, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out.parent))
    except OSError as error:
        raise ModelError(f"`out` {str(out)!r} cannot be written: {error.strerror}") from None
    try:
        with disk_errors(out):
            same = old is not None and _same(old, who)
            report = {**(old if same else {}), **who}
            yield stage, report
            attached = _attached(method)
            if attached or method.statistics:
                (stage / ATTACHED).mkdir()
            for key, name in attached.items():
                shutil.copyfile(getattr(method, key), stage / name)
            if method.statistics:
                np.savez(stage / ATTACHED / STATISTICS, **method.statistics)
            before = {} if old is None else old["files"]
            kept = {k: v for k, v in before.items() if same and k.split("/")[0] not in names}
            report["files"] = {**kept, **fingerprints(stage)}
            write_json(stage / REPORT, report)
            _publish(stage, out, set(before) - set(report["files"]))
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def fingerprints(folder):
    """``{path below folder: {"bytes": n, "sha256": hex}}`` of all files."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def _same(report, who):
    return all(report.get(key) == who[key] for key in ("method", "config", "weights_sha256"))


def _claim(out, who, names, overwrite):
    """Check that the names may be written; the report of what is there already, or None."""
    if out.exists() and not out.is_dir():
        raise ModelError(f"`out` {str(out)!r} is a file; give a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return None
    old = read_report(out) if (out / REPORT).is_file() else None
    taken = [name for name in names if (out / name).exists()]
    if old is None:
        problem = "is not empty"
    elif not _same(old, who):
        problem = "holds an export of another model"
    else:
        problem = f"already holds {', '.join(taken)}" if taken else None
    if problem and not overwrite:
        raise ModelError(f"`out` {str(out)!r} {problem}; choose another folder or overwrite (--overwrite)")
    return old


def _publish(stage, out, stale):
    out.mkdir(exist_ok=True)
    for name in stale:
        (out / name).unlink(missing_ok=True)
    # Each part appears whole, and the report last: a server that watches the folder never sees half a version.
    for part in sorted(stage.iterdir(), key=lambda p: p.name == REPORT):
        target = out / part.name
        if target.is_dir():
            os.replace(target, stage / f"replaced-{part.name}")
        os.replace(part, target)
