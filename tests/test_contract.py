"""What every method promises, tested on each one that discovery finds, with its own cpu.yaml made small.

One class a method; all clauses look at one run. Clauses for every method, for those
trained by gradients and for encoders are apart.
"""

import csv
import inspect
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl import methods
from tfssl.config import load_config, parse_config
from tfssl.data.workers import ParallelSource
from tfssl.errors import ConfigError
from tfssl.methods.adversarial import AdversarialModel
from tfssl.training.callbacks import Recorder
from tfssl.training.distribution import make_strategy
from tfssl.training.fit import fit
from tfssl.training.runs import load_run

# As small as the networks allow, where those of cpu.yaml make each step slow.
SMALLER = {
    "caption_bow": {"words": 20, "drop": 1, "candidates": 12, "crop_size": 32, "resize": 40},
    "ambient_sound": {"clusters": 4, "frames": 2, "resize": 40, "crop_size": 32},
    "co_occurrence": {"pairs_per_image": 1, "channels": [8, 8], "features": 16, "head": [16, 8]},
    "colorization": {"resize": 40, "crop_size": 32},
    "context_encoder": {"resize": 48, "crop_size": 32},
    "context_prediction": {"area": [4000, 8000], "patches_per_image": 8, "embedding": 32, "head": [32, 16]},
    "denoising_autoencoder": {"resize": 40, "crop_size": 32},
    "egomotion": {"resize": 40, "crop_size": 24, "fc": 16},
    "gated_autoencoder": {"patches": 4, "factors": 8, "mappings": 4},
    "hypercolumn_colorization": {"resize": [32, 40], "crop_size": 32, "hidden": 32},
    "jigsaw": {"fc6": 32, "fc7": 32},
    "odometry": {"components": 10, "units": 8, "channels": 8, "hidden": 16, "dropout": 0.0, "patches": 4},
    "slow_steady": {"classes": 3, "resize": 16, "crop_size": 16, "features": 8},
    "split_brain": {"resize": 40, "crop_size": 32, "fc": 32},
    "spot_artifacts": {"crop_size": 32, "fc6": 32},
    "synchrony": {"units": 16, "components": 20, "patches": 4},
    "video_prediction": {"context": 1, "frames": 3, "crop_size": 16, "widths": [4, 4, 4, 4, 4, 4, 4]},
    "video_lstm": {"input_frames": 3, "future_frames": 3, "units": [16], "crop_size": 16, "digit_size": 8},
    "video_triplet": {"resize": 36, "crop_size": 32, "fc6": 32, "fc7": 16},
    "zero_bias_autoencoder": {"units": 16, "patches": 4, "crop_size": 6, "resize": 40},
}
MODALITIES = {
    "gated_autoencoder": "pair",
    "odometry": "pair",
    "synchrony": "pair",
    "video_lstm": "clip",
}  # of what is no encoder of single images
ACROSS_EXAMPLES = {"video_triplet"}  # whose loss compares the examples that a device sees with each other
SLOW_TO_TRACE = {  # each graph takes many seconds; their endpoints and their steps have tests of their own
    *("colorization", "context_encoder", "context_prediction", "denoising_autoencoder", "hypercolumn_colorization"),
    *("jigsaw", "split_brain", "spot_artifacts", "video_prediction"),
}
RUN = {"batch_size": 4, "steps_per_epoch": 3, "epochs": 2, "checkpoint_steps": 2}


