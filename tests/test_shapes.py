"""Every public layer, loss, metric and operation refuses arrays of a wrong rank or of wrong channels, by name."""

import importlib
import inspect
import itertools
import pkgutil

import keras
import numpy as np
import pytest

from tests.losses_take import LOSSES
from tfssl import layers, methods, ops
from tfssl.color import metrics
from tfssl.layers import (
    color,
    color_histogram,
    convolution,
    corruption,
    dense,
    gating,
    moving,
    normalization,
    peephole_lstm,
    pooling,
    recurrent,
    resizing,
    synchrony,
    views,
    whitening as whitening_layers,
)
from tfssl.methods.jigsaw import loss as jigsaw
from tfssl.ops import (
    ab_bins,
    boundaries,
    boxes,
    bytes_lab,
    color as color_ops,
    corruption as corruption_ops,
    depthwise_gradient,
    felzenszwalb_hog,
    gram as gram_ops,
    hue_chroma,
    patch_whitening,
    permutations,
    poses,
    sound_texture,
    trajectory,
    whitening,
)

SIZES = {
    "S": 2000,
    "B": 2,
    "h": 4,
    "w": 4,
    "H": 16,
    "W": 16,
    "C": 5,
    "Q": 3,
    "P": 4,
    "R": 3,
    "N": 3,
    "M": 2,
    "n": 6,
    "D": 4,
}


def listed(layer):
    return lambda *inputs: layer(list(inputs))


