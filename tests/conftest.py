"""Set-up of all tests: quiet TensorFlow, two logical CPU devices, the shared data, slow tests on request."""

import os
from pathlib import Path

import pytest

# Before TensorFlow is imported: its C++ side and Matplotlib read these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers that each start a thread for every core get in each other's way.
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import tensorflow as tf

ROOT = Path(__file__).resolve().parent.parent


def _two_logical_cpus():
    # Tests of MirroredStrategy need two devices, and TensorFlow can only be told before it first runs.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


_two_logical_cpus()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(scope="module", autouse=True)
def _free_memory():
    """Graphs and networks of one file are not needed by the next; left alone they grow to gigabytes."""
    import gc

    import keras

    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.fixture(scope="session")
def root():
    """Folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the shared data: TFSSL_SHARED_DATA, or shared/data beside the checkout. Skips where it is absent."""
    folder = Path(os.environ.get("TFSSL_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set TFSSL_SHARED_DATA to their folder")
    return folder
