"""The web page in Chromium, Firefox and WebKit; LiteRT.js as npm has it in its cache: nothing is fetched."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tfssl.color.colorize import network_lightness
from tfssl.color.join import Join
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ModelError
from tfssl.export.tflite import run_tflite
from tfssl.export.web import LITERT_VERSION, litert_package, write_litert, write_settings
from tools.browser import CAMERA, NoBrowser, Server, chromium, firefox, webkit

MAX_FIRST_LOAD = 16e6  # bytes
MODEL, SIDE = "colorizer_float16.tflite", 64
IDLE = "document.querySelector('#result[aria-busy=false]')"  # the worker has done all that it was asked for


@pytest.fixture(scope="module")
def page(site, tmp_path_factory):
    """The folder of the page with LiteRT.js in it."""
    folder = shutil.copytree(site, tmp_path_factory.mktemp("page") / "page")
    shutil.rmtree(folder / "litert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_offline", "true")
        try:
            with litert_package() as package:
                write_litert(package, folder / "litert")
        except ModelError as error:
            pytest.skip(f"no LiteRT.js ({error}); npm cache add @litertjs/core@{LITERT_VERSION}, and wasm-utils")
    write_settings(folder, MODEL, SIDE)
    return folder


@pytest.fixture(scope="module")
def opened(page):
    """``(browser, server)``, the network loaded."""
    server = Server(page)
    try:
        with chromium(*CAMERA) as browser:
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


def test_a_first_visit_loads_little_and_the_network_once(opened, page):
    _, server = opened
    size = (page / MODEL).stat().st_size
    assert server.served[f"/{MODEL}"] == size
    assert size < sum(server.served.values()) < MAX_FIRST_LOAD


def test_the_network_answers_as_in_python(opened, page):
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
    path = page / MODEL
    (answer,) = run_tflite(path, "predict_ab", [{"lightness": lightness[None, ..., None]}])
    assert np.ptp(answer["ab"]) > 5
    assert np.abs(found - answer["ab"].ravel()).max() < 1e-3


def check_colors(browser, page):
    """A photograph is colored as in Python."""
    path = builtin_photographs()[1]
    image = Image.open(path).convert("RGB")
    assert colorize(browser, path) == "Colored chelsea.png. Colors are plausible guesses, not those that were there."
    np.testing.assert_array_equal(pixels(browser, "before"), np.asarray(image))

    L = network_lightness(image, SIDE)
    assert L.shape == (64, 96)
    tiles = [{"lightness": L[None, :, start : start + SIDE, None]} for start in (0, 32)]
    left, right = (answer["ab"][0] for answer in run_tflite(page / MODEL, "predict_ab", tiles))
    ramp = np.minimum(np.arange(SIDE) + 0.5, SIDE - 0.5 - np.arange(SIDE))[:, None]
    weighted = np.zeros((64, 96, 2)), np.zeros((96, 1))
    for ab, start in ((left, 0), (right, 32)):
        weighted[0][:, start : start + SIDE] += ramp * ab
        weighted[1][start : start + SIDE] += ramp
    wanted = np.asarray(Join(image, weighted[0] / weighted[1], (96, 64), 1).whole().convert("RGB")).astype(int)
    difference = np.abs(pixels(browser, "after") - wanted)
    # Where the reduced image is off by one level of 255, so are a few colors.
    assert difference.mean() < 0.05 and np.percentile(difference, 99.9) <= 1


def check_camera(browser):
    """The page shows what the camera sees, takes a picture of it, and lets go of it."""
    shown = "return ['look', 'camera'].map((id) => document.getElementById(id).checkVisibility())"
    assert browser.run(shown) == [True, False]
    for button, status in (("cancel", ""), ("shoot", "Colored photograph.jpg.")):
        browser.run("document.getElementById('status').textContent = ''; document.getElementById('look').click()")
        browser.until("!document.getElementById('shoot').disabled")
        size = browser.run("""
            const view = document.getElementById("view");
            [document.track] = view.srcObject.getTracks();
            return [view.videoHeight, view.videoWidth, 3];
        """)
        browser.run("document.getElementById(arguments[0]).click()", button)
        browser.until("document.track.readyState === 'ended' && !document.getElementById('viewfinder').open")
        browser.until(f"document.getElementById('status').textContent.startsWith('{status}')")
    browser.until(IDLE)
    assert browser.run("const { height, width } = document.getElementById('after'); return [height, width, 3]") == size


def test_a_photograph_is_colored_as_in_python(opened, page):
    check_colors(opened[0], page)


def test_a_photograph_is_taken(opened):
    browser, _ = opened
    check_camera(browser)
    browser.run("""
        const refuse = () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
        navigator.mediaDevices.getUserMedia = refuse;
        document.getElementById("look").click();
    """)
    browser.until("document.getElementById('status').textContent === 'The camera cannot be used: Permission denied.'")


def test_phones_open_their_own_camera(opened):
    """Their browsers know `capture`; here the page is told that this one does."""
    browser, server = opened
    known = "Object.defineProperty(HTMLInputElement.prototype, 'capture', { value: '' })"
    script = browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=known)
    try:
        browser.open(server.url)
        browser.until(IDLE)
        shown = "return ['look', 'camera'].map((id) => document.getElementById(id).checkVisibility())"
        assert browser.run(shown) == [False, True]
        browser.choose("#camera", builtin_photographs()[1])
        browser.until(IDLE)
        assert browser.run("return document.getElementById('status').textContent").startswith("Colored chelsea.png.")
    finally:
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", **script)


@pytest.mark.slow
@pytest.mark.parametrize(("started", "camera"), [(firefox, True), (webkit, False)], ids=["firefox", "webkit"])
def test_other_browsers(page, started, camera):
    """WebKit has Safari's engine, and no camera for tests."""
    server = Server(page)
    try:
        with started() as browser:
            browser.open(server.url)
            browser.until(IDLE)
            check_colors(browser, page)
            if camera:
                check_camera(browser)
    except NoBrowser as error:
        pytest.skip(str(error))
    finally:
        server.close()


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


def test_works_without_its_server_and_says_what_a_file_cannot(opened, page, tmp_path):
    """The last one of this file: the server is gone afterwards."""
    browser, server = opened
    server.close()
    browser.open(server.url)
    browser.until(IDLE)
    assert colorize(browser, builtin_photographs()[1]).startswith("Colored chelsea.png")
    browser.open((page / "index.html").as_uri())
    assert browser.run("return document.body.innerText").count("python -m http.server") == 1
