"""Sizes and errors of .tflite files: the colorizer that ships, and an inpainter of configs/context_encoder/cpu.yaml.

Each is exported in all four kinds. An error is the mean difference from the Keras model on the built-in photographs,
which export itself measures, in units of ab (colors of [0, 1] count 100 times: ab are on the scale of L).

    python benchmarks/mobile.py --inpainter runs/inpainting

Without --inpainter the figures of the inpainter stay those on record.
"""

import argparse
import json
import tempfile
from pathlib import Path

from machine import RESULTS, save

KINDS = ("none", "float16", "dynamic", "int8")


def measure(run, kind):
    """Bytes of the file, its worst mean error and the limit of export, both in units of ab."""
    from tfssl.endpoint import TOLERANCE
    from tfssl.export import export_run
    from tfssl.export.run import load_source

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "export"
        export_run(run, out, format="tflite", quantize=kind)
        report = json.loads((out / "export.json").read_text(encoding="utf-8"))
        ((file, part),) = report["tflite"].items()
        method, model = load_source(run)
        limit = TOLERANCE["float32" if kind == "none" else kind]
        unit = method.serving(method.served(model))[part["signature"]].tolerance["int8"] / TOLERANCE["int8"]
        errors = [numbers["mean_abs"] for numbers in part["parity"].values() if isinstance(numbers, dict)]
        return {
            "quantize": kind,
            "bytes": (out / file).stat().st_size,
            "mean_error": max(errors) / unit,
            "limit": limit,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inpainter", help="run directory of context_encoder/cpu")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()
    runs = {"colorizer": "colorizer", "inpainter": arguments.inpainter}
    files = (
        json.loads((RESULTS / "mobile.json").read_text(encoding="utf-8"))["files"] if not arguments.inpainter else {}
    )
    for name, run in runs.items():
        if run:
            files[name] = [measure(run, kind) for kind in KINDS]
        for row in files[name]:
            print(name, row, flush=True)
    save(
        "mobile",
        config={"colorizer": "the shipped one", "inpainter": "context_encoder/cpu"},
        packages=("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        files=files,
    )


if __name__ == "__main__":
    main()