# Callable, from what it is made, the shapes of its arrays, its other arguments. "..." is any number of axes.
TAKES = [
    (color.Lab, lambda: color.Lab(), ["B H W 3"]),
    (color.Lightness, lambda: color.Lightness(), ["B H W 3"]),
    (color.GrayLevel, lambda: color.GrayLevel(), ["B H W 1"]),
    (color.StretchLightness, lambda: color.StretchLightness(), ["B H W 1"]),
    (color.Whitening, lambda: color.Whitening(), ["B H W 1"]),
    (boundaries.suppress_non_maxima, lambda: boundaries.suppress_non_maxima, ["h w", "h w"]),
    (color_histogram.LabHistogram, lambda: color_histogram.LabHistogram(), ["B H W 3"]),
    (convolution.GroupedConv2D, lambda: built(convolution.GroupedConv2D(6, 3, groups=2), 4), ["B H W 4"]),
    (convolution.DepthwiseConv2D, lambda: built(convolution.DepthwiseConv2D(3), 4), ["B H W 4"]),
    (convolution.DilatedStack, lambda: built(convolution.DilatedStack(2), 4), ["B H W 4"]),
    (convolution.RepairBlock, lambda: listed(convolution.RepairBlock()), ["B H W C", "B H W 1"]),
    (corruption.Corrupt, lambda: corruption.Corrupt("pixel"), ["B H W C"]),
    (corruption.Damage, lambda: listed(corruption.Damage()), ["B h w C", "B h w 1"]),
    (dense.ChannelwiseDense, lambda: built(dense.ChannelwiseDense(), 4, size=4), ["B h w 4"]),
    (dense.PairDense, lambda: listed(dense.PairDense(2)), ["B P D", "int B Q 2"]),
    (dense.SelectedDense, lambda: built_on(dense.SelectedDense(3), (2, 7)), ["B 7"]),
    (dense.TiedDense, lambda: built_on(dense.TiedDense(3), (2, 7)), ["... 7"]),
    (gating.BilinearGate, lambda: gate(gating.BilinearGate(3)), ["... B 7", "... B 5"]),
    (gating.FactoredGate, lambda: gate(gating.FactoredGate(3, 4)), ["... B 7", "... B 5"]),
    (gating.ThresholdedLinear, lambda: gating.ThresholdedLinear(), ["... B n"]),
    (moving.ConvolutionalMotion, lambda: listed(moving.ConvolutionalMotion(3)), ["B H W C", "B M 9"]),
    (moving.PixelMotion, lambda: listed(moving.PixelMotion(3)), ["B H W C", "B H W 9"]),
    (moving.AffineMotion, lambda: listed(moving.AffineMotion()), ["B H W C", "B M 6"]),
    (moving.Blend, lambda: listed(moving.Blend()), ["B M H W C", "B H W M"]),
    (recurrent.ConvLSTMCell, lambda: cell(), ["B H W C", "B H W 6", "B H W 6"]),
    (recurrent.ScheduledSampling, lambda: recurrent.ScheduledSampling(3), ["B R H W C"]),
    (normalization.MapNormalization, lambda: built(normalization.MapNormalization(), 4), ["B H W 4"]),
    (normalization.LocalResponseNormalization, lambda: normalization.LocalResponseNormalization(), ["... C"]),
    (normalization.ScaleToRMS, lambda: normalization.ScaleToRMS(matrix=np.eye(3)), ["B H W 3"]),
    (normalization.Standardize, lambda: normalization.Standardize((1, 2, 3)), ["... H W C"]),
    (pooling.CaffeMaxPooling2D, lambda: pooling.CaffeMaxPooling2D(), ["B H W C"]),
    (pooling.PoolToGrid, lambda: pooling.PoolToGrid(2), ["B H W C"]),
    (pooling.RoIPooling, lambda: listed(pooling.RoIPooling(2, 4)), ["B H W C", "B R 4"]),
    (peephole_lstm.PeepholeLSTMCell, lambda: stepped(peephole_lstm.PeepholeLSTMCell(3)), ["B D"]),
    (peephole_lstm.PeepholeLSTM, lambda: peephole_lstm.PeepholeLSTM(3), ["B P D"]),
    (peephole_lstm.FrameDecoder, lambda: listed(peephole_lstm.FrameDecoder((3,))), ["B P D", "B 3", "B 3"]),
    (resizing.ResizeToStride, lambda: listed(resizing.ResizeToStride(2)), ["B h w C", "B H W C"]),
    (resizing.SampleMap, lambda: listed(resizing.SampleMap(2)), ["B h w C", "B N 2"]),
    (resizing.Upsample, lambda: resizing.Upsample(2), ["B h w C"]),
    (resizing.upsample, lambda: resizing.upsample, ["B h w C"], 2),
    (resizing.resize_bilinear, lambda: resizing.resize_bilinear, ["B h w C"], 3, 3),
    (synchrony.SynchronyProduct, lambda: listed(product()), ["... 6", "... 4"]),
    (synchrony.Winner, lambda: synchrony.Winner(), ["... n"]),
    (synchrony.synchrony_updates, lambda: synchrony.synchrony_updates, ["B n", "B D", "n Q", "D Q", "B Q"]),
    (views.GrayViews, lambda: views.GrayViews((0, 1), (1, 2)), ["B R H W 3"]),
    (whitening_layers.PatchWhitening, lambda: built(whitening_layers.PatchWhitening(3, 4), 4), ["B H W 4"]),
    (trajectory.headings, lambda: trajectory.headings, ["N 4 4"]),
    (trajectory.motions, lambda: trajectory.motions, ["N 4 4"], 1),
    (trajectory.path_of, lambda: trajectory.path_of, ["N 2"]),
    (felzenszwalb_hog.felzenszwalb_hog, lambda: felzenszwalb_hog.felzenszwalb_hog, ["H W C"]),
    (felzenszwalb_hog.gradient_energy, lambda: felzenszwalb_hog.gradient_energy, ["H W C"]),
    (sound_texture.split_bands, lambda: sound_texture.split_bands, ["S"]),
    (sound_texture.join_bands, lambda: sound_texture.join_bands, ["S 32"]),
    (sound_texture.cochleagram, lambda: sound_texture.cochleagram, ["S"]),
    (sound_texture.texture_statistics, lambda: sound_texture.texture_statistics, ["S 32"]),
    (sound_texture.sound_texture, lambda: sound_texture.sound_texture, ["S"]),
    (sound_texture.check_sound, lambda: sound_texture.check_sound, ["S"]),
    (sound_texture.group_scaling, lambda: sound_texture.group_scaling, ["N 502"]),
    (poses.relative_pose, lambda: poses.relative_pose, ["... 4 4", "... 4 4"]),
    (poses.planar_motion, lambda: poses.planar_motion, ["... 4 4", "... 4 4"]),
    (trajectory.poses_of_path, lambda: trajectory.poses_of_path, ["N 3"]),
    (patch_whitening.standardize_patches, lambda: patch_whitening.standardize_patches, ["N D"]),
    (patch_whitening.pca_whitening, lambda: patch_whitening.pca_whitening, ["N D"], 2),
    (patch_whitening.principal_directions, lambda: patch_whitening.principal_directions, ["N D"], 2),
    (ab_bins.soft_encode, lambda: ab_bins.soft_encode, ["... 2"]),
    (ab_bins.soft_encode_reference, lambda: ab_bins.soft_encode_reference, ["... 2"]),
    (ab_bins.nearest_bin, lambda: ab_bins.nearest_bin, ["... 2"]),
    (ab_bins.annealed_mean, lambda: ab_bins.annealed_mean, ["... 313"]),
    (boxes.iou, lambda: boxes.iou, ["N 4", "M 4"]),
    (boxes.area, lambda: boxes.area, ["... 4"]),
    (boxes.encode, lambda: boxes.encode, ["N 4", "N 4"]),
    (boxes.decode, lambda: boxes.decode, ["N 4", "N 4"]),
    (boxes.clip, lambda: boxes.clip, ["... 4"], 9, 9),
    (boxes.mirror, lambda: boxes.mirror, ["... 4"], 9),
    (boxes.non_maximum_suppression, lambda: boxes.non_maximum_suppression, ["N 4", "N"]),
    (bytes_lab.lightness, lambda: bytes_lab.lightness, ["byte ... 3"]),
    (bytes_lab.mean_lightness, lambda: bytes_lab.mean_lightness, ["byte ... 3"]),
    (bytes_lab.ab, lambda: bytes_lab.ab, ["byte ... 3"]),
    (bytes_lab.is_gray, lambda: bytes_lab.is_gray, ["byte ... 3"]),
    (color_ops.rgb_to_lab, lambda: color_ops.rgb_to_lab, ["... 3"]),
    (color_ops.lab_to_rgb, lambda: color_ops.lab_to_rgb, ["... 3"]),
    (color_ops.rgb_to_lightness, lambda: color_ops.rgb_to_lightness, ["... 3"]),
    (corruption_ops.Corruption, lambda: corrupt, ["B H W C"]),
    (depthwise_gradient.depthwise_conv, lambda: depthwise_gradient.depthwise_conv, ["B H W C", "3 3 C 1"], 1),
    (gram_ops.gram, lambda: gram_ops.gram, ["B h w C"]),
    (gram_ops.shifted_gram, lambda: gram_ops.shifted_gram, ["B h w C"], 1, 1),
    (gram_ops.flipped_gram, lambda: gram_ops.flipped_gram, ["B h w C"], "left-right"),
    (gram_ops.gram_distance, lambda: gram_ops.gram_distance, ["B C C", "B C C"]),
    (hue_chroma.rgb_to_hcv, lambda: hue_chroma.rgb_to_hcv, ["... 3"]),
    (hue_chroma.hcv_to_rgb, lambda: hue_chroma.hcv_to_rgb, ["... 3"]),
    (hue_chroma.match_lightness, lambda: hue_chroma.match_lightness, ["... 3", "... 1"]),
    (permutations.hamming, lambda: permutations.hamming, ["int ... n", "int ... n"]),
    (permutations.permutation_statistics, lambda: permutations.permutation_statistics, ["int N n"]),
    (whitening.whiten, lambda: whitening.whiten, ["B H W 1"]),
    (metrics.ab_error, lambda: metrics.ab_error, ["... 2", "... 2"]),
    (metrics.neutral_chroma, lambda: metrics.neutral_chroma, ["... 3", "... 2"]),
    (metrics.false_reds, lambda: metrics.false_reds, ["... 2", "... 2"]),
    (metrics.mse, lambda: metrics.mse, ["H W 3", "H W 3"]),
    (metrics.ssim, lambda: metrics.ssim, ["byte H W 3", "byte H W 3"]),
    (metrics.colorfulness, lambda: metrics.colorfulness, ["H W 3"]),
    (metrics.ciede2000, lambda: metrics.ciede2000, ["... 3", "... 3"]),
    (metrics.join_lab, lambda: metrics.join_lab, ["H W", "H W 2"]),
    *LOSSES,
]

