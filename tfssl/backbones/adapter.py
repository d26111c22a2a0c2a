"""Networks of others as trunks: a Keras model, or the name of one, becomes maps at known strides.

A trunk is a ``keras.Model``, float maps (B, H, W, C) of any size -> ``{tap: (B, h, w, c)}`` from fine to coarse. Taps
without names of their own are called as in keras-hub: ``P2`` has a stride of 4 pixels, ``P5`` of 32. Its input is
standardized, for RGB ``(level - MEAN_COLOR) / DEVIATION``: networks with weights, and those that scale their input
themselves, get what they expect of it; a model object gets it as it is.
"""

import importlib
import inspect
import math
import re
import sys

import keras
import numpy as np
from keras import layers, ops

from tfssl.backbones.blocks import nearest
from tfssl.errors import ConfigError

MEAN_COLOR, DEVIATION = (123.0, 117.0, 104.0), 58.0
"""RGB levels of 0 ... 255 that standardized pixels are relative to: about those of ImageNet."""

_SIZES = 256, 512  # inputs whose maps tell strides, whatever the padding
_NO_FEATURES = (layers.ZeroPadding2D, layers.Cropping2D, layers.Rescaling, layers.Normalization)


def trunk(backbone, channels=3, *, size=None, name="trunk", stem=None, rgb=True):
    """Open a network as a trunk with new variables.

    Args:
        backbone: ``"applications:NAME"`` (of ``keras.applications``), ``"keras_hub:NAME"`` (a class of
            ``keras_hub.models`` or a preset), ``{"applications": NAME, option: value}`` with options of the network,
            such as ``alpha``, and ``weights``: None, ``"imagenet"`` or a file (keras-hub: True for the preset's); a
            ``keras.Model``, which is copied; or a function that gives one for ``input_shape=(None, None, channels)``.
        channels: of the input.
        size: pixels along a side of the images, for which it must have maps; None for no check.
        name: of the trunk; also put before the names of all layers, by which weights are found.
        stem: layer that turns what the method has into standardized input; None for none.
        rgb: whether three channels are RGB, for which there are weights.

    Returns:
        ``keras.Model``. The taps are the outputs of a model with a dict of maps, the levels of keras-hub's pyramids, of
        others the last map of each stride.

    Raises:
        ConfigError: if there is no such network, or it does not take such an input, or gives no maps.
    """
    try:
        model, scaling = _open(backbone, channels, rgb and channels == 3)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:  # Keras' own
        raise ConfigError(f"`backbone` {backbone} cannot be used: {' '.join(str(error).split())}") from None
    pixels = x = layers.Input((None, None, channels), name="pixels")
    for layer in ([stem] if stem is not None else []) + scaling:
        x = layer(x)
    network = keras.Model(pixels, _renamed(model, channels, f"{name}_")(x), name=name)
    if size is not None:
        _check_size(network, size)
    return network


def strides(network):
    """``{tap: pixels between two cells}`` of a model with a dict of maps; None for what is no map or has one size."""
    channels = network.inputs[0].shape[-1]
    small, large = (network.compute_output_shape((1, size, size, channels)) for size in _SIZES)
    return {tap: _stride(small[tap], large[tap]) for tap in network.output}


def _open(backbone, channels, rgb):
    """A functional model with a dict of maps, and the layers that make its input of a standardized one."""
    backbone = getattr(backbone, "given", backbone)  # of a method's field
    if isinstance(backbone, str):
        library, _, network = backbone.partition(":")
        backbone = {library: network}
    if isinstance(backbone, dict):
        if "object" in backbone:
            raise ConfigError(
                f"`backbone` {backbone['object']!r} was a Python object, which config.yaml does not hold: pass it "
                "again, as backbone=model, to train or resume; evaluation and export work without it"
            )
        options = dict(backbone)
        for library, opener in (("applications", _application), ("keras_hub", _hub)):
            if library in options:
                model, scaling = opener(options.pop(library), channels, rgb, **options)
                return _with_taps(model), scaling
        raise ConfigError(f"`backbone` must name a network of applications: or keras_hub:. Received: {backbone}")
    model = backbone if isinstance(backbone, keras.Model) else backbone(input_shape=(None, None, channels))
    if not isinstance(model, keras.Model):
        raise ConfigError(f"`backbone` must be a function that gives a keras.Model. Received: {type(model).__name__}")
    shapes = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != channels:
        raise ConfigError(
            f"`backbone` must be a functional model of maps with {channels} channel{'s' * (channels > 1)}, or a "
            f"function of input_shape that gives one. Received: {_called(model)} with inputs {shapes}"
        )
    return _with_taps(model), []


