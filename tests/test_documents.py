"""What documents and the headers of configurations state, against what is there."""

import itertools
import math
import re

import keras
import pytest

from tfssl.cli import main
from tfssl.config import load_config
from tfssl.data.builtin import builtin_photographs
from tfssl.resources import configs

CONFIGS = sorted(configs().glob("*/*.yaml"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in CONFIGS]


def pages(root):
    return sorted(path for place in (".", "docs", "configs", "benchmarks") for path in (root / place).glob("*.md"))


def header(name):
    lines = (configs() / f"{name}.yaml").read_text().splitlines()
    return [line for line in lines[: lines.index(f"method: {name.split('/')[0]}")] if line]


def said(name, word):
    """What a header says under a word, its continuation lines joined."""
    text = "\n".join(header(name))
    found = re.search(rf"^# {word}:\s+(.*(?:\n#  +\S.*)*)", text, re.MULTILINE)
    assert found, f"{name} has no line `# {word}:`"
    return re.sub(r"\n#\s+", " ", found[1])


def test_every_page_begins_with_its_one_title(root):
    found = pages(root)
    assert len(found) > 20
    for page in found:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
        assert text.startswith("# ") and levels.count(1) == 1, f"{page} must begin with its one title"
        steps = [b - a for a, b in itertools.pairwise(levels)]
        assert all(step <= 1 for step in steps), f"{page} leaves out a level of headings"


@pytest.mark.parametrize("name", NAMES)
def test_headers_say_paper_command_time_memory_and_result(name):
    assert re.search(r"\d{4}", said(name, "Paper")) and len(said(name, "Expected")) > 20
    command = said(name, "Command")
    assert re.search(rf"tfssl train (configs/)?{name}(\.yaml)? .*--data \S+ --out \S+", command), command
    time = said(name, "Time")
    assert re.search(r"\d+ (minutes|hours|days|epochs)|(hours|weeks|months)|does not say how long", time), time
    assert re.search(r"[\d.]+ (GB|million)", " ".join(header(name))), f"{name} does not say how much memory"


def test_the_readme_of_configurations_names_the_times_of_the_headers():
    low, high = map(int, re.search(r"in (\d+) to\s+(\d+) minutes", (configs() / "README.md").read_text()).groups())
    times = [
        int(n) for name in NAMES if name.endswith("/cpu") for n in re.findall(r"(\d+) minutes", said(name, "Time"))
    ]
    assert (min(times), max(times)) == (low, high)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_configurations_start_or_name_data_to_give(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = load_config(name)
    settings = config.settings
    if settings.data == "builtin":
        examples = len(builtin_photographs()) * config.method.examples_per_item
        assert settings.steps_per_epoch or examples >= settings.batch_size
        return
    with pytest.raises(SystemExit) as stopped:
        main(["train", name])
    assert stopped.value.code == 2
    assert f"{settings.data!r}, the data that {name} names; give yours: --data" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def trainable(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


# File, text with a group for the number, configuration, part of its model or None for all of it.
CLAIMS = [
    ("docs/hypercolumn_colorization.md", r"\| `small`, .*\| ([\d.]+ million)", "hypercolumn_colorization/cpu", None),
    ("docs/jigsaw.md", r"\| `small` \|.*\| ([\d.]+ million)", "jigsaw/cpu", None),
    ("tfssl/methods/jigsaw/__init__.py", r'``"small"`` \(([\d.]+ million)', "jigsaw/cpu", None),
    ("docs/context_prediction.md", r"\| `small` \|.*\| ([\d.]+ million)", "context_prediction/cpu", None),
    ("docs/context_encoder.md", r"\| `small` \|.*\| ([\d.]+ million)", "context_encoder/cpu", "inpainter"),
    ("docs/context_encoder.md", r"discriminator ([\d.]+ million)", "context_encoder/cpu", "discriminator"),
    (
        "tfssl/methods/context_encoder/__init__.py",
        r'``"small"`` \(([\d.]+ million)',
        "context_encoder/cpu",
        "inpainter",
    ),
    ("tfssl/methods/context_encoder/network.py", r"([\d.]+ million) parameters", "context_encoder/cpu", "inpainter"),
    ("docs/denoising_autoencoder.md", r"\| `small` \|.*\| ([\d.]+ million)", "denoising_autoencoder/cpu", None),
    ("configs/denoising_autoencoder/patches.yaml", r"([\d.]+ million) weights", "denoising_autoencoder/patches", None),
    ("docs/split_brain.md", r"\| `small`, .*\| ([\d.]+ million)", "split_brain/cpu", None),
    ("docs/spot_artifacts.md", r"\| `small`, [^|]*\| ([\d,]+)", "spot_artifacts/cpu", "autoencoder"),
    ("docs/spot_artifacts.md", r"\| `small`, [^|]*\|[^|]*\| ([\d,]+)", "spot_artifacts/cpu", "repairer"),
    ("docs/spot_artifacts.md", r"\| `small`, .*\| ([\d,]+) \|", "spot_artifacts/cpu", "discriminator"),
    ("docs/colorization.md", r"\| `small` \| ([\d,]+)", "colorization/cpu", "convolutions"),
    ("docs/colorization.md", r"\(([\d.]+ million) parameters\)", "colorization/colorizer", None),
    ("tfssl/methods/colorization/__init__.py", r'``"small"`` \(([\d.]+ million)', "colorization/cpu", None),
    ("tfssl/methods/colorization/network.py", r"([\d.]+ million) parameters", "colorization/cpu", None),
    ("configs/context_encoder/features.yaml", r"([\d.]+ million) weights", "context_encoder/features", None),
    ("configs/ambient_sound/cpu.yaml", r"([\d.]+ million) weights", "ambient_sound/cpu", None),
    ("configs/egomotion/cpu.yaml", r"([\d.]+ million) weights", "egomotion/cpu", None),
    ("configs/video_prediction/cpu.yaml", r"([\d.]+ million) weights", "video_prediction/cpu", None),
    ("configs/video_triplet/cpu.yaml", r"([\d.]+ million) weights", "video_triplet/cpu", None),
]
LARGE = [
    ("docs/hypercolumn_colorization.md", r"\| `vgg16`, .*\| ([\d,]+) \|", "hypercolumn_colorization/paper", None),
    ("configs/hypercolumn_colorization/paper.yaml", r"([\d.]+ million) w", "hypercolumn_colorization/paper", None),
    (
        "tfssl/methods/hypercolumn_colorization/__init__.py",
        r"([\d.]+ million) parameters",
        "hypercolumn_colorization/paper",
        None,
    ),
    ("configs/ambient_sound/paper.yaml", r"([\d.]+ million) weights", "ambient_sound/paper", None),
    ("docs/ambient_sound.md", r"with 30 clusters ([\d,]+) trainable", "ambient_sound/paper", None),
    ("configs/egomotion/paper.yaml", r"([\d.]+ million) weights", "egomotion/paper", None),
    ("configs/video_triplet/paper.yaml", r"([\d.]+ million) weights", "video_triplet/paper", None),
    ("docs/video_triplet.md", r"without dropout; ([\d,]+) parameters", "video_triplet/paper", None),
    ("docs/egomotion.md", r"of 22 classes ([\d,]+) parameters", "egomotion/paper", None),
    ("configs/video_prediction/paper.yaml", r"([\d.]+ million) weights", "video_prediction/paper", None),
    ("docs/video_prediction.md", r"([\d,]+) parameters", "video_prediction/paper", None),
    ("configs/jigsaw/paper.yaml", r"([\d.]+ million) weights", "jigsaw/paper", None),
    ("configs/split_brain/paper.yaml", r"([\d.]+ million) weights", "split_brain/paper", None),
    ("docs/split_brain.md", r"\| ([\d,]+): ", "split_brain/paper", None),
    ("configs/context_prediction/paper.yaml", r"([\d.]+ million) weights", "context_prediction/paper", None),
    ("tfssl/methods/context_prediction/__init__.py", r"([\d.]+ million) parameters", "context_prediction/paper", None),
    ("configs/spot_artifacts/paper.yaml", r"([\d.]+ million) weights", "spot_artifacts/paper", "all"),
    ("docs/spot_artifacts.md", r"\| `alexnet`, .*\| ([\d,]+) \|", "spot_artifacts/paper", "discriminator"),
    ("configs/context_encoder/paper.yaml", r"([\d.]+ million) weights", "context_encoder/paper", None),
    ("configs/context_encoder/paper.yaml", r"([\d.]+ million) parameters", "context_encoder/paper", "inpainter"),
    ("docs/context_encoder.md", r"\| `inpainting` .*\| ([\d,]+) \(", "context_encoder/paper", "inpainter"),
    ("configs/context_encoder/random.yaml", r"([\d.]+ million) weights", "context_encoder/random", None),
    ("tfssl/methods/colorization/__init__.py", r'``"paper"`` \(([\d.]+ million)', "colorization/paper", None),
    ("docs/colorization.md", r"\| `paper` \| ([\d,]+)", "colorization/paper", "convolutions"),
]


@pytest.fixture(scope="module")
def counted():
    """Function from a configuration and a part to its number of trainable parameters; each model is built once."""
    counts = {}

    def count(name, part):
        if name not in counts:
            method = load_config(name).method
            model = method.model(keras.optimizers.SGD(0.1))
            found = {None: trainable(model)}
            found |= {part: trainable(network) for part, network in getattr(model, "networks", {}).items()}
            kernels = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
            layers = [layer for layer in model._flatten_layers() if isinstance(layer, kernels)]
            found["convolutions"] = sum(layer.count_params() for layer in layers)
            if hasattr(method, "autoencoder"):
                found["autoencoder"] = trainable(method.autoencoder(keras.optimizers.SGD(0.1)))
                found["all"] = found[None] + found["autoencoder"]
            counts[name] = found
        return counts[name][part]

    return count


@pytest.mark.parametrize(
    "file, pattern, name, part", CLAIMS + [pytest.param(*claim, marks=pytest.mark.slow) for claim in LARGE]
)
def test_parameter_counts_are_those_of_the_networks(file, pattern, name, part, counted, root):
    found = re.findall(pattern, (root / file).read_text(encoding="utf-8"))
    assert found, f"{file} does not say {pattern}"
    count = counted(name, part)
    for text in found:
        number = text.split()[0]
        places = len(number.partition(".")[2])
        expected = f"{count / 1e6:.{places}f}" if text.endswith("million") else f"{count:,}"
        assert number == expected, f"{file}: {text}, there are {count:,}"
