"""`tfssl colorize` with the colorizer that ships, against the paper's network in PyTorch with Pillow and scikit-image.

Both colorize the same photographs of one megapixel from files to files, in turn in one process, with as many threads
each. The other side is torch_demo.py: the network of the paper with random weights, since only time is measured.

    pip install --editable .[bench]
    python benchmarks/colorize_torch.py
"""

import argparse
import tempfile
from pathlib import Path

import tensorflow as tf
import torch
from colorize import KINDS, SMALL, Steps, write_photograph
from machine import Comparison, alternate, ratio, save
from torch_demo import Eccv16, colorize_files
from torch_network import convolution_parameters

from tfssl.api import load


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100, help="number of photographs of one megapixel")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    method, model = load("colorizer")
    steps, network = Steps(method, model), Eccv16().eval()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i:03d}.jpg") for i in range(arguments.photos)]
        for i, path in enumerate(paths):
            write_photograph(path, SMALL, KINDS[i % 2], arguments.seed + i)
        theirs = Path(folder, "torch")
        theirs.mkdir()
        runs = {
            "torch": lambda: colorize_files(network, paths, theirs),
            "tfssl": lambda: steps.together(paths, Path(folder, "tfssl")),
        }
        colorize_files(network, paths[:1], theirs)  # what the first call alone takes
        steps.together(paths[:1], Path(folder, "tfssl"))
        seconds = alternate(runs, arguments.rounds, warmup=0)
    what = f"`tfssl colorize` of {arguments.photos} photographs of 1 megapixel, threads: {arguments.threads}"
    against = f"the paper's network in PyTorch {torch.__version__.split('+')[0]} with Pillow and scikit-image"
    save(
        "colorize_torch",
        config={**vars(arguments), "image_size": method.image_size, "backbone": method.backbone},
        packages=("tensorflow", "keras", "torch", "numpy", "pillow", "scikit-image"),
        seconds=seconds,
        comparisons=[Comparison(what, against, ratio(seconds, "torch", "tfssl"), 5)],
        out=arguments.out,
        torch_convolution_parameters=convolution_parameters(network.network),
    )


if __name__ == "__main__":
    main()
