"""One small exported colorizer for all tests of this folder."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tfssl.export.savedmodel import export_savedmodel
from tfssl.export.tflite import export_tflite
from tfssl.export.web import export_web
from tfssl.methods import Colorization


def _enliven(model, seed=0):
    """Weights that make the network answer each pixel differently, the same weights each time.

    Zero-initialized scales (the residual branches) would hide half of the network from every comparison. Scores stay
    small: those of random features are noise, which quantization disturbs more than it does what was learned.
    """
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.path.endswith("gamma"):
            variable.assign(random.uniform(0.5, 1.0, variable.shape))
        elif variable.path.endswith(("beta", "bias", "moving_mean")):
            variable.assign(random.normal(0.0, 0.2, variable.shape))
        elif variable.path == "scores/kernel":
            variable.assign(random.normal(0.0, 0.08, variable.shape))
        elif variable.path.endswith("kernel"):  # as the initializer does, but the same each time
            variable.assign(random.normal(0.0, np.sqrt(2 / np.prod(variable.shape[:-1])), variable.shape))
    return model


@pytest.fixture(scope="session")
def lively():
    """Function ``(model, seed=0) -> model`` that gives a model random weights that all matter."""
    return _enliven


@pytest.fixture(scope="session")
def method():
    return Colorization(backbone="small", resize=None, crop_size=48, image_size=64)


@pytest.fixture(scope="session")
def model(method, lively):
    return lively(method.model())


@pytest.fixture(scope="session")
def exported(method, model, tmp_path_factory):
    """A float16 SavedModel and an int8 .tflite in one folder. Read only: corrupt a copy."""
    out = tmp_path_factory.mktemp("export") / "colorizer"
    export_savedmodel(method, model, out, weights="float16")
    export_tflite(method, model, out, quantize="int8", image_size=64)
    return out


@pytest.fixture(scope="session")
def litert(tmp_path_factory):
    """A stand-in for node_modules/@litertjs/core, which runs nothing."""
    scope = tmp_path_factory.mktemp("node_modules") / "@litertjs"
    files = {
        "core/package.json": json.dumps({"name": "@litertjs/core", "version": "2.5.3"}),
        "core/dist/index.js": 'import { createWasmLib } from "@litertjs/wasm-utils";\n',
        "core/wasm/litert_wasm_compat_internal.js": "var ModuleFactory;\n",
        "core/wasm/litert_wasm_compat_internal.wasm": "\0asm" + 1000 * " ",
        "core/wasm/litert_wasm_threaded_internal.wasm": "not taken along",
        "wasm-utils/dist/index.js": "export const createWasmLib = 0;\n",
    }
    for name, text in files.items():
        (scope / name).parent.mkdir(parents=True, exist_ok=True)
        (scope / name).write_text(text)
    return scope / "core"


@pytest.fixture(scope="session")
def site(method, model, litert, tmp_path_factory):
    """A web page, with the stand-in for LiteRT.js. Read only: damage a copy."""
    out = tmp_path_factory.mktemp("site") / "site"
    export_web(method, model, out, litert=litert)
    return out


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the export, to be damaged."""
    return shutil.copytree(exported, tmp_path / "copy")


@pytest.fixture(scope="session")
def pictures():
    """Five soft, dull pictures of different sizes, mode RGB: their colors stay inside sRGB after recoloring."""
    sizes = [(40, 30), (31, 47), (64, 64), (90, 20), (25, 26)]
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(90, 170, (4, 4), dtype=np.uint8)).convert("RGB") for _ in sizes]
    return [s.resize(size, Image.Resampling.BICUBIC) for s, size in zip(small, sizes, strict=True)]


@pytest.fixture(scope="session")
def client(root):
    """The module examples/serve_client.py."""
    spec = importlib.util.spec_from_file_location("serve_client", root / "examples" / "serve_client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
