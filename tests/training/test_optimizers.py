"""Optimizers as configurations name them: the solvers of the papers, and schedules."""

import json

import keras
import numpy as np
import pytest

from tfssl import methods, optimizers
from tfssl.config import load_config, parse_config
from tfssl.errors import ConfigError
from tfssl.methods.adversarial import _scaled_copy
from tfssl.methods.colorization import Colorization
from tfssl.methods.hypercolumn_colorization import released_optimizer
from tfssl.methods.jigsaw import paper_optimizer
from tfssl.methods.split_brain import borrowed_optimizer
from tfssl.methods.video_lstm import released_optimizer as lstm_optimizer
from tfssl.resources import configs
from tfssl.training.optimizers import WarmupLinear, build_optimizer

CAFFE = {"weight_decay_form": "coupled", "bias_learning_rate_scale": 2.0}
STEPS = {0: 0.1, 4: 0.01, 8: 0.001}


def settings(**values):
    return parse_config({"method": "jigsaw", "data": "builtin", **values}).settings


def test_momentum_reaches_sgd():
    optimizer = build_optimizer(settings(optimizer="sgd", learning_rate=0.1, momentum=0.9), 10)
    assert optimizer.momentum == 0.9


def test_an_optimizer_without_momentum_says_so():
    with pytest.raises(ConfigError, match="momentum"):
        build_optimizer(settings(optimizer="adamw", learning_rate=0.1, momentum=0.9), 10)


def variables():
    rng = np.random.default_rng(0)
    made = [keras.Variable(rng.normal(size=(3, 2)).astype("float32"), name=name) for name in ("kernel", "bias", "beta")]
    gradients = rng.normal(size=(10, 3, 3, 2)).astype("float32")
    return made, gradients


def rate_at(step):
    return next(rate for first, rate in sorted(STEPS.items(), reverse=True) if step >= first)


@pytest.mark.parametrize("resumed_at", [None, 5])
@pytest.mark.parametrize("decays", [False, True])
def test_ten_steps_of_caffes_sgd(resumed_at, decays):
    """V = mu V + lr * m_lr * (g + m_decay * wd * w); w -= V: SGDSolver::Regularize and ComputeUpdateValue."""
    made, gradients = variables()
    expected = [v.numpy().astype("float64") for v in made]
    history = [np.zeros((3, 2)) for _ in made]
    chosen = settings(
        optimizer="sgd", momentum=0.9, learning_rate=STEPS, weight_decay=0.5, bias_weight_decay=decays, **CAFFE
    )
    optimizer = build_optimizer(chosen, 10)
    optimizer.build(made)
    for step in range(10):
        if step == resumed_at:  # by the optimizer's variables alone, as a checkpoint does it
            state = [v.numpy() for v in optimizer.variables]
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
            optimizer = keras.saving.deserialize_keras_object(config)
            optimizer.build(made)
            for variable, value in zip(optimizer.variables, state, strict=True):
                variable.assign(value)
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients[step]], made)
        for i, (scale, decay) in enumerate([(1.0, 0.5), (2.0, 0.5 * decays), (1.0, 0.0)]):
            regularized = gradients[step, i] + decay * expected[i]
            history[i] = 0.9 * history[i] + rate_at(step) * scale * regularized
            expected[i] = expected[i] - history[i]
    for variable, value in zip(made, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)


