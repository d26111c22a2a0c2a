"""What every method promises, tested on each one that discovery finds, with its own cpu.yaml made small."""

import csv
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl import methods
from tfssl.config import load_config, parse_config
from tfssl.data.builtin import builtin_photographs
from tfssl.data.workers import ParallelSource
from tfssl.errors import ConfigError
from tfssl.methods.adversarial import AdversarialModel
from tfssl.training.callbacks import Recorder
from tfssl.training.distribution import make_strategy
from tfssl.training.fit import fit

NAMES = methods.names()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for path in builtin_photographs():
        with Image.open(path) as image:
            image.convert("RGB").resize((160, 120)).save(folder / f"{path.stem}.jpg", quality=95, subsampling=0)
    return folder


# Pictures as small as the network allows, where those of cpu.yaml make each step slow.
SMALLER = {"colorization": {"resize": 40, "crop_size": 32}}


@pytest.fixture(scope="module", params=NAMES)
def config(request, photos):
    values = load_config(f"{request.param}/cpu").to_dict() | SMALLER.get(request.param, {})
    values |= {"data": str(photos), "batch_size": 4, "steps_per_epoch": 3, "epochs": 2, "checkpoint_steps": 2}
    return parse_config(values)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    out = tmp_path_factory.mktemp(config.method.name()) / "run"
    fit(config, out)
    return out


@pytest.fixture(scope="module")
def batch(config):
    return next(iter(config.method.dataset(config.settings.data, batch_size=4)))


def test_is_described(config):
    method = type(config.method)
    assert method.paper.year > 1980 and method.paper.title and method.paper.authors and method.inputs
    for field in method.model_fields:
        assert f"{field}:" in method.__doc__, f"{field} is not in the docstring"
    assert method() is not None, "defaults are a valid configuration"
    assert method(**config.method.model_dump()) == config.method


def test_is_frozen_and_strict(config):
    with pytest.raises(Exception, match="frozen"):
        config.method.backbone = "other"
    with pytest.raises(ConfigError, match="unknown key"):
        type(config.method)(no_such_field=1)


def test_model_is_compiled_and_functional(config):
    model = config.method.model()
    assert model.compiled
    for network in model.networks.values() if isinstance(model, AdversarialModel) else [model]:
        assert type(network).__name__ == "Functional"
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model._flatten_layers())


def test_one_batch_lowers_its_loss(config, batch):
    keras.utils.set_random_seed(0)
    model = config.method.model(keras.optimizers.Adam(1e-3))
    before = model.evaluate(*batch, verbose=0)
    data = tf.data.Dataset.from_tensors(batch).repeat(25)
    history = model.fit(data, verbose=0)
    assert model.train_on_batch(*batch) < before
    assert np.isfinite(history.history["loss"][-1])


