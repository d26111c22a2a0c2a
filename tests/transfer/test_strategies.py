import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfssl.errors import ConfigError, TrainingError
from tfssl.transfer import STRATEGIES, transfer, trunk
from tfssl.transfer.training import Pretext, train_head

PICTURES = np.random.default_rng(0).random((8, 12, 12, 3), np.float32)
LABELS = np.arange(8) % 3


def small_encoder(seed=0):
    """Two convolutions in a nested model, with normalization and dropout, as encoders of runs have them."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((None, None, 3))
    conv1 = layers.ReLU()(layers.BatchNormalization(name="bn1")(layers.Conv2D(4, 3, name="a")(pixels)))
    conv2 = layers.Conv2D(5, 3, activation="relu", name="b")(layers.Dropout(0.5)(conv1))
    inner = keras.Model(pixels, {"conv1": conv1, "conv2": conv2}, name="inner")
    rgb = keras.Input((None, None, 3))
    return keras.Model(rgb, inner(layers.Rescaling(2.0, offset=-1.0)(rgb)), name="encoder")


def head(maps):
    return layers.Dense(3, name="classes")(layers.GlobalAveragePooling2D()(maps["conv2"]))


def batches(size=4):
    return tf.data.Dataset.from_tensor_slices((PICTURES, LABELS)).batch(size).repeat()


def cross_entropy(targets, logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))


def weights(model):
    return [np.array(w) for w in model.get_weights()]


def same(one, other):
    return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize("strategy", STRATEGIES[:3])
def test_the_given_encoder_stays_as_it_is(strategy):
    encoder = small_encoder()
    before = weights(encoder)
    train_head(transfer(encoder, head, strategy), batches(), cross_entropy, steps=3, learning_rate=0.1)
    assert all(same(before, weights(encoder))) and all(v.trainable for v in encoder.layers[-1].trainable_variables)
    assert encoder.trainable_variables


def test_fine_tuning_starts_from_the_weights_and_changes_all_of_them():
    encoder = small_encoder()
    model = transfer(encoder, head, "fine_tune")
    start = trunk(encoder)(PICTURES)["conv2"]
    np.testing.assert_array_equal(start, encoder(PICTURES)["conv2"])
    before = weights(model)
    train_head(model, batches(), cross_entropy, steps=3, learning_rate=0.1)
    assert not any(same(before, weights(model)))


def test_a_frozen_trunk_keeps_weights_and_statistics_bit_for_bit():
    encoder = small_encoder()
    model = transfer(encoder, head, "freeze")
    frozen = model.get_layer("trunk")
    before, head_before = weights(frozen), weights(model.get_layer("classes"))
    train_head(model, batches(), cross_entropy, steps=3, learning_rate=0.1)
    assert all(same(before, weights(frozen))) and not any(same(head_before, weights(model.get_layer("classes"))))


def test_dropout_of_a_frozen_trunk_is_off_in_training():
    frozen = trunk(small_encoder(), "freeze")
    np.testing.assert_array_equal(frozen(PICTURES, training=True)["conv2"], frozen(PICTURES, training=False)["conv2"])


def test_augmenting_adds_the_frozen_maps_to_those_of_a_new_network():
    encoder = small_encoder()
    both = trunk(encoder, "augment", seed=3)
    maps = both(PICTURES)
    assert maps["conv1"].shape[-1] == 8 and maps["conv2"].shape[-1] == 10
    np.testing.assert_array_equal(maps["conv2"][..., 5:], encoder(PICTURES)["conv2"])
    assert np.abs(maps["conv2"][..., :5] - encoder(PICTURES)["conv2"]).max() > 1e-3
    model = transfer(encoder, head, "augment")
    frozen, own = (weights(model.get_layer("augmented").get_layer(name)) for name in ("trunk", "own"))
    train_head(model, batches(), cross_entropy, steps=3, learning_rate=0.1)
    after = [weights(model.get_layer("augmented").get_layer(name)) for name in ("trunk", "own")]
    assert all(same(frozen, after[0])) and not any(same(own, after[1]))


def pretext_of(encoder):
    """A model of another task with the encoder's variables: predict the mean color."""
    mean = layers.Dense(3, name="mean")(layers.GlobalAveragePooling2D()(encoder.output["conv2"]))
    model = keras.Model(encoder.input, mean)
    model.compile("sgd", "mse")
    targets = PICTURES.mean(axis=(1, 2))
    return Pretext(model, tf.data.Dataset.from_tensor_slices((PICTURES, targets)).batch(4).repeat())


