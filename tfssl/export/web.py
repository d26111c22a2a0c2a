"""A web page that colorizes photographs on the device that shows it: static files; LiteRT.js runs the network.

What the page does to pixels is in ``templates/color.js``, and follows :mod:`tfssl.color`.
"""

import gzip
import hashlib
import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tfssl.color.predict import MAX_ASPECT
from tfssl.errors import ModelError
from tfssl.export.folder import write_export
from tfssl.export.network import served_network
from tfssl.export.tflite import mobile_endpoint, needs, tflite_name, write_tflite
from tfssl.files import read_json
from tfssl.options import as_path

LITERT_VERSION = "2.5.3"
"""The version of LiteRT.js that npm is asked for, and that was tried."""

SIGNATURE = "predict_ab"  # what the page runs: L of a square in, ab of each of its pixels out

PAGE = ("index.html", "style.css", "app.js", "worker.js", "color.js", "sw.js")

# WebAssembly with SIMD but without its relaxed form, which Safari lacks; one variant, of 9 MB, is enough.
_WASM = "litert_wasm_compat_internal"
_PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
_IMPORT = '"@litertjs/wasm-utils"'  # a bare name, which a worker cannot resolve: browsers give it no import map
_TEMPLATES = Path(__file__).parent / "templates"
_NOTICE = """\
LiteRT.js {version}: {packages}, of https://github.com/google-ai-edge/LiteRT
Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0
Changed by tfssl: index.js imports wasm-utils by its path; the .wasm file is gzipped.
"""


def export_web(
    method, model, out, *, quantize="float16", litert=None, image_size=None, representative="builtin", overwrite=False
):
    """Write a folder for a server of static files: a page that colorizes photographs in the browser.

    It holds the page, LiteRT.js (fetched by npm now, copied into ``litert/``) and the network as a .tflite file, and
    loads nothing from elsewhere. See docs/web.md.

    Args:
        method: the :class:`~tfssl.methods.base.Method` the model belongs to, a colorizer.
        model: its trained ``keras.Model``.
        out: folder to write; made if missing. It may hold other exports of the same weights.
        quantize: as :func:`~tfssl.export.export_tflite`; here ``"float16"`` unless said otherwise, half the download.
        litert: folder of an installed ``@litertjs/core``, with ``wasm-utils`` beside it, as in
            ``node_modules/@litertjs/core``; None asks npm for version :data:`LITERT_VERSION`.
        image_size, representative, overwrite: as :func:`~tfssl.export.export_tflite`.

    Returns:
        What is also in export.json.

    Raises:
        ModelError: if the model is no colorizer, LiteRT.js is not to be had, or as :func:`~tfssl.export.export_tflite`.
    """
    needs(quantize)
    network = served_network(method, model)
    name, endpoint = mobile_endpoint(method, network, image_size)
    if name != SIGNATURE:
        raise ModelError(f"the web page colorizes photographs, {method.name()} does not; give a colorizer")
    file = tflite_name(method, quantize)
    with litert_package(litert) as package:
        version = check_litert(package)
        names = [*PAGE, "settings.js", "litert", file]
        with write_export(out, method, network, names, overwrite=overwrite) as (stage, report):
            write_tflite(stage / file, report, network, name, endpoint, quantize, representative)
            for part in PAGE:
                shutil.copyfile(_TEMPLATES / part, stage / part)
            _write_litert(package, stage / "litert", version)
            side = report["tflite"][file]["side"]
            report["web"] = {"model": file, "litert": version, **_write_settings(stage, file, side)}
    return report


@contextmanager
def litert_package(folder=None):
    """Folder of LiteRT.js, ``@litertjs/core`` with ``wasm-utils`` beside it: the given one, or one that npm fetches."""
    if folder is not None:
        yield as_path("litert", folder)
        return
    npm = shutil.which("npm")
    fix = f"give `litert` (--litert DIR), the folder node_modules/{_PACKAGES[0]} of `npm install {_PACKAGES[0]}`"
    if npm is None:
        raise ModelError(f"the page needs LiteRT.js, which npm fetches, and there is no npm: install Node.js, or {fix}")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [f"{name}@{LITERT_VERSION}" for name in _PACKAGES]
        options = ["--prefix", scratch, "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        options += ["--prefer-offline", "--loglevel=error"]  # a version never changes: npm's cache is as good
        command = [npm, "install", *options, *wanted]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise ModelError(f"npm cannot fetch {wanted[0]}: {' '.join(lines[:2])[:200]}; try again, or {fix}")
        yield Path(scratch) / "node_modules" / _PACKAGES[0]


def check_litert(package):
    """Version of a folder of LiteRT.js; a ModelError unless it has all that the page takes from it."""
    try:
        about = read_json(package / "package.json")
        found = about["name"], about["version"]
        index = (package / "dist" / "index.js").read_text(encoding="utf-8")
        complete = all(path.is_file() for path in _litert_files(package).values())
    except (OSError, ValueError, LookupError, TypeError):
        found, index, complete = (None, None), "", False
    if found[0] != _PACKAGES[0] or index.count(_IMPORT) != 1 or not complete:
        raise ModelError(
            f"`litert` must be a folder of {_PACKAGES[0]} {LITERT_VERSION} with {_PACKAGES[1].rpartition('/')[2]} "
            f"beside it, such as node_modules/{_PACKAGES[0]}. Received: litert={str(package)!r}"
        )
    return found[1]


def _litert_files(package):
    """``{name below litert/: file of the package}``."""
    return {
        "index.js": package / "dist" / "index.js",
        "wasm-utils.js": package.parent / "wasm-utils" / "dist" / "index.js",
        f"{_WASM}.js": package / "wasm" / f"{_WASM}.js",
        f"{_WASM}.wasm": package / "wasm" / f"{_WASM}.wasm",
    }


def _write_litert(package, folder, version):
    folder.mkdir()
    for name, path in _litert_files(package).items():
        content = path.read_bytes()
        if name == "index.js":
            content = content.replace(_IMPORT.encode(), b'"./wasm-utils.js"')
        if name.endswith(".wasm"):  # a third of its size, whatever the server can do; the page unpacks it
            name, content = f"{name}.gz", gzip.compress(content, mtime=0)
        (folder / name).write_bytes(content)
    (folder / "NOTICE.txt").write_text(_NOTICE.format(version=version, packages=", ".join(_PACKAGES)), encoding="utf-8")


def _write_settings(stage, model, side):
    """settings.js, which says what the other files need to know; what export.json says of it."""
    wasm = f"litert/{_WASM}"
    network = [f"{wasm}.wasm.gz", model]
    files = [*PAGE, "litert/index.js", "litert/wasm-utils.js", f"{wasm}.js", *network]
    digest = hashlib.sha256()
    for name in files:
        digest.update((stage / name).read_bytes())
    settings = {
        "version": digest.hexdigest()[:16],
        "page": ["settings.js", *(name for name in PAGE if name != "sw.js")],
        "model": model,
        "wasm": wasm,
        "side": side,
        "maxAspect": MAX_ASPECT,
        "bytes": sum((stage / name).stat().st_size for name in network),
    }
    text = "// Written by tfssl export.\n" + f"self.SETTINGS = {json.dumps(settings, indent=2)};\n"
    (stage / "settings.js").write_text(text, encoding="utf-8")
    files.append("settings.js")
    return {"files": files, "first_load_bytes": sum((stage / name).stat().st_size for name in files)}