def _application(name, channels, rgb, *, weights=None, **options):
    known = {n: f for n, f in vars(keras.applications).items() if n[0].isupper() and callable(f)}
    if name not in known:
        raise ConfigError(f"`backbone`: keras.applications has no {name!r}{nearest(name, known)}")
    taken = inspect.signature(known[name]).parameters
    for option in options:
        if option not in taken:
            raise ConfigError(f"`backbone`: {name} has no option {option!r}{nearest(option, taken)}")
    _check_weights(weights, rgb)
    if weights is None and "include_preprocessing" in taken:
        options.setdefault("include_preprocessing", False)
    options = {"include_top": False, "weights": weights, "input_shape": (None, None, channels), **options}
    model = _built(name, known[name], options)
    if weights is not None:
        return model, _levels_to(sys.modules[known[name].__module__].preprocess_input)
    scales_itself = any(isinstance(layer, layers.Rescaling) for layer in model.layers)
    return model, [layers.Rescaling(255.0, name="undo_rescaling")] if scales_itself else []


def _hub(name, channels, rgb, *, weights=None, **options):
    try:
        hub = importlib.import_module("keras_hub")
    except ImportError as error:
        raise ConfigError(
            f"`backbone` keras_hub:{name} needs the package keras-hub ({error}); pip install 'tfssl[interop]'"
        ) from None
    options["image_shape"] = (None, None, channels)
    if hasattr(hub.models, name):
        if weights is not None:
            raise ConfigError(f"`backbone`: {name} is a class of keras-hub, which has no weights; name a preset")
        return _built(name, getattr(hub.models, name), options), []
    _check_weights(weights, rgb)
    load = {"load_weights": weights is not None}
    model = _built(name, lambda **given: hub.models.Backbone.from_preset(name, **load, **given), options)
    if weights is None:
        return model, []
    converter = hub.layers.ImageConverter.from_preset(name)
    scale = np.broadcast_to(1.0 if converter.scale is None else converter.scale, 3)
    offset = np.broadcast_to(0.0 if converter.offset is None else converter.offset, 3)
    return model, _levels_to(lambda levels: levels * scale + offset)


def _built(name, function, options):
    try:
        return function(**options)
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"`backbone`: {name} cannot be built with {options}: {reason}") from None


def _check_weights(weights, rgb):
    if weights is not None and not rgb:
        raise ConfigError(
            f"`backbone`: weights={weights!r} are for RGB, which this method's network does not see; leave them out"
        )


def _check_size(network, size):
    try:
        shapes = network.compute_output_shape((1, size, size, network.inputs[0].shape[-1]))
        fits = all(min(shape[1:3]) > 0 for shape in shapes.values())
    except ValueError:  # Keras': a window larger than its map
        fits = False
    if not fits:
        raise ConfigError(f"`backbone` makes no maps of {size}x{size} pixels; take a larger size, or another network")


def _levels_to(prepare):
    """Layers from standardized RGB to what ``prepare`` makes of RGB levels, an affine map, perhaps to BGR."""
    levels = np.stack([np.zeros((1, 1, 3)), np.ones((1, 1, 3)), np.eye(3)[:1][None]]).astype(np.float32)
    zero, one, red = (np.asarray(prepare(level.copy()), np.float64).ravel() for level in levels)
    flipped = bool((red - zero)[2])
    scale, offset = (one - zero), zero
    if flipped:
        scale, offset = scale[::-1], offset[::-1]
    offset = scale * MEAN_COLOR + offset
    scaling = layers.Rescaling((DEVIATION * scale).tolist(), offset=offset.tolist(), name="to_its_range")
    return [scaling, lambda x: ops.flip(x, axis=-1)] if flipped else [scaling]


