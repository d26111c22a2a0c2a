"""From a pretrained stack to a classifier: a softmax on the last code, everything trained with labels."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.data import labeled
from tfssl.data.crop import Crop
from tfssl.errors import ConfigError
from tfssl.methods.denoising_autoencoder.data import prepare
from tfssl.methods.denoising_autoencoder.network import depth, stack_of


def classifier(method, model, classes, optimizer=None):
    """A classifier that starts from the weights of a stack; the stack itself stays as it is.

    The encoding layers become ordinary dense ones, the ways back are dropped, a softmax layer that starts at zero is
    put on top: 784-1000-1000-1000-10 has 2,797,010 parameters. A stack with fresh weights gives the same form without
    pretraining, to compare with. ``model`` is that of the last phase; ``optimizer`` None is the tutorial's, SGD at 0.1.

    Returns:
        A compiled ``keras.Model``: prepared images (B, H, W, C) -> logits (B, classes).

    Raises:
        ConfigError: for a backbone other than ``"dense"``, whose maps a linear probe judges.
    """
    if method.backbone != "dense":
        raise ConfigError(f"a classifier is built from `backbone` dense. Received: backbone={method.backbone!r}")
    stack = stack_of(model)
    images = layers.Input(method.image_shape, name="pictures")
    x = layers.Flatten(name="flatten")(images)
    for number, units in enumerate(method.units, start=1):
        dense = layers.Dense(units, name=f"dense{number}")
        x = layers.Activation(method.activation, name=f"code{number}")(dense(x))
        if number <= depth(stack):
            pretrained = stack.get_layer(f"layer{number}")
            dense.set_weights([np.asarray(pretrained.kernel), np.asarray(pretrained.bias)])
    x = layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name="scores")(x)
    network = keras.Model(images, x, name="classifier")
    network.compile(
        optimizer if optimizer is not None else keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return network


def labeled_batches(method, folder, *, batch_size=20, classes=None, shuffle=None):
    """Batches of (prepared images, class numbers) of the center crops of ``root/<class>/`` folders, never corrupted.

    ``classes`` are the names of the training set's, for another one; ``shuffle`` is the seed of an order that is new in
    each epoch, None keeps the folder's. ``tf.data.Dataset`` of float32 (B, H, W, C) and int32 (B,).
    """
    source = labeled.labeled_images(folder, classes=classes)
    images = labeled.labeled_batches(source, Crop(method.cut_size, resize=method.resize), batch_size=batch_size)
    if shuffle is not None:
        images = images.unbatch().shuffle(10_000, seed=shuffle).batch(batch_size)

    def prepared(pixels):
        return prepare(pixels.astype(np.float32) / 255.0, color=method.color, preprocess=method.preprocess)

    def example(pixels, labels):
        pixels = tf.numpy_function(prepared, [pixels], tf.float32, stateful=False)
        return tf.ensure_shape(pixels, (None, *method.image_shape)), labels

    return images.map(example, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


class Patience(keras.callbacks.Callback):
    """The tutorial's early stopping: patience counted in minibatches, prolonged by every real improvement.

    Validates every ``min(steps, patience / 2)`` minibatches, ``steps`` being an epoch; patience None is 10 epochs.
    Where the error on ``validation``, batches of (inputs, labels), falls below ``threshold`` times the best one,
    patience becomes at least ``increase`` times the minibatches so far. Training stops when the minibatches reach the
    patience; the weights of the best validation come back at the end.

    Attributes:
        best: lowest validation error, a fraction; infinity before the first validation.
        stopped: minibatches that were trained, None if training ended by itself.
    """

    def __init__(self, validation, steps, *, patience=None, increase=2.0, threshold=0.995):
        super().__init__()
        if steps < 1:
            raise ConfigError(f"`steps` must be at least 1. Received: steps={steps}")
        self.validation = validation
        self.patience = 10 * steps if patience is None else patience
        self.increase, self.threshold = increase, threshold
        self.frequency = max(1, min(steps, int(self.patience // 2)))
        self.best, self.stopped = float("inf"), None
        self._seen, self._weights = 0, None

    def error(self):
        wrong = [np.asarray(self.model(x, training=False)).argmax(axis=1) != np.asarray(y) for x, y in self.validation]
        return float(np.mean(np.concatenate(wrong)))

    def on_train_batch_end(self, batch, logs=None):
        self._seen += 1
        if self._seen % self.frequency == 0:
            error = self.error()
            if error < self.best:
                if error < self.best * self.threshold:
                    self.patience = max(self.patience, self._seen * self.increase)
                self.best, self._weights = error, self.model.get_weights()
        if self._seen >= self.patience:
            self.stopped = self._seen
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["validation_error"] = self.best

    def on_train_end(self, logs=None):
        if self._weights is not None:
            self.model.set_weights(self._weights)


def finetune(method, model, train, validation, *, epochs=1000, batch_size=20, optimizer=None, seed=0, verbose=0):
    """Train a classifier on labeled folders from the weights of a stack, with the tutorial's early stopping.

    Args:
        method, model, optimizer: as :func:`classifier`.
        train: folder of the training classes, ``root/<class>/``.
        validation: folder of the same classes, by which training is stopped. It is not a test set.
        epochs: at most (tutorial: 1000, stopped after 36).
        batch_size: images in a minibatch (tutorial: 1).
        seed: of the order.
        verbose: as ``model.fit``.

    Returns:
        ``(classifier, history)``: the network of the best validation, and what ``model.fit`` returned, with
        ``validation_error``, the lowest so far.
    """
    classes = labeled.labeled_images(train).classes
    network = classifier(method, model, len(classes), optimizer)
    batches = labeled_batches(method, train, batch_size=batch_size, shuffle=seed)
    held_out = labeled_batches(method, validation, batch_size=256, classes=classes)
    steps = sum(1 for _ in batches)  # unreadable files are left out, so only a pass can tell
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    history = network.fit(batches, epochs=epochs, callbacks=[Patience(held_out, steps)], verbose=verbose)
    return network, history
