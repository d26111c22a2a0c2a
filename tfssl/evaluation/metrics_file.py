"""``metrics.json``: what was measured, and what it takes to measure it again."""

import json
import math
import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def write_metrics(out, metrics, **about):
    """Write ``out/metrics.json``, whole or not at all.

    Args:
        out: folder, made if missing.
        metrics: ``{name: number}``; NaN, which JSON does not have, becomes null.
        **about: what else belongs to it: configuration, seed, protocol. Versions of the packages are added.
    """
    from tfssl import __version__

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    record = {
        **{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in metrics.items()},
        **about,
        "versions": {
            "tfssl": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }
    unfinished = out / "metrics.json.tmp"
    unfinished.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, out / "metrics.json")
