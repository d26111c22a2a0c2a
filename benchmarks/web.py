"""The page of `tfssl export --format web` in a headless Chromium: bytes, seconds, and how far its colors are.

The network of the page takes squares. Ways to show it an oblong photograph (squeezed, padded, in overlapping tiles) are
compared with `tfssl colorize`, whose network sees the whole at its own shape, and with the true colors.

    python benchmarks/web.py --photographs PHOTOS        (npm, Chromium and chromedriver are needed)

Stopped, the same command goes on after the last photograph that it had measured with this model.
"""

import argparse
import functools
import hashlib
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import WORK, Comparison, kept, save
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.browser import Server, chromium

OBLONG = 1.15  # least aspect ratio of the photographs that ways are compared on
RUNS = 15
IDLE = "document.querySelector('#result[aria-busy=false]')"


def ways(predict, image, side):
    """``{way: ab of each pixel at the size at which the network of tfssl colorize sees the image}``."""
    from tfssl.color.predict import network_size

    size = network_size(image.size, side)
    scaled = functools.partial(image.resize, resample=Image.Resampling.BICUBIC, reducing_gap=2.0)
    whole = _lightness(scaled(size))
    fitted = _lightness(scaled(tuple(max(1, round(n * side / max(image.size))) for n in image.size)))
    margins = [((side - n) // 2, side - n - (side - n) // 2) for n in fitted.shape]
    inside = tuple(slice(before, side - after) for before, after in margins)
    return {
        "tfssl colorize": predict(whole),
        "squeezed into a square": _resized(predict(_lightness(scaled((side, side)))), size),
        "shrunk and mirrored to a square": _resized(predict(np.pad(fitted, margins, mode="symmetric"))[inside], size),
        "overlapping tiles (the page)": tiled(predict, whole, side),
        "gray": np.zeros((*whole.shape, 2)),
    }


def tiled(predict, lightness, side):
    """As tiles(), cut() and blend() of the page's color.js."""
    turned = lightness.T if lightness.shape[0] > lightness.shape[1] else lightness
    long = turned.shape[1]
    count = 1 if long <= side else -(-4 * (long - side) // (3 * side)) + 1
    total, weights = np.zeros((*turned.shape, 2)), np.zeros((long, 1))
    ramp = np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side))[:, None]
    for i in range(count):
        start = round(i * (long - side) / max(1, count - 1))
        part = turned[:, start : start + side]
        square = np.pad(part, [(0, side - n) for n in part.shape], mode="edge")
        ab = predict(square) if turned is lightness else predict(square.T).swapaxes(0, 1)
        ramp_here = ramp[: part.shape[1]]
        total[:, start : start + side] += ramp_here * ab[: part.shape[0], : part.shape[1]]
        weights[start : start + side] += ramp_here
    blended = total / weights
    return blended if turned is lightness else blended.swapaxes(0, 1)


def _lightness(image):
    from tfssl.ops.bytes_lab import lightness

    return lightness(np.asarray(image))


def _resized(ab, size):
    channels = (Image.fromarray(np.ascontiguousarray(ab[..., c])) for c in (0, 1))
    return np.stack([np.asarray(c.resize(size, Image.Resampling.BILINEAR)) for c in channels], axis=-1)


def compare_ways(model, photographs, count, work):
    """``{way: {"from_colorize": summary, "from_truth": summary}}``, of RMSE in ab units of each photograph.

    What is measured is kept in the folder ``work``.
    """
    import tensorflow as tf

    import tfssl
    from tfssl.color.predict import predict_ab
    from tfssl.data.images import image_source

    method, network = tfssl.load(model)
    network = method.served(network)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32)], autograph=False)
    def predict(lightness):
        return predict_ab(method, network, lightness[None, ..., None])[0]

    source = image_source(photographs)
    measured = []
    for i in np.random.default_rng(0).permutation(len(source)):
        file = work / f"{hashlib.sha256(Path(source.name(i)).read_bytes()).hexdigest()[:16]}.json"
        found = kept(file, lambda i=i: _errors(source.example(i)["image"], predict, method.image_size))
        measured += [found] if found else []
        if len(measured) == count:
            break
    return {
        way: {key: _summary([found[way][key] for found in measured]) for key in parts}
        for way, parts in measured[0].items()
    }