class Contract:
    """The clauses; subclasses name the method."""

    name: str

    @pytest.fixture
    def quick(self, request):
        """Skips a clause where it takes long, unless slow tests are asked for."""
        if self.name in SLOW_TO_TRACE and not request.config.getoption("--slow"):
            pytest.skip("slow; run with --slow")

    @pytest.fixture(scope="class")
    def config(self, tiny_data):
        values = load_config(f"{self.name}/cpu").to_dict() | SMALLER.get(self.name, {}) | RUN
        return parse_config(values | {"data": tiny_data(methods.get(self.name).kind)})

    @pytest.fixture(scope="class")
    def run(self, config, tmp_path_factory):
        out = tmp_path_factory.mktemp(self.name) / "run"

        def copying(hook, step):
            original = getattr(Recorder, hook)

            def copy(recorder, *args, **kwargs):
                original(recorder, *args, **kwargs)
                if recorder.state.step == step:
                    shutil.copytree(out, out.with_name(f"killed_{step}"), ignore=shutil.ignore_patterns("*lock*"))

            return copy

        with pytest.MonkeyPatch.context() as patch:
            for hook, step in (("on_epoch_end", 3), ("on_train_batch_end", 5)):
                patch.setattr(Recorder, hook, copying(hook, step))
            fit(config, out)
        return out

    @pytest.fixture(scope="class")
    def batch(self, config):
        return next(iter(config.method.dataset(config.settings.data, batch_size=4)))

    @pytest.fixture(scope="class")
    def model(self, config):
        """Untrained, and to be left as it is."""
        return config.method.model()

    # For every method

    def test_is_described(self, config):
        method = type(config.method)
        assert method.paper.year > 1980 and method.paper.title and method.paper.authors and method.inputs
        for field in method.model_fields:
            assert f"{field}:" in method.__doc__, f"{field} is not in the docstring"
        assert method() is not None, "defaults are a valid configuration"
        assert method(**config.method.model_dump()) == config.method

    def test_is_frozen_and_strict(self, config):
        field = next(iter(type(config.method).model_fields))
        with pytest.raises(Exception, match="frozen"):
            setattr(config.method, field, "other")
        with pytest.raises(ConfigError, match="unknown key"):
            type(config.method)(no_such_field=1)

    def test_dataset_is_reproducible(self, config):
        def first(**options):
            data = config.method.dataset(config.settings.data, batch_size=2, **options)
            return [np.asarray(x) for x in tf.nest.flatten(next(iter(data)))]

        for ours, again in zip(first(seed=3, start=0), first(seed=3, start=0), strict=True):
            np.testing.assert_array_equal(ours, again)
        assert any((a != b).any() for a, b in zip(first(seed=3, start=0), first(seed=4, start=0), strict=True))

    def test_a_later_start_gives_the_later_batches(self, config):
        def taken(start, count):
            data = config.method.dataset(config.settings.data, batch_size=3, seed=1, start=start, count=count)
            return [np.asarray(x) for batch in data for x in tf.nest.flatten(batch)]

        whole, part = taken(0, 4), taken(3, 1)
        for ours, theirs in zip(whole[-len(part) :], part, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_images_are_augmented_by_position(self, config):
        if config.method.kind != "images":
            pytest.skip("Keras layers change images")
        layers = [{"RandomBrightness": {"factor": 0.3}}, {"RandomFlip": {"mode": "vertical"}}]

        def taken(start, count, augment=layers):
            options = {"batch_size": 3, "seed": 1, "start": start, "count": count, "augment": augment}
            data = config.method.dataset(config.settings.data, **options)
            return [np.asarray(x) for batch in data for x in tf.nest.flatten(batch)]

        whole, resumed, plain = taken(0, 3), taken(2, 1), taken(0, 3, None)
        for ours, theirs in zip(whole[-len(resumed) :], resumed, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert any((a != b).any() for a, b in zip(whole, plain, strict=True))

    def test_worker_processes_give_the_same_batches(self, config):
        with ParallelSource(config.method.open(config.settings.data), 1) as source:
            ours, theirs = (
                list(config.method.dataset(data, batch_size=4, seed=5, start=1, count=2))
                for data in (source, config.settings.data)
            )
            loaded = source.in_workers(Modules())()[1]
        assert len(ours) == 2
        for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
            np.testing.assert_array_equal(one, other)
        assert not {"tensorflow", "keras"} & set(loaded), "sources and samplers import neither"

    def test_baseline_is_a_loss_level(self, config):
        assert np.isfinite(config.method.baseline) and config.method.baseline > 0

    def test_trains_a_few_steps(self, run):
        with open(run / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2 and all(np.isfinite(float(r["loss"])) for r in rows)
        assert all(p.stat().st_size > 1000 for p in (run / "samples").iterdir()), "pictures of what it does"
        assert len(list((run / "samples").iterdir())) == 2

    @pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 5])
    def test_resumes_bit_for_bit(self, config, quick, run, tmp_path, step):
        """Killed at the end of the first epoch, where a phase may end, or in the middle of the second."""
        shutil.copytree(run.with_name(f"killed_{step}"), tmp_path / "run")
        assert not (tmp_path / "run" / "model.keras").exists()
        fit(config, tmp_path / "run")
        ours, theirs = (keras.saving.load_model(f / "model.keras", compile=False) for f in (tmp_path / "run", run))
        for our, their in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(our, their, err_msg=our.path)

    def test_evaluates_itself(self, run, config, tmp_path):
        method, model = load_run(run)
        options = inspect.signature(method.evaluate).parameters
        assert {"out", "limit", "progress"} <= options.keys(), "where the command line finds them"
        assert not any(option.kind == option.VAR_KEYWORD for option in options.values())
        metrics = method.evaluate(model, config.settings.data, limit=4, out=tmp_path / "results")
        assert 0 < float(metrics["images"]) <= 4
        assert (tmp_path / "results" / "metrics.json").is_file()

    def test_export_passes_its_check(self, quick, run, tmp_path):
        from tfssl.export import export_run
        from tfssl.export.check import main as check

        export_run(run, tmp_path / "export")
        assert check([str(tmp_path / "export")]) == 0

    # For methods that are trained by gradients

    def test_model_is_compiled_and_functional(self, model):
        assert model.compiled
        for network in model.networks.values() if isinstance(model, AdversarialModel) else [model]:
            assert type(network).__name__ == "Functional"
        assert not any(isinstance(layer, keras.layers.Lambda) for layer in model._flatten_layers())

    def test_a_user_script_lowers_the_loss_of_one_batch(self, config, quick, batch):
        """`model.fit(data)`, as in the README."""
        keras.utils.set_random_seed(0)
        model = config.method.model(keras.optimizers.Adam(1e-3))
        losses = []
        watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
        same = tf.data.Dataset.from_tensors(batch).repeat(12)
        model.fit(same, steps_per_epoch=3, epochs=4, callbacks=[watch], verbose=0)
        assert len(losses) == 4 and np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_saving_keeps_the_function(self, model, batch, tmp_path):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode: no code from the file
        ours, theirs = (tf.nest.flatten(network(batch[0], training=False)) for network in (model, loaded))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)

    @pytest.mark.slow
    def test_two_replicas_give_the_weights_of_one(self, config):
        """Plain SGD, because Adam turns rounding differences of tiny gradients into whole steps.

        One step of adversarial models, because each network answers what the other's rounding differences make of it.
        """
        if self.name in ACROSS_EXAMPLES:
            pytest.skip("each replica compares the examples of its own part of a batch")
        steps = 1 if isinstance(config.method.model(), AdversarialModel) else 3
        batches = list(config.method.dataset(config.settings.data, batch_size=4, start=0, count=steps))
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

    # For encoders

    def test_encoder(self, config, model):
        encoder = config.method.encoder(model)
        assert encoder.modality == MODALITIES.get(self.name, "image")
        shape = [2, *(size or 96 for size in encoder.inputs[0].shape[1:])]
        taps = encoder(np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32))
        assert list(taps) == list(encoder.taps) and len(taps) > 1
        for name, value in taps.items():
            assert len(value.shape) == encoder.taps[name] and value.shape[0] == 2, name
            assert np.isfinite(np.asarray(value)).all()


class Modules:
    """For a worker: the names of what it has imported."""

    def __call__(self):
        import sys

        return [], sorted(sys.modules)

    def __reduce__(self):
        return eval, ("lambda: ([], sorted(__import__('sys').modules))",)


for _name in methods.names():
    _class = "Test" + "".join(part.capitalize() for part in _name.split("_"))
    globals()[_class] = type(_class, (Contract,), {"name": _name})