# What takes no arrays, or arrays of any shape: element by element.
ANY = {
    *("batch_norm", "set_batch_norm", "Layer", "check_positive", "check_odd", "puzzle_loss", "puzzle_accuracy"),
    *(
        "output_channels",
        "channels_of",
        "lightness_class",
        "l2_penalty",
        "mean_color_loss",
        "joint_loss",
        "lab_f",
        "channel_shares",
    ),
    *("srgb_to_linear", "linear_to_srgb", "auc", "auc_score", "rmse", "psnr", "check_shapes", "static_shape"),
    *("check_floating", "check_bytes", "dtype_name", "check_values", "check_integers", "pooled_size", "cell_weights"),
    *("center_mask", "random_blocks", "random_region", "pattern_noise", "pattern_mask", "grid_pairs", "grid_size"),
    *("grid_cells", "corners", "small_side", "down_up_matrix", "projection_matrix", "permutation_set"),
    *("all_permutations", "mean_distance_bound", "load_permutations", "whitening_kernel", "check_room"),
    *("grid_centers", "bin_centers", "lightness_to_level", "gray_weight", "even_bin", "even_centers"),
    *("to_erb", "from_erb", "cutoffs", "cochlear_filters", "modulation_filters", "of_targets"),
    *("pmi", "table_pmi", "context_logit"),
    *("wrapped", "uniform_edges", "to_classes", "centers", "steps_of_windows"),
    *("quantile_edges", "quantile_centers", "EqualNorms", "cosine_whitening", "FilterNormalization"),
    *("normalized_kernels", "future_losses"),
}


def corrupt(x):
    return corruption_ops.Corruption("pixel").apply(
        x, uniform=np.random.default_rng(0).random, normal=np.random.default_rng(0).standard_normal, xp=np
    )


