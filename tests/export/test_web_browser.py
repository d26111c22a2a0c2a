"""The web page in a headless Chromium, with LiteRT.js as npm has it in its cache: nothing is fetched."""

import numpy as np
import pytest
from PIL import Image

from tfssl.color.colorize import network_lightness
from tfssl.color.join import Join
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ModelError
from tfssl.export.tflite import run_tflite
from tfssl.export.web import export_web, litert_package
from tools.browser import NoBrowser, Server, chromium

MAX_FIRST_LOAD = 16e6  # bytes
SIDE = 64
IDLE = "document.querySelector('#result[aria-busy=false]')"  # the worker has done all that it was asked for


@pytest.fixture(scope="module")
def site(method, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_offline", "true")
        try:
            with litert_package() as package:
                export_web(method, model, out, litert=package)
        except ModelError as error:
            pytest.skip(f"no LiteRT.js ({error}); npm install @litertjs/core puts it into npm's cache")
    return out


@pytest.fixture(scope="module")
def opened(site):
    """``(browser, server)``, the network loaded."""
    server = Server(site)
    try:
        with chromium() as browser:
            browser.open(server.url)
            browser.until(IDLE)
            yield browser, server
    except NoBrowser as error:
        pytest.skip(str(error))
    finally:
        server.close()


def colorize(browser, path):
    """Choose a file and wait; the status."""
    browser.choose("#file", path)
    browser.until(IDLE)
    return browser.run("return document.getElementById('status').textContent")


def pixels(browser, canvas):
    """RGB of a canvas, int (H, W, 3)."""
    script = """
        const canvas = document.getElementById(arguments[0]);
        const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [[height, width, 4], Array.from(data)];
    """
    shape, data = browser.run(script, canvas)
    return np.array(data).reshape(shape)[..., :3]


def test_a_first_visit_loads_little_and_the_network_once(opened, site):
    _, server = opened
    size = (site / "colorizer_float16.tflite").stat().st_size
    assert server.served["/colorizer_float16.tflite"] == size
    assert size < sum(server.served.values()) < MAX_FIRST_LOAD


def test_the_network_answers_as_in_python(opened, site):
    """The worker's own functions, on an input that both get."""
    browser, server = opened
    lightness = network_lightness(Image.open(builtin_photographs()[0]).convert("RGB"), SIDE)
    script = """
        const [base, L] = arguments;
        const code = `
            importScripts("${base}worker.js", "${base}settings.js");
            onmessage = async ({ data: [base, L] }) => {
                await open({ ...SETTINGS, base });
                postMessage([...await predict(Float32Array.from(L))]);
            };`;
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
        return new Promise((resolve) => {
            worker.onmessage = ({ data }) => Array.isArray(data) && resolve(data);
            worker.postMessage([base, L]);
        });
    """
    found = np.array(browser.run(script, server.url, lightness.ravel().tolist()))
    path = site / "colorizer_float16.tflite"
    (answer,) = run_tflite(path, "predict_ab", [{"lightness": lightness[None, ..., None]}])
    assert np.ptp(answer["ab"]) > 5
    assert np.abs(found - answer["ab"].ravel()).max() < 1e-3


def test_a_photograph_is_colored_as_in_python(opened, site):
    browser, _ = opened
    path = builtin_photographs()[1]
    image = Image.open(path).convert("RGB")
    assert colorize(browser, path) == "Colored chelsea.png. Colors are plausible guesses, not those that were there."
    np.testing.assert_array_equal(pixels(browser, "before"), np.asarray(image))

    L = network_lightness(image, SIDE)
    assert L.shape == (64, 96)
    model = site / "colorizer_float16.tflite"
    tiles = [{"lightness": L[None, :, start : start + SIDE, None]} for start in (0, 32)]
    left, right = (answer["ab"][0] for answer in run_tflite(model, "predict_ab", tiles))
    ramp = np.minimum(np.arange(SIDE) + 0.5, SIDE - 0.5 - np.arange(SIDE))[:, None]
    weighted = np.zeros((64, 96, 2)), np.zeros((96, 1))
    for ab, start in ((left, 0), (right, 32)):
        weighted[0][:, start : start + SIDE] += ramp * ab
        weighted[1][start : start + SIDE] += ramp
    wanted = np.asarray(Join(image, weighted[0] / weighted[1], (96, 64), 1).whole().convert("RGB")).astype(int)
    difference = np.abs(pixels(browser, "after") - wanted)
    # Where the reduced image is off by one level of 255, so are a few colors.
    assert difference.mean() < 0.05 and np.percentile(difference, 99.9) <= 1


def test_exif_orientation_and_files_that_are_no_image(opened, tmp_path):
    browser, _ = opened
    image, exif = Image.open(builtin_photographs()[1]).convert("RGB"), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert colorize(browser, tmp_path / "turned.jpg").startswith("Colored turned.jpg")
    assert pixels(browser, "after").shape == (451, 300, 3)
    (tmp_path / "broken.jpg").write_text("not an image")
    assert colorize(browser, tmp_path / "broken.jpg") == (
        "broken.jpg cannot be colored: this browser cannot decode it."
    )


def test_a_result_is_saved_in_the_format_that_came(opened, tmp_path):
    browser, _ = opened
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    image = Image.open(builtin_photographs()[2]).convert("RGB").resize((90, 60))
    for name in ("a.jpg", "b.png"):
        image.save(tmp_path / name)
        colorize(browser, tmp_path / name)
        browser.run("document.getElementById('save').click()")
        browser.until(IDLE)
        wanted = tmp_path / f"{name[0]}-colorized{name[1:]}"
        for _ in range(500):
            if wanted.exists():
                break
            browser.until("true")
        with Image.open(wanted) as saved:
            assert (saved.size, saved.format) == ((90, 60), {"jpg": "JPEG", "png": "PNG"}[name[2:]])


def test_dropped_and_pasted_photographs_are_taken(opened):
    browser, _ = opened
    script = """
        const canvas = new OffscreenCanvas(80, 50);
        canvas.getContext("2d").fillRect(0, 0, 40, 50);
        const data = new DataTransfer();
        return canvas.convertToBlob().then((blob) => {
            data.items.add(new File([blob], arguments[0], { type: "image/png" }));
            const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
            const Event = { drop: DragEvent, paste: ClipboardEvent }[arguments[0]];
            dispatchEvent(new Event(arguments[0], options));
        });
    """
    for way in ("drop", "paste"):
        browser.run(script, way)
        browser.until(IDLE)
        assert browser.run("return document.getElementById('status').textContent").startswith(f"Colored {way}.")


def test_nothing_leaves_the_machine(opened):
    """Neither page nor worker reaches another server: localhost is another one than 127.0.0.1."""
    browser, server = opened
    other = server.url.replace("127.0.0.1", "localhost") + "app.js"
    script = """
        const ask = `fetch("${arguments[0]}", { mode: "no-cors" }).then(() => "reached", () => "refused")`;
        const code = `${ask}.then(postMessage)`;
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
        const there = new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
        const here = fetch(arguments[0], { mode: "no-cors" }).then(() => "reached", () => "refused");
        return Promise.all([here, there]);
    """
    assert browser.run(script, other) == ["refused", "refused"]


def test_a_phone_needs_no_sideways_scrolling(opened):
    browser, _ = opened
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.devtools("Emulation.setDeviceMetricsOverride", **size)
    try:
        assert browser.run("return document.documentElement.scrollWidth") == 360
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride")


def test_works_without_its_server_and_says_what_a_file_cannot(opened, site, tmp_path):
    """The last one of this file: the server is gone afterwards."""
    browser, server = opened
    server.close()
    browser.open(server.url)
    browser.until(IDLE)
    assert colorize(browser, builtin_photographs()[1]).startswith("Colored chelsea.png")
    browser.open((site / "index.html").as_uri())
    assert browser.run("return document.body.innerText").count("python -m http.server") == 1