def test_ten_steps_of_caffes_adam():
    """w -= lr m_lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + delta), with the decay inside the gradient."""
    made, gradients = variables()
    expected = [v.numpy().astype("float64") for v in made]
    m, v = ([np.zeros((3, 2)) for _ in made] for _ in range(2))
    options = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8, "weight_decay": 0.5, **CAFFE}
    optimizer = build_optimizer(settings(optimizer="adam", learning_rate=0.01, **options), 10)
    for step in range(10):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients[step]], made)
        for i, (scale, decay) in enumerate([(1.0, 0.5), (2.0, 0.0), (1.0, 0.0)]):
            gradient = gradients[step, i] + decay * expected[i]
            m[i], v[i] = 0.9 * m[i] + 0.1 * gradient, 0.99 * v[i] + 0.01 * gradient**2
            correction = np.sqrt(1 - 0.99 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            expected[i] = expected[i] - 0.01 * scale * correction * m[i] / (np.sqrt(v[i]) + 1e-8)
    for variable, value in zip(made, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form, kernel", [("decoupled", 0.9950), ("coupled", 0.9516)])
def test_decay_alone_for_a_thousand_steps(form, kernel):
    """The rate and decay of jigsaw/paper: what goes through a momentum of 0.9 is ten times as strong."""
    weight = keras.Variable(np.ones((1,), "float32"), name="kernel")
    optimizer = optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4, weight_decay_form=form)
    zero = keras.ops.zeros((1,))
    for _ in range(1000):
        optimizer.apply([zero], [weight])
    assert float(weight[0]) == pytest.approx(kernel, abs=5e-5)


@pytest.mark.parametrize(
    "name, released",
    [
        ("jigsaw/paper", paper_optimizer),
        ("split_brain/paper", borrowed_optimizer),
        ("hypercolumn_colorization/paper", released_optimizer),
        ("colorization/paper", lambda: Colorization(backbone="small").model().optimizer),
    ],
)
def test_configurations_and_methods_have_the_solvers_of_the_released_code(name, released):
    """Caffe's: coupled decay; biases learn twice as fast and do not decay, but for the network that sets neither."""
    plain = name == "colorization/paper"
    chosen = load_config(name).settings
    for optimizer in (released(), build_optimizer(chosen, 10)):
        assert optimizer.weight_decay_form == "coupled" and optimizer.weight_decay == chosen.weight_decay > 0
        assert optimizer.bias_learning_rate_scale == (1 if plain else 2) and optimizer.bias_weight_decay == plain
        names = ("kernel", "bias", "gamma", "beta")
        spared = [n for n in names if not optimizer._use_weight_decay(keras.Variable(np.zeros(1), name=n))]
        assert spared == (["gamma", "beta"] if plain else ["bias", "gamma", "beta"])
        assert getattr(optimizer, "epsilon", 1e-8) == 1e-8


def test_steps_are_clipped_and_go_on_clipped():
    """V = clip(mu V - lr g, 0.1); w += V: Srivastava et al.'s code. The paper's configuration is the method's rule."""
    optimizer = build_optimizer(settings(optimizer="sgd", learning_rate=1.0, momentum=0.5, step_clip=0.1), 10)
    weight = keras.Variable(np.zeros(2, np.float32), name="kernel")
    for gradient in ([-5.0, 0.02], [0.0, -0.2]):
        optimizer.apply([np.array(gradient, np.float32)], [weight])
    np.testing.assert_allclose(weight, [0.1 + 0.05, -0.02 + 0.1], atol=1e-7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is optimizers.SGD and again.get_config() == optimizer.get_config()
    released, ours = lstm_optimizer(), build_optimizer(load_config("video_lstm/paper").settings, 10)
    for name in ("step_clip", "momentum", "weight_decay", "weight_decay_form", "bias_weight_decay"):
        assert getattr(ours, name) == getattr(released, name), name
    for step in (0, 9_999, 10_000, 55_000, 99_999):
        theirs = float(keras.ops.convert_to_tensor(released._learning_rate(step)))
        assert float(ours._learning_rate(step)) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    "values", [{"optimizer": "adam", "step_clip": 0.1}, {"optimizer": "sgd", "step_clip": 0.1, "learning_rate": 0.1}]
)
def test_clipped_steps_need_sgd_with_momentum(values):
    with pytest.raises(ConfigError, match="step_clip"):
        build_optimizer(settings(**values), 10)


@pytest.mark.parametrize("path", sorted(configs().glob("*/paper.yaml")), ids=lambda p: p.parent.name)
def test_no_paper_configuration_leaves_decay_to_the_default_form(path):
    chosen = load_config(path).settings
    assert not chosen.weight_decay or chosen.weight_decay_form == "coupled"
    assert methods.get(path.parent.name)


@pytest.mark.parametrize("name", optimizers.BY_NAME)
def test_decay_and_bias_rate_survive_saving_with_every_optimizer(name):
    form = "decoupled" if name == "adamw" else "coupled"
    chosen = settings(optimizer=name, weight_decay=0.5, weight_decay_form=form, bias_learning_rate_scale=2.0)
    assert type(build_optimizer(settings(optimizer=name), 10)) is getattr(
        keras.optimizers, optimizers.BY_NAME[name].__name__
    )
    optimizer = build_optimizer(chosen, 10)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.get_config() == optimizer.get_config() and type(again) is type(optimizer)
    assert again.weight_decay_form == form and again.bias_learning_rate_scale == 2.0
    assert not again._use_weight_decay(keras.Variable(np.zeros(1), name="bias"))
    made, gradients = variables()
    again.apply([keras.ops.convert_to_tensor(g) for g in gradients[0]], made)
    assert all(np.isfinite(v.numpy()).all() for v in made)


def test_a_discriminators_copy_keeps_the_form():
    copy = _scaled_copy(optimizers.Adam(0.1, weight_decay=0.5, bias_weight_decay=True, **CAFFE), 0.1)
    assert copy.weight_decay_form == "coupled" and copy.bias_learning_rate_scale == 2.0
    assert copy._use_weight_decay(keras.Variable(np.zeros(1), name="bias"))
    assert float(copy.learning_rate) == pytest.approx(0.01)


def test_what_does_not_go_together_is_named():
    with pytest.raises(ConfigError, match="take Adam"):
        build_optimizer(settings(optimizer="adamw", weight_decay=0.1, weight_decay_form="coupled"), 10)
    with pytest.raises(ConfigError, match="weight_decay_form"):
        settings(weight_decay_form="caffe")
    with pytest.raises(ConfigError, match="weight_decay"):
        settings(weight_decay_form="coupled")
    with pytest.raises(ConfigError, match="epsilon"):
        build_optimizer(settings(optimizer="sgd", epsilon=1e-5), 10)


def test_linear_schedule_by_hand():
    """tf.train.polynomial_decay(rate, step, 0.9 * steps, end_learning_rate=0.01 * rate)."""
    linear = WarmupLinear(2.0, total_steps=100)
    assert [round(float(linear(s)), 6) for s in (0, 45, 90, 99)] == [2.0, 1.01, 0.02, 0.02]
    assert float(WarmupLinear(2.0, 100, warmup_steps=10)(4)) == pytest.approx(1.0)
    built = build_optimizer(settings(schedule="linear", learning_rate=2.0, epsilon=1e-5), 100)
    assert built.epsilon == 1e-5 and float(built._learning_rate(90)) == pytest.approx(0.02)
    with pytest.raises(ConfigError, match="schedule: linear"):
        build_optimizer(settings(schedule="linear", learning_rate=STEPS), 100)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_layers_learn_at_their_own_rate(name):
    """Adam's first step is the rate itself, SGD's the rate times the gradient; of two patterns the first counts."""
    layers = [keras.layers.Dense(1, kernel_initializer="zeros", name=n) for n in ("block1_a", "block2_a", "scores")]
    for layer in layers:
        layer.build((None, 1))
    kernels = [layer.kernel for layer in layers]
    scales = {"block2*": 0.25, "block*": 0.5}
    optimizer = build_optimizer(settings(optimizer=name, learning_rate=0.1, learning_rate_scales=scales), 10)
    optimizer.apply([keras.ops.ones((1, 1))] * 3, kernels)
    moved = [-float(np.squeeze(kernel)) for kernel in kernels]
    np.testing.assert_allclose(moved, [0.05, 0.025, 0.1], rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.learning_rate_scales == scales
    with pytest.raises(ConfigError, match="no layer's name matches the pattern 'trunk'"):
        build_optimizer(settings(optimizer=name, learning_rate_scales={"trunk": 0.1}), 10).build(kernels)
