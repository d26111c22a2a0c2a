"""Dense and convolutional denoising autoencoders, the training of a stack's upper layers, and the encoders."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import trunk
from tfssl.backbones.blocks import conv_relu, max_pool
from tfssl.backbones.decoding import deepest, double
from tfssl.backbones.encoder import Encoder
from tfssl.layers.color import Whitening
from tfssl.layers.dense import TiedDense
from tfssl.layers.normalization import Standardize, batch_norm
from tfssl.methods.opened import is_open
from tfssl.ops.whitening import FLAT

_CONV = {"widths": (32, 64, 128, 256), "strides": (1, 2, 2, 2), "pools": (), "up": (128, 64, 32)}
_SMALL = {"widths": (32, 64, 96, 96, 96), "strides": (1,) * 5, "pools": (1, 2, 3), "up": (64, 32, 16)}
_TRUNKS = {"conv": _CONV, "small": _SMALL}


def build_dense(size, channels, units, *, tied=True, activation="sigmoid", output="sigmoid"):
    """A stack of dense autoencoders, ``x -> code1 -> ... -> codeK -> ... -> x``.

    One :class:`~tfssl.layers.dense.TiedDense` a layer serves both ways: 784 -> 500 tied has 393,284 parameters.
    ``units`` are those of each code, from below.

    Returns:
        ``keras.Model``: images (B, size, size, channels) -> reconstructions of the same shape, float32.
    """
    images = layers.Input((size, size, channels), name="pictures")
    x = layers.Flatten(name="flatten")(images)
    # The tutorial's wide initial values put sigmoids into their curved range; other units want them near zero.
    initializer = None if activation == "sigmoid" else initializers.RandomNormal(stddev=0.02)
    stack = []
    for number, count in enumerate(units, start=1):
        stack.append(TiedDense(count, tied, initializer, name=f"layer{number}"))
        x = layers.Activation(activation, name=f"code{number}")(stack[-1](x))
    reconstructed = "sigmoid" if activation == "sigmoid" else "linear"  # where the codes are bounded, so are these
    for number, layer in reversed(list(enumerate(stack, start=1))):
        x = layer(x, transposed=True)
        if number > 1:
            x = layers.Activation(reconstructed, name=f"decoded{number - 1}")(x)
    x = layers.Reshape((size, size, channels), name="reshape")(x)
    x = layers.Activation(output, dtype="float32", name="reconstruction")(x)
    return keras.Model(images, x, name="dense_autoencoder")


def build_convolutional(backbone, channels, *, size=None, normalization=None, output="sigmoid"):
    """A convolutional autoencoder without connections past the code, through which it could copy.

    ``"conv"``: 3x3 convolutions of 32, 64, 128, 256 channels, the last three with stride 2, then transposed 4x4 / 2
    convolutions of 128, 64, 32 and a 3x3 convolution: 1,077,635 parameters with three channels, 388,416 of them in the
    encoder. ``"small"``: five 3x3 convolutions of 32, 64, 96, 96, 96 channels with 2x2 maximum pooling behind the first
    three, then 64, 32, 16. An open backbone needs ``size`` in pixels: its deepest map is doubled until it has them.

    Returns:
        ``keras.Model``: images (B, H, W, channels), H and W multiples of 8 -> reconstructions, float32. Its layers
        conv1, conv2, ... are the taps.
    """
    if is_open(backbone):
        return _open_autoencoder(backbone, channels, size, output)
    form = _TRUNKS[backbone]
    images = x = layers.Input((None, None, channels), name="pictures")
    for number, (width, stride) in enumerate(zip(form["widths"], form["strides"], strict=True), start=1):
        x = conv_relu(
            x, width, 3, f"conv{number}", strides=stride, padding="same", normalization=normalization,
            initializer="he_normal",
        )  # fmt: skip
        if number in form["pools"]:
            x = max_pool(x, 2, f"pool{number}", padding="same")
    for number, width in enumerate(form["up"], start=1):
        x = layers.Conv2DTranspose(
            width, 4, 2, "same", use_bias=normalization is None, kernel_initializer="he_normal", name=f"up{number}_conv"
        )(x)
        if normalization is not None:
            x = batch_norm(name=f"up{number}_bn")(x)
        x = layers.ReLU(name=f"up{number}")(x)
    return keras.Model(images, _reconstruction(x, channels, output), name=f"{backbone}_autoencoder")


def _open_autoencoder(backbone, channels, size, output):
    stem = layers.Rescaling(4.0, offset=-2.0, name="standardize")  # images in [0, 1] have a deviation of about 1/4
    code, doublings = deepest(trunk(backbone, channels, size=size, stem=stem), size)
    images = layers.Input((size, size, channels), name="pictures")
    x = double(code(images), doublings, _SMALL["up"])
    return keras.Model(images, _reconstruction(x, channels, output), name="open_autoencoder")


def _reconstruction(x, channels, output):
    x = layers.Conv2D(channels, 3, padding="same", name="out_conv")(x)
    return layers.Activation(output, dtype="float32", name="reconstruction")(x)


@keras.saving.register_keras_serializable(package="tfssl")
class UpperLayer(keras.Model):
    """Trains the last layer of a stack on the clean codes of the layers below, which stay as they are.

    As a function it is the whole stack, images to reconstructed images. In training the targets of a batch, clean
    images, are encoded by the layers below; that code is corrupted anew, and the last layer has to bring it back.
    In validation the code is not corrupted.

    Args:
        network: a stack of :func:`build_dense` with at least two layers.
        corruption: a :class:`~tfssl.layers.corruption.Corrupt`.
        alpha: weight of the corrupted components of the code.
        beta: weight of the others.
    """

    def __init__(self, network, corruption, alpha=1.0, beta=1.0, **kwargs):
        super().__init__(**kwargs)
        self.network, self.corruption = network, corruption
        self.alpha, self.beta = alpha, beta
        self.depth = depth(network)
        for number in range(1, self.depth):
            network.get_layer(f"layer{number}").trainable = False
        self.built = True  # the network is

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        code = self.clean_code(y)
        damaged, mask = self.corruption(code, training=training)
        weights = None if self.alpha == self.beta == 1 else self.beta + (self.alpha - self.beta) * mask
        return super().compute_loss(x, code, self.restore(damaged), weights, training)

    def clean_code(self, images):
        """What the last layer learns to bring back: images -> (B, units of the layer below)."""
        x = self.network.get_layer("flatten")(images)
        for number in range(1, self.depth):
            x = self.network.get_layer(f"code{number}")(self.network.get_layer(f"layer{number}")(x))
        return x

    def restore(self, code):
        layer, activation = self.network.get_layer(f"layer{self.depth}"), self.network.get_layer(f"code{self.depth}")
        return self.network.get_layer(f"decoded{self.depth - 1}")(layer(activation(layer(code)), transposed=True))

    def get_config(self):
        names = ("network", "corruption", "alpha", "beta", "name")
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects=custom_objects))


def stack_of(model):
    """The functional network in a model of any phase."""
    return model.network if isinstance(model, UpperLayer) else model


def depth(network):
    """Layers of a dense stack."""
    return sum(isinstance(layer, TiedDense) for layer in network.layers)


def copy_layers(source, target):
    """Copy the layers of a stack to the lowest ones of another, ways back included."""
    for number in range(1, depth(source) + 1):
        target.get_layer(f"layer{number}").set_weights(source.get_layer(f"layer{number}").get_weights())


def dense_encoder(model, *, size, color, preprocess):
    """Codes of the patches of an image, as maps: the stack applied as a convolution with stride ``size // 4``.

    Each patch is prepared by itself, as in training.

    Returns:
        ``Encoder``: RGB in [0, 1], (B, H, W, 3) -> ``{"conv1": (B, h, w, units of layer 1), ...}``.
    """
    network = stack_of(model)
    rgb = x = layers.Input((None, None, 3), name="rgb")
    x = x if color else ops.image.rgb_to_grayscale(x)
    x = Whitening(name="whitening")(x) if preprocess == "whiten" else x
    x = ops.image.extract_patches(x, size, strides=max(1, size // 4))  # (B, h, w, size * size * C)
    x = x if preprocess == "none" else Standardize(3, FLAT[preprocess], name="standardize")(x)
    taps = {}
    for number in range(1, depth(network) + 1):
        x = network.get_layer(f"code{number}")(network.get_layer(f"layer{number}")(x))
        taps[f"conv{number}"] = x
    return Encoder(rgb, taps, name="encoder")


def convolutional_encoder(model, *, color):
    """Maps of the trunk: RGB in [0, 1], (B, H, W, 3) -> ``{"conv1": ..., "conv4" or "conv5": ...}``."""
    maps = next((layer for layer in model.layers if layer.name == "trunk"), None)  # of an open backbone
    if maps is None:
        names = [layer.name for layer in model.layers if layer.name.startswith("conv") and "_" not in layer.name]
        maps = keras.Model(model.input, {name: model.get_layer(name).output for name in names}, name="trunk")
    rgb = layers.Input((None, None, 3), name="rgb")
    taps = maps(rgb if color else ops.image.rgb_to_grayscale(rgb))
    return Encoder(rgb, {name: taps[name] for name in maps.output}, name="encoder")