def _with_taps(model):
    """The same network with a dict of maps as its output, from fine to coarse."""
    pyramid = getattr(model, "pyramid_outputs", None)
    output = pyramid or getattr(model, "output", None)
    if isinstance(output, dict):
        taps = {tap: tensor for tap, tensor in output.items() if len(tensor.shape) == 4}
        if taps:
            model = _of_any_size(keras.Model(model.inputs[0], taps, name=model.name))
            taps, found = model.output, strides(model)
            order = sorted((tap for tap in taps if found[tap]), key=found.get)
            if order:
                return keras.Model(model.inputs[0], {tap: taps[tap] for tap in order}, name=model.name)
    elif hasattr(getattr(model, "_functional", model), "_nodes_by_depth"):
        model = _of_any_size(model)
        taps = _last_of_each_stride(model)
        if taps:
            return keras.Model(model.inputs[0], taps, name=model.name)
    raise ConfigError(
        f"`backbone` must give maps (B, h, w, c) that shrink with the input, by functional layers. "
        f"Received: {_called(model)}"
    )


def _of_any_size(model):
    *sizes, channels = model.inputs[0].shape[1:]
    if sizes == [None, None]:
        return model
    free = keras.models.clone_model(model, input_tensors=layers.Input((None, None, channels), name="maps"))
    free.set_weights(model.get_weights())
    return free


def _last_of_each_stride(model):
    graph = getattr(model, "_functional", model)
    tensors = [tensor for tensor in _bottlenecks(graph) if len(tensor.shape) == 4]
    probe = keras.Model(graph.inputs[0], tensors)
    small, large = (probe.compute_output_shape((1, size, size, graph.inputs[0].shape[-1])) for size in _SIZES)
    taps = {}
    for tensor, *shapes in zip(tensors, small, large, strict=True):
        stride = _stride(*shapes)
        if stride and stride > 1:
            taps[f"P{int(math.log2(stride))}"] = tensor
    return taps


def _bottlenecks(graph):
    """Outputs of the layers that everything passes on its way from the input to the output, in this order."""
    depth_of = {id(node): depth for depth, nodes in graph._nodes_by_depth.items() for node in nodes}
    bypassed = set()
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            for parent in node.parent_nodes:
                bypassed.update(range(depth_of[id(node)] + 1, depth_of[id(parent)]))
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        nodes = graph._nodes_by_depth[depth]
        alone = len(nodes) == 1 and depth not in bypassed and not nodes[0].is_input
        if alone and not isinstance(nodes[0].operation, _NO_FEATURES):
            yield nodes[0].outputs[0]


def _stride(small, large):
    """Pixels between cells, from the shapes of a map for two sizes of the input; None if there are none."""
    cells = large[1] - small[1] if len(small) == 4 else 0
    stride = (_SIZES[1] - _SIZES[0]) / cells if cells else 0
    return int(stride) if stride >= 1 and math.log2(stride).is_integer() else None


def _renamed(model, channels, prefix):
    """The same network and weights in variables of its own, for any size, with the same layer names in every build.

    Names that Keras counts up from build to build are counted anew.
    """
    counts = {}

    def copy(layer):
        config, kind = layer.get_config(), type(layer).__name__.lower()
        if re.sub(r"_|\d+$", "", layer.name) == re.sub(r"\d+$", "", kind):  # "conv2d_7" of a Conv2D
            counts[kind] = counts.get(kind, 0) + 1
            config["name"] = f"{kind}_{counts[kind]}"
        config["name"] = prefix + config["name"]
        if type(layer) is layers.BatchNormalization:
            # Moments of thousands of steps, as some networks have them, would leave short runs with useless statistics.
            config["momentum"] = min(config["momentum"], 0.99)
            config["synchronized"] = keras.backend.backend() == "tensorflow"
        return type(layer).from_config(config)

    inputs = layers.Input((None, None, channels), name=f"{prefix}maps")
    try:
        copied = keras.models.clone_model(model, input_tensors=inputs, clone_function=copy, recursive=True)
    except ValueError as error:
        raise ConfigError(
            f"`backbone` {_called(model)} cannot be rebuilt for images of any size ({' '.join(str(error).split())}); "
            f"give a function of input_shape"
        ) from None
    copied.set_weights(model.get_weights())
    for number, variable in enumerate(copied.weights):
        if re.fullmatch(r"variable(_\d+)?", variable.name):  # a layer's that gave it no name
            variable._path = f"{variable.path.rpartition('/')[0]}/variable_{number}"
    return copied


def _called(model):
    return f"{type(model).__name__} {getattr(model, 'name', '')!r}"