def _errors(image, predict, side):
    """``{way: {"from_colorize": RMSE, "from_truth": RMSE}}`` of an oblong color photograph; None of another one."""
    from tfssl.ops.bytes_lab import ab

    image = image.convert("RGB")
    pixels = np.asarray(image)
    if max(image.size) < OBLONG * min(image.size) or (pixels == pixels[..., :1]).all():
        return None
    fields = ways(lambda lightness: predict(np.float32(lightness)).numpy(), image, side)
    reference = fields["tfssl colorize"]
    truth = ab(np.asarray(image.resize(reference.shape[1::-1], Image.Resampling.BICUBIC, reducing_gap=2.0)))
    return {
        way: {
            key: float(np.sqrt(((field - other) ** 2).sum(-1).mean()))
            for key, other in (("from_colorize", reference), ("from_truth", truth))
        }
        for way, field in fields.items()
    }


def _summary(values):
    return {"mean": float(np.mean(values)), "p95": float(np.percentile(values, 95)), "n": len(values)}


PREDICT = """
const [base, L, wasm] = arguments;
const code = `
    importScripts("${base}worker.js", "${base}settings.js");
    onmessage = async ({ data: [base, L] }) => {
        await open({ ...SETTINGS, base });
        const times = [];
        let ab;
        for (let i = 0; i < 15; i++) {
            const start = performance.now();
            ab = await predict(Float32Array.from(L));
            times.push((performance.now() - start) / 1000);
        }
        postMessage([times, [...ab]]);
    };`;
const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
return new Promise((resolve) => {
    worker.onmessage = ({ data }) => Array.isArray(data) && resolve(data);
    worker.postMessage([base, L]);
});
"""


def measure_page(site, report):
    """Bytes of a first visit, seconds of the network and of a megapixel, largest difference from Python's LiteRT."""
    from tfssl.data.builtin import builtin_photographs
    from tfssl.export.tflite import run_tflite

    model = report["web"]["model"]
    side = report["tflite"][model]["side"]
    photograph = Image.open(builtin_photographs()[4]).convert("RGB").resize((1224, 816), Image.Resampling.LANCZOS)
    lightness = _lightness(photograph.resize((side, side), Image.Resampling.BICUBIC))
    (answer,) = run_tflite(site / model, "predict_ab", [{"lightness": lightness[None, ..., None]}])
    server, seconds = Server(site), []
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        photograph.save(path, quality=92)
        start = time.perf_counter()
        browser.open(server.url)
        browser.until(IDLE, 120)
        opening = time.perf_counter() - start
        first_load = sum(server.served.values())
        for _ in range(RUNS):
            start = time.perf_counter()
            browser.choose("#file", path)
            browser.until(IDLE, 120)
            seconds.append(round(time.perf_counter() - start, 4))
        network, ab = browser.run(PREDICT, server.url, lightness.ravel().tolist())
    server.close()
    difference = float(np.abs(np.array(ab) - answer["ab"].ravel()).max())
    times = {"open the page": [opening], "one megapixel": seconds, "network, one square": network}
    return {"first_load_bytes": first_load, "largest_difference_ab": difference}, times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", required=True, help="source of oblong color photographs")
    parser.add_argument("--count", type=int, default=100, help="of them")
    parser.add_argument("--model", default="colorizer")
    parser.add_argument("--out", default=None, help="folder of the results")
    parser.add_argument("--work", type=Path, default=WORK / "web", help="folder of what it can go on from")
    arguments = parser.parse_args()

    from tfssl.export import export_web
    from tfssl.export.run import load_source
    from tfssl.resources import model_digest

    digest = model_digest(arguments.model)
    model, count = arguments.model, arguments.count
    with tempfile.TemporaryDirectory() as folder:
        method, network = load_source(model)
        report = export_web(method, network, Path(folder) / "site")
        page, seconds = measure_page(Path(folder) / "site", report)
    save(
        "web",
        config={
            "model": arguments.model,
            "digest": digest,
            "backbone": method.backbone,
            "photographs": Path(arguments.photographs).name,
            "count": arguments.count,
            "oblong": OBLONG,
            "litert": report["web"]["litert"],
        },
        packages=("tensorflow", "keras", "ai-edge-litert", "pillow"),
        seconds=seconds,
        comparisons=[
            Comparison(
                "bytes of a first visit to the web page", "16 MB", page["first_load_bytes"] / 1e6, 16, True, " MB"
            ),
            Comparison(
                "a photograph of one megapixel in the web page, headless Chromium, one thread",
                "2 seconds",
                statistics.median(seconds["one megapixel"]),
                2,
                True,
                " s",
            ),
        ],
        out=arguments.out,
        page=page,
        ways=compare_ways(model, arguments.photographs, count, arguments.work / digest[:16]),
    )
    shutil.rmtree(arguments.work / digest[:16])


if __name__ == "__main__":
    main()
