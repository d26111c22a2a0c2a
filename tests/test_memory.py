"""Memory stays flat: what a call or a step holds, it gives back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLS, BOUND = 15, 10e6

CODE = """
import json, sys
from pathlib import Path
import numpy as np, tfssl

kept, leak, calls = [], sys.argv[1] == "leak", int(sys.argv[2])
random = np.random.default_rng(0)
image = random.integers(0, 256, (400, 400, 3), dtype=np.uint8)  # 0.5 MB
photographs = random.integers(0, 256, (32, 64, 64, 3), dtype=np.uint8)

def colorize():
    result = tfssl.colorize(image)
    kept.extend([np.array(result)] * leak)

method = tfssl.methods.DenoisingAutoencoder(backbone="dense", resize=64, crop_size=64, color=True, units=(8,))
model = method.model()
batches = iter(method.dataset(photographs, batch_size=32).repeat())  # of 1.6 MB

def train():
    batch = next(batches)
    model.train_on_batch(*batch)
    kept.extend([np.array(batch[0])] * leak)

def growth(call):
    sizes = []
    for count in (calls, 2 * calls):
        for _ in range(count):
            call()
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    return sizes[1] - sizes[0]

print(json.dumps([growth(colorize), growth(train)]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="the size of a process is read from Linux' /proc")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flat", "leak"])
def test_memory_stays_flat_over_calls_and_steps(kind, root):
    """Between the 15th and the 45th; and what would be seen of a result or a batch that is kept each time."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", CODE, kind, str(CALLS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    grown = json.loads(done.stdout.splitlines()[-1])
    assert [size > BOUND for size in grown] == [kind == "leak"] * 2, grown
