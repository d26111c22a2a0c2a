"""The wheel holds everything that runs, and the declared dependencies are the ones that the code imports."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import tfssl

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = {
    "PIL": "pillow",
    "ai_edge_litert": "ai-edge-litert",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "cv2": "opencv-contrib-python-headless",
    "google": "protobuf",
    "google_crc32c": "google-crc32c",
    "grpc": "grpcio",
    "keras_cv": "keras-cv",
    "keras_hub": "keras-hub",
    "pydantic_core": "pydantic",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "pyyaml",
}
USED_FOR_ITS_FILES = {"scikit-learn"}  # two of the builtin photographs
EXTRAS = ("serving", "mobile", "detection", "video", "sound", "interop", "tfds", "gpu")


@pytest.fixture(scope="module")
def settings():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text):
    found = [Requirement(line.strip()) for line in text.strip().splitlines()]
    return {requirement.name.lower(): requirement for requirement in found}


def third_party(path):
    """Distributions that a file imports: (name, whether the import runs when the module is imported)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_import = {id(node) for statement in tree.body for node in _outside_functions(statement)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            if top != "tfssl" and top not in sys.stdlib_module_names:
                yield DISTRIBUTIONS.get(top, top).lower(), id(node) in at_import


def _outside_functions(node):
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def package_imports():
    return [(p, *found) for p in sorted((ROOT / "tfssl").rglob("*.py")) for found in third_party(p)]


def test_every_import_is_declared(settings):
    core = requirements(settings["options"]["install_requires"])
    extras = {}
    for name in EXTRAS:
        extras |= requirements(settings["options.extras_require"][name])
    for path, name, at_import in package_imports():
        assert name in core or name in extras, f"{path}: {name} is not in setup.cfg"
        assert name in core or not at_import, f"{path}: {name} is an extra; import it inside the function that needs it"


def test_every_core_dependency_is_used(settings):
    used = {name for _, name, _ in package_imports()} | USED_FOR_ITS_FILES
    assert set(requirements(settings["options"]["install_requires"])) <= used


def test_dockerfile_pins_lie_inside_the_bounds(settings):
    text = (ROOT / "Dockerfile.gpu").read_text(encoding="utf-8")
    pins = {m[1].lower(): m[2] for m in re.finditer(r'"([\w-]+)(?:\[[\w,-]+\])?==([\w.]+)"', text)}
    core = requirements(settings["options"]["install_requires"])
    serving = requirements(settings["options.extras_require"]["serving"])
    assert set(core) <= set(pins), "pin every core dependency"
    wrong = {name: version for name, version in pins.items() if version not in (core | serving)[name].specifier}
    assert not wrong


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tfssl.__version__
    assert citation["license"] == "Apache-2.0"
    assert f"[{tfssl.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the checkout (building writes into it), with a stand-in for each kind of model file."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("tfssl", "configs", "savedmodels"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in (
        "stand_in/MANIFEST.json",
        "stand_in/export.json",
        "stand_in/model.config",
        "stand_in/stand_in.tflite",
        "stand_in/1/saved_model.pb",
        "stand_in/1/variables/variables.data-00000-of-00001",
        "stand_in/1/variables/variables.index",
        "stand_in/1/assets.extra/tf_serving_warmup_requests",
    ):
        file = copy / "savedmodels" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    # No build isolation: a test must not need the network.
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, copy]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = out.glob("*.whl")
    return copy, file


def test_wheel_holds_every_file_that_runs(wheel):
    copy, file = wheel
    names = set(zipfile.ZipFile(file).namelist())
    kinds = (".py", ".npy", ".txt", ".typed", ".html", ".css", ".js")
    expected = {str(p.relative_to(copy)) for p in (copy / "tfssl").rglob("*") if p.suffix in kinds}
    for folder in ("configs", "savedmodels"):
        expected |= {f"tfssl/{p.relative_to(copy)}" for p in (copy / folder).rglob("*") if p.is_file()}
    expected = {name for name in expected if "__pycache__" not in name}
    assert expected <= names, f"not in the wheel: {sorted(expected - names)}"
    beyond = {name for name in names - expected if ".dist-info/" not in name}
    assert not beyond, f"in the wheel by mistake: {sorted(beyond)}"


def test_wheel_states_name_license_and_command(wheel):
    archive = zipfile.ZipFile(wheel[1])
    (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    metadata = archive.read(f"{info}/METADATA").decode()
    assert f"\nVersion: {tfssl.__version__}\n" in metadata
    assert re.search(r"^License(-Expression)?: Apache-2.0$", metadata, re.MULTILINE)
    assert any(name.startswith(f"{info}/") and name.endswith("LICENSE") for name in archive.namelist())
    assert "tfssl = tfssl.__main__:main" in archive.read(f"{info}/entry_points.txt").decode()


def test_installed_wheel_works_outside_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel[1]) as archive:
        archive.extractall(site)
    code = (
        "import tfssl, tfssl.resources as r; from tfssl.config import load_config;"
        "print(tfssl.__file__, r.configs(), r.savedmodels(), load_config('colorization/cpu').method.name(), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert done.returncode == 0, done.stderr[-2000:]
    *paths, method = done.stdout.split()
    assert all(path.startswith(str(site)) for path in paths), paths
    assert method == "colorization"
    done = subprocess.run([sys.executable, "-m", "tfssl", "methods"], **run)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "colorization" in done.stdout.lower()


def test_editable_install_is_a_plain_path(tmp_path):
    """As an import hook it would lose against a folder named tfssl in the working directory: the checkout's parent."""
    copy = tmp_path / "tfssl"
    copy.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "tfssl", copy / "tfssl", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "import setuptools.build_meta as b, sys; b.build_editable(sys.argv[1])", tmp_path]
    subprocess.run(list(map(str, command)), cwd=copy, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = (name for name in names if name.endswith(".pth"))
        assert archive.read(path).decode().strip() == str(copy)
        assert not [name for name in names if name.endswith("_finder.py")]