def trained_jointly(weight):
    encoder = small_encoder()
    pretext = pretext_of(encoder) if weight is not None else None
    keras.utils.set_random_seed(5)
    model = transfer(encoder, head, "joint")
    keras.utils.set_random_seed(6)
    options = {} if weight is None else {"pretext": pretext, "weight": weight}
    train_head(model, batches(), cross_entropy, steps=3, learning_rate=0.1, **options)
    return model, pretext


def test_joint_training_without_weight_is_plain_training():
    (plain, _), (joint, _), (other, _) = (trained_jointly(weight) for weight in (None, 0.0, 1.0))
    assert all(same(weights(plain), weights(joint)))
    assert not all(same(weights(plain), weights(other)))


def test_joint_training_lowers_the_pretext_loss_with_one_trunk():
    encoder = small_encoder()
    pretext = pretext_of(encoder)
    before = pretext.model.evaluate(*next(iter(pretext.batches)), verbose=0)
    model = transfer(encoder, head, "joint")
    train_head(model, batches(), cross_entropy, steps=30, learning_rate=0.1, pretext=pretext, weight=5.0)
    assert pretext.model.evaluate(*next(iter(pretext.batches)), verbose=0) < before
    np.testing.assert_array_equal(
        model.get_layer("shared")(PICTURES)["conv2"], encoder(PICTURES)["conv2"]
    )  # the same variables


def test_training_from_a_tap_leaves_the_layers_before_it():
    model = transfer(small_encoder(), head, "fine_tune", train_from="conv2")
    assert [v.path.split("/")[-2] for v in model.get_layer("trunk").trainable_variables] == ["b", "b"]
    assert len(transfer(small_encoder(), head, train_from="conv1").trainable_variables) == 8


def test_taps_above_those_used_need_no_gradient():
    one = lambda maps: layers.Dense(3)(layers.GlobalAveragePooling2D()(maps["conv1"]))  # noqa: E731
    model = transfer(small_encoder(), one, taps=["conv1"])
    assert train_head(model, batches(), cross_entropy, steps=2)[-1] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "thaw"}, "must be one of fine_tune, freeze"),
        ({"taps": ["conv9"]}, "no 'conv9'"),
        ({"train_from": "fc6"}, "no 'fc6'"),
        ({"strategy": "freeze", "train_from": "conv2"}, "belongs to"),
    ],
)
def test_wrong_use_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        trunk(small_encoder(), **options)


def test_nothing_to_train_and_a_diverging_loss_are_named():
    frozen = trunk(small_encoder(), "freeze")
    with pytest.raises(ConfigError, match="nothing to train"):
        train_head(frozen, batches(), lambda y, maps: tf.reduce_mean(maps["conv1"]), steps=1)
    model = transfer(small_encoder(), head)
    with pytest.raises(TrainingError, match="lower `learning_rate`"):
        train_head(model, batches(), lambda y, x: cross_entropy(y, x) * np.nan, steps=10)


def test_decay_follows_clipping_and_biases_have_their_own_rate():
    keras.utils.set_random_seed(0)
    x = keras.Input((2,))
    model = keras.Model(x, layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")(x))
    data = tf.data.Dataset.from_tensors((np.array([[30.0, 40.0]], np.float32), np.zeros(1))).repeat()
    options = {"learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.5, "drops": (), "clip_norm": 1.0}
    options["bias_learning_rate_scale"] = 2.0
    train_head(model, data, lambda y, x: tf.reduce_sum(x), steps=1, **options)
    kernel, bias = model.get_weights()
    norm = np.sqrt(30.0**2 + 40.0**2 + 1.0)
    np.testing.assert_allclose(kernel[:, 0], 1.0 - 0.1 * (np.array([30.0, 40.0]) / norm + 0.5), rtol=1e-6)
    np.testing.assert_allclose(bias, 1.0 - 0.1 * 2.0 / norm, rtol=1e-6)


def test_a_transferred_network_can_be_saved(tmp_path):
    model = transfer(small_encoder(), head, "augment")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(PICTURES), model(PICTURES), rtol=1e-6)