def product():
    layer = synchrony.SynchronyProduct(3)
    layer([np.zeros((2, 6), np.float32), np.zeros((2, 4), np.float32)])
    return layer


def stepped(layer):
    return lambda inputs: layer(inputs, [np.zeros((2, 3), np.float32)] * 2)


def built(layer, channels, size=16):
    return built_on(layer, (2, size, size, channels))


def built_on(layer, shape):
    layer(np.zeros(shape, np.float32))
    return layer


def cell():
    layer = recurrent.ConvLSTMCell(6, 3)
    layer([np.zeros((2, 16, 16, channels), np.float32) for channels in (5, 6, 6)])
    return listed(layer)


def gate(layer):
    layer([np.zeros((2, 7), np.float32), np.zeros((2, 5), np.float32)])
    return listed(layer)


def array(pattern, axes=0, channels=0):
    """Random values of a shape, one axis fewer or more, or with more channels."""
    kind = "byte" if pattern.startswith("byte") else "int" if pattern.startswith("int") else "float"
    words = pattern.removeprefix(kind).replace("...", "B").split()
    shape = [int(word) if word.isdigit() else SIZES[word] for word in words]
    shape[-1] += channels
    shape = shape[:-1] if axes < 0 else [2] * axes + shape
    drawn = np.random.default_rng(0).random(shape)
    drawn = np.cumsum(drawn, axis=-1) if words[-1] == "4" else drawn  # boxes that have an area
    return {"byte": np.uint8(255 * drawn), "int": np.int32(2 * drawn), "float": np.float32(drawn)}[kind]


def public(package):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def callables():
    losses = [importlib.import_module(f"tfssl.methods.{name}.loss") for name in methods.names()]
    for module in (*public(layers), *public(ops), *losses, metrics):
        for name, value in vars(module).items():
            if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__:
                yield name, value


def test_every_public_callable_is_listed():
    listed_ones = {inspect.unwrap(row[0]) for row in TAKES}
    missing = [n for n, value in callables() if n not in ANY and inspect.unwrap(value) not in listed_ones]
    assert not missing, "say in TAKES which arrays they take"


@pytest.mark.parametrize("row", TAKES, ids=lambda row: f"{row[0].__module__.split('.')[-2]}-{row[0].__name__}")
def test_wrong_rank_and_wrong_channels_are_refused(row):
    _, make, patterns, *rest = row
    right = [array(pattern) for pattern in patterns]
    make()(*right, *rest)
    last = [pattern.split()[-1] for pattern in patterns]
    for place, pattern in enumerate(patterns):
        wrong = {} if "... " in pattern else {"rank less": {"axes": -1}, "rank more": {"axes": 1}}
        if last[place].isdigit() or last.count(last[place]) > 1:
            wrong["channels"] = {"channels": 1}
        if row[0] in (resizing.ResizeToStride, convolution.RepairBlock, corruption.Damage, dense.PairDense):
            wrong = {what: change for what, change in wrong.items() if what != "channels" or last[place].isdigit()}
        for change in wrong.values():
            given = [array(p, **change) if i == place else right[i] for i, p in enumerate(patterns)]
            with pytest.raises(ValueError, match=r"shape|ndim|axis|must"):
                make()(*given, *rest)


OWN = [row for row in TAKES if row[0].__module__.startswith("tfssl.layers.") and inspect.isclass(row[0])]


@pytest.mark.parametrize("row", OWN, ids=lambda row: row[0].__name__)
def test_layers_check_the_shapes_that_they_are_asked_about(row):
    layer = row[1]()
    layer = inspect.getclosurevars(layer).nonlocals["layer"] if inspect.isfunction(layer) else layer
    shapes = [array(pattern).shape for pattern in row[2]]
    one = len(shapes) == 1
    layer.compute_output_shape(shapes[0] if one else shapes)
    wrong = [*shapes[:-1], (2,)]
    with pytest.raises(ValueError) as caught:
        layer.compute_output_shape(wrong[0] if one else wrong)
    if row[0] not in (convolution.GroupedConv2D, convolution.DepthwiseConv2D):  # Keras' own
        assert row[0].__name__ in str(caught.value) and "(2,)" in str(caught.value)
    if not one:
        with pytest.raises(ValueError, match="takes a list of"):
            layer(array(row[2][0]))


def test_shapes_that_a_graph_does_not_know_pass():
    for layer, size in itertools.product([resizing.Upsample(2), pooling.PoolToGrid(2), color.Lab()], [None, 8]):
        assert layer(keras.Input((size, size, 3))).shape[0] is None


def test_jigsaw_takes_keras_own_loss():
    with pytest.raises(ValueError, match="shape"):
        jigsaw.puzzle_loss()(np.zeros((3, 2), np.int32), np.zeros((3, 5), np.float32))
