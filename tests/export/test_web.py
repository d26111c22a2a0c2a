"""The folder of a web page, without a browser and without npm: its files, its arithmetic, its errors."""

import gzip
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tfssl.cli import main
from tfssl.color.colorize import network_lightness
from tfssl.color.join import Join
from tfssl.color.predict import network_size
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ModelError
from tfssl.export.check import check_export
from tfssl.export.web import LITERT_VERSION, PAGE, export_web
from tfssl.methods import ContextEncoder, Jigsaw


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A stand-in for node_modules/@litertjs/core."""
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


@pytest.fixture(scope="module")
def site(method, model, package, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    export_web(method, model, out, quantize="none", litert=package)
    return out


def settings(site):
    return json.loads((site / "settings.js").read_text().partition("self.SETTINGS = ")[2].rstrip().rstrip(";"))


def test_the_folder_holds_page_runtime_and_network(site, package):
    wasm = "litert/litert_wasm_compat_internal"
    runtime = {"litert/index.js", "litert/wasm-utils.js", f"{wasm}.js", f"{wasm}.wasm.gz"}
    loaded = {*PAGE, "settings.js", "colorizer_float32.tflite", *runtime}
    found = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert found == loaded | {"export.json", "litert/NOTICE.txt"}
    assert (site / "litert/index.js").read_text() == 'import { createWasmLib } from "./wasm-utils.js";\n'
    packed = (site / f"{wasm}.wasm.gz").read_bytes()
    assert gzip.decompress(packed) == (package / "wasm" / "litert_wasm_compat_internal.wasm").read_bytes()
    web = json.loads((site / "export.json").read_text())["web"]
    assert set(web["files"]) == loaded and web["litert"] == "2.5.3"
    assert web["first_load_bytes"] == sum((site / name).stat().st_size for name in loaded)
    told = settings(site)
    assert (told["model"], told["side"]) == ("colorizer_float32.tflite", 64)
    assert set(told["page"]) < loaded, "a service worker is not installed if one of its files is missing"


def test_the_page_names_no_other_server(site):
    html = (site / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1].split("; ")
    assert {"default-src 'none'", "connect-src 'self'", "form-action 'none'"} <= set(policy)
    for name in (*PAGE, "settings.js"):
        addresses = re.findall(r"\w+://[^\s<\"'`]+", (site / name).read_text())
        assert set(addresses) <= {"http://localhost:8000"}, name
    for name in re.findall(r'(?:src|href)="([^":]+)"', html):
        assert (site / name).is_file()


def test_another_network_gets_another_version(site, method, lively, package, tmp_path):
    """Browsers keep the files of a version; see sw.js."""
    export_web(method, lively(method.model(), seed=1), tmp_path / "b", quantize="none", litert=package)
    assert settings(site)["version"] != settings(tmp_path / "b")["version"]


def test_check_export_knows_the_page(site, tmp_path):
    findings = check_export(site)
    assert all(finding.passed for finding in findings)
    assert re.match(r"page: LiteRT.js 2.5.3 runs colorizer_float32.tflite; a first visit", findings[-1].text)
    damaged = shutil.copytree(site, tmp_path / "damaged")
    (damaged / "color.js").unlink()
    assert "missing: color.js" in check_export(damaged)[0].text
    report = json.loads((damaged / "export.json").read_text())
    del report["files"]["color.js"]
    (damaged / "export.json").write_text(json.dumps(report))
    assert not check_export(damaged)[-1].passed


SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import * as color from "./color.mjs";
const [width, height] = process.argv.slice(2).map(Number);
const settings = { side: 64, maxAspect: 4 };
const size = color.networkSize(width, height, settings);
const rgba = new Uint8ClampedArray(readFileSync("image"));
const strips = (act) => {
  for (let top = 0; top < height; top += 7) {
    const rows = Math.min(7, height - top);
    act(rgba.subarray(4 * width * top, 4 * width * (top + rows)), rows, top);
  }
};
const reduction = new color.Reduction(width, height, size);
strips((strip, rows) => reduction.add(strip, rows));
const L = color.lightness(reduction.finish());
// A network that answers each pixel with L and -L: what tiles and their blend do to it is seen at once.
const parts = color.tiles(...size, settings.side).map((place) => {
  const tile = color.cut(L, ...size, place, settings.side);
  return { ...place, ab: Float32Array.from({ length: 2 * tile.length }, (_, i) => (i & 1 ? -1 : 1) * tile[i >> 1]) };
});
const field = color.blend(...size, settings.side, parts);
strips((strip, rows, top) => color.join(strip, top, rows, width, height, field.map((x) => x / 2 - 10), size));
writeFileSync("answer.json", JSON.stringify({ size, tiles: parts.length, L: [...L], field: [...field] }));
writeFileSync("joined", rgba);
"""


