"""`make demo`: the main job from end to end on real photographs, in minutes on a laptop, without a download.

Trains a small colorizer on six of the photographs that come inside scikit-image and scikit-learn, measures it and
the shipped colorizer on two it has not seen, exports the trained one as SavedModel and TFLite and checks both, and
applies the shipped colorizer to photographs that were taken in black and white. Every step is a command that you
can type yourself.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs

HELD_OUT = ("chelsea.png", "china.jpg")


def run(*arguments):
    """Run one tfssl command, show it, stop the demo if it fails."""
    print(f"\n$ tfssl {shlex.join(map(str, arguments))}", flush=True)
    subprocess.run([sys.executable, "-m", "tfssl", *map(str, arguments)], check=True)


def copies(paths, folder):
    """Copy photographs into a folder, as a user's own would lie in one."""
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder)
    return folder


def before_after(gray, color, path):
    """Write one sheet: each gray photograph beside its colorized version."""
    from PIL import Image

    from tfssl.visualization.sheet import picture_sheet

    rows = []
    for before in sorted(gray.iterdir()):
        after = next(color.glob(f"{before.stem}.*"))
        with Image.open(before) as left, Image.open(after) as right:
            rows.append([left.convert("RGB"), right.convert("RGB")])
    picture_sheet(rows, path, titles=["black and white", "tfssl colorize"], cell=320)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder for everything the demo writes")
    parser.add_argument("--steps", type=int, default=150, help="training steps (a real training takes thousands)")
    arguments = parser.parse_args()
    out, started = arguments.out, time.monotonic()
    shutil.rmtree(out, ignore_errors=True)

    photographs = builtin_photographs()
    train = copies([p for p in photographs if p.name not in HELD_OUT], out / "photographs" / "train")
    held_out = copies([p for p in photographs if p.name in HELD_OUT], out / "photographs" / "held_out")
    gray = copies(builtin_gray_photographs(), out / "photographs" / "gray")

    epochs = 3
    run(
        "train", "colorization/cpu", "--data", train, "--out", out / "run", f"epochs={epochs}",
        f"steps_per_epoch={arguments.steps // epochs}", "warmup_steps=20", "batch_size=16",
    )  # fmt: skip
    run("evaluate", out / "run", "--data", held_out, "--out", out / "evaluation")
    run("evaluate", "colorizer", "--data", held_out, "--out", out / "evaluation_shipped")
    run("export", out / "run", "--out", out / "export")
    run("export", out / "run", "--out", out / "export", "--format", "tflite", "--quantize", "float16")
    run("check-export", out / "export")
    run("colorize", gray, "--out", out / "colorized")
    before_after(gray, out / "colorized", out / "before_after.png")

    ours = json.loads((out / "run" / "metrics.json").read_text())
    print(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes.")
    print(f"training loss       {ours['loss']:.3f} after {ours['steps']} steps (blind: {ours['baseline']:.3f})")
    print(f"before/after sheet  {out / 'before_after.png'}")
    print(f"trained model       {out / 'run' / 'model.keras'}")
    print(f"its evaluation      {out / 'evaluation' / 'sheet.png'}")
    print(f"exports             {out / 'export'} (SavedModel and .tflite)")


if __name__ == "__main__":
    main()