def test_user_script(config, photos):
    """`model.fit(method.dataset(...), epochs=2)`, as in the README."""
    method = config.method
    data = method.dataset(str(photos), batch_size=4)
    history = method.model().fit(data, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert int(data.cardinality()) == 2


def test_dataset_is_reproducible(config, photos):
    def first(**options):
        batch = next(iter(config.method.dataset(str(photos), batch_size=2, **options)))
        return [np.asarray(x) for x in tf.nest.flatten(batch)]

    for ours, again in zip(first(seed=3, start=0), first(seed=3, start=0), strict=True):
        np.testing.assert_array_equal(ours, again)
    assert any((a != b).any() for a, b in zip(first(seed=3, start=0), first(seed=4, start=0), strict=True))


@pytest.fixture(scope="module")
def in_workers(photos):
    with ParallelSource(photos, 1) as source:
        yield source


def test_worker_processes_give_the_same_batches(config, photos, in_workers):
    ours, theirs = (
        list(config.method.dataset(source, batch_size=4, seed=5, start=1, count=2)) for source in (in_workers, photos)
    )
    assert len(ours) == 2
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_examples_are_the_dataset_unbatched(config, photos):
    example = next(iter(config.method.examples(str(photos), training=False)))
    batch = next(iter(config.method.dataset(str(photos), batch_size=2, training=False)))
    tf.nest.assert_same_structure(example, batch)
    for one, several in zip(tf.nest.flatten(example), tf.nest.flatten(batch), strict=True):
        np.testing.assert_allclose(one, several[0], atol=1e-3)


def test_saving_keeps_the_function(config, batch, tmp_path):
    model = config.method.model()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode: no code from the file
    np.testing.assert_allclose(loaded.predict_on_batch(batch[0]), model.predict_on_batch(batch[0]), atol=1e-5)


def test_encoder(config):
    model = config.method.model()
    encoder = config.method.encoder(model)
    taps = encoder(np.random.default_rng(0).uniform(0, 1, (2, 96, 96, 3)).astype(np.float32))
    assert {"conv1", "conv5"} <= taps.keys()
    for name, value in taps.items():
        assert len(value.shape) == 4 and value.shape[0] == 2, name
        assert np.isfinite(np.asarray(value)).all()


def test_baseline_is_a_loss_level(config):
    assert np.isfinite(config.method.baseline) and config.method.baseline > 0


def test_cpu_configuration_trains_a_few_steps(run):
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and all(np.isfinite(float(r["loss"])) for r in rows)
    assert all(p.stat().st_size > 1000 for p in (run / "samples").iterdir()), "pictures of what it does"
    assert len(list((run / "samples").iterdir())) == 2


class Stop(Exception):
    pass


def test_resumes_bit_for_bit(config, run, tmp_path, monkeypatch):
    """Stopped at the end of the first epoch, where a phase may end, and in the middle of the second."""

    def stop(name, at):
        original = getattr(Recorder, name)

        def stopping(self, *args, **kwargs):
            original(self, *args, **kwargs)
            if self.state.step == at:
                raise Stop

        monkeypatch.setattr(Recorder, name, stopping)

    for name, at in (("on_epoch_end", 3), ("on_train_batch_end", 5)):
        stop(name, at)
        with pytest.raises(Stop):
            fit(config, tmp_path / "run")
        monkeypatch.undo()
    fit(config, tmp_path / "run")
    ours, theirs = (keras.saving.load_model(f / "model.keras", compile=False) for f in (tmp_path / "run", run))
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(our, their, err_msg=our.path)


def test_two_replicas_give_the_weights_of_one(config):
    """Plain SGD, because Adam turns rounding differences of tiny gradients into whole steps.

    One step of players, because each answers what the other's rounding differences make of its pictures.
    """
    steps = 1 if isinstance(config.method.model(), AdversarialModel) else 3
    data = config.method.dataset(config.settings.data, batch_size=4, start=0, count=steps)
    batches = list(data)
    results = []
    for devices in (1, 2):
        keras.utils.set_random_seed(0)
        strategy = make_strategy(devices, 4)
        with strategy.scope():
            model = config.method.model(keras.optimizers.SGD(0.01))
        stacked = tf.data.Dataset.from_tensor_slices(
            tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)
        )
        history = model.fit(stacked.batch(4, drop_remainder=True), verbose=0, shuffle=False)
        results.append(([np.asarray(v) for v in model.trainable_variables], history.history["loss"][0]))
    (one, loss_one), (two, loss_two) = results
    assert loss_one == pytest.approx(loss_two, rel=1e-3)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_evaluates_itself(run, config, tmp_path):
    from tfssl.training.runs import load_run

    method, model = load_run(run)
    options = inspect.signature(method.evaluate).parameters
    assert {"out", "limit", "progress"} <= options.keys(), "where the command line finds them"
    assert not any(option.kind == option.VAR_KEYWORD for option in options.values())
    metrics = method.evaluate(model, config.settings.data, out=tmp_path / "results")
    assert any(isinstance(v, float) for v in metrics.values())
    assert (tmp_path / "results" / "metrics.json").is_file()


def test_export_passes_its_check(run, tmp_path):
    from tfssl.export import export_run
    from tfssl.export.check import main as check

    export_run(run, tmp_path / "export")
    assert check([str(tmp_path / "export")]) == 0
