"""The baseline that pretext tasks are meant to save: the same network trained from nothing with the labels."""

import numpy as np

SIZE = 96
"""Pixels of the pictures, as the probes see them."""


def train_with_labels(method, root, *, seed, epochs, batch_size=64, learning_rate=1e-3, weight_decay=0.05):
    """Train a method's encoder and a linear layer end to end on a labeled set, and test it.

    The layer reads the last tap, averaged over the picture. Pictures are mirrored and cut at random (at least half
    of the area); AdamW, cosine schedule. The weights after the last epoch count: nothing is chosen on the test set.

    Args:
        method: a :class:`tfssl.methods.base.Method`; its encoder is built with new weights.
        root: folder with ``train/<class>/`` and ``test/<class>/``.
        seed: of weights, order and augmentation.
        epochs: passes over the training set.
        batch_size, learning_rate, weight_decay: of the training.

    Returns:
        ``(encoder, accuracy)``: the trained encoder, and what the whole reaches on the test set, in [0, 1].
    """
    import keras
    import tensorflow as tf

    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks.classification import crop_and_mirror

    sets = labeled_sets(root / "train", root / "test", image_size=SIZE)
    train, test = (
        [np.concatenate(part) for part in zip(*batches.as_numpy_iterator(), strict=True)] for batches in sets.batches
    )
    keras.utils.set_random_seed(seed)
    encoder = method.encoder(method.model())
    encoder.trainable = True
    rgb = keras.Input((SIZE, SIZE, 3), name="rgb")
    last = list(encoder(rgb).values())[-1]
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(last))
    model = keras.Model(rgb, keras.layers.Dense(len(sets.sources[0].classes))(x))
    steps = epochs * (len(train[0]) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - 100, warmup_target=learning_rate, warmup_steps=100)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )

    def augment(number, images, labels):
        key = tf.stack([tf.cast(seed, tf.int64), number])
        return crop_and_mirror(tf.cast(images, tf.float32) / 255.0, key, area=(0.5, 1.0)), labels

    batches = tf.data.Dataset.from_tensor_slices(tuple(train)).shuffle(len(train[0]), seed=seed).repeat(epochs)
    batches = batches.batch(batch_size, drop_remainder=True).enumerate()
    batches = batches.map(lambda number, pair: augment(number, *pair), num_parallel_calls=2).take(steps).prefetch(2)
    model.fit(batches, verbose=0)
    accuracy = model.evaluate(test[0].astype(np.float32) / 255.0, test[1], batch_size=100, verbose=0)[1]
    return encoder, float(accuracy)