@pytest.mark.parametrize(("size", "tiles"), [((300, 200), 2), ((41, 64), 2), ((130, 130), 1), ((500, 20), 5)])
def test_pixels_are_treated_as_tfssl_colorize_treats_them(site, tmp_path, size, tiles):
    """Within one level of 255 of Pillow's resizing and of the join."""
    if shutil.which("node") is None:
        pytest.skip("no Node.js to run color.js")
    with Image.open(builtin_photographs()[2]) as photograph:
        image = photograph.convert("RGB").resize(size)
    image.putalpha(Image.linear_gradient("L").resize(size))
    shutil.copy(site / "color.js", tmp_path / "color.mjs")
    (tmp_path / "test.mjs").write_text(SCRIPT)
    (tmp_path / "image").write_bytes(image.tobytes())
    subprocess.run(["node", "test.mjs", *map(str, size)], cwd=tmp_path, check=True)

    answer = json.loads((tmp_path / "answer.json").read_text())
    white = Image.new("RGB", size, "white")
    white.paste(image, mask=image.getchannel("A"))
    wanted = network_lightness(white, 64)
    assert tuple(answer["size"]) == network_size(size, 64) == wanted.shape[::-1]
    assert answer["tiles"] == tiles
    lightness = np.array(answer["L"]).reshape(wanted.shape)
    assert np.abs(lightness - wanted).max() < 0.6 and np.abs(lightness - wanted).mean() < 0.05
    field = np.array(answer["field"]).reshape(*wanted.shape, 2)
    np.testing.assert_allclose(field, np.stack([lightness, -lightness], axis=-1), atol=1e-4)
    joined = np.asarray(Join(image, field / 2 - 10, wanted.shape[::-1], 1).whole()).astype(int)
    found = np.frombuffer((tmp_path / "joined").read_bytes(), np.uint8).reshape(joined.shape)
    assert np.abs(found - joined).max() <= 1 and np.abs(found - joined).mean() < 0.02


def test_what_is_no_colorizer_or_no_package_is_refused(method, model, package, tmp_path, monkeypatch):
    out = tmp_path / "site"
    inpainter = ContextEncoder(network="small", resize=40, crop_size=32, overlap=2)
    with pytest.raises(ModelError, match="colorizes photographs, context_encoder does not; give a colorizer"):
        export_web(inpainter, inpainter.model(), out, litert=package)
    jigsaw = Jigsaw(backbone="small", permutations=4)
    with pytest.raises(ModelError, match=r"jigsaw has no \.tflite form"):
        export_web(jigsaw, jigsaw.model(), out, litert=package)
    changed = shutil.copytree(package.parent, tmp_path / "@litertjs") / "core"
    (changed / "dist" / "index.js").write_text("import {} from 'elsewhere'")
    for wrong in (tmp_path / "nowhere", package.parent, changed):
        with pytest.raises(ModelError, match=f"must be a folder of @litertjs/core {LITERT_VERSION} .* litert="):
            export_web(method, model, out, litert=wrong)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"there is no npm: install Node\.js, or give `litert`"):
        export_web(method, model, out)
    assert not out.exists()


def test_npm_that_fails_is_one_line(method, model, tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ModelError, match=r"npm cannot fetch @litertjs/core@2\.5\.3: npm error code ENOTFOUND; try"):
        export_web(method, model, tmp_path / "site")


def test_litert_goes_with_the_web_only(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["export", "colorizer", "--out", str(tmp_path / "out"), "--litert", "x"])
    assert stop.value.code == 2
    assert "--litert x goes with --format web only" in capsys.readouterr().err
