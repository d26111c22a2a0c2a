"""What the record of a shipped model says of its data, its machine and its software."""

import hashlib
import platform
from pathlib import Path


def fingerprint(folder):
    """sha256 over the relative names and contents of the files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions():
    import keras
    import tensorflow as tf

    import tfssl as package

    return {
        "tfssl": package.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def count(folder):
    return sum(1 for p in folder.rglob("*.jpg"))
