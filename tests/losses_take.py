"""What the losses of methods take, for tests/test_shapes.py: rows as there."""

from tfssl.methods.ambient_sound import loss as ambient_sound
from tfssl.methods.caption_bow import loss as caption_bow
from tfssl.methods.co_occurrence import loss as co_occurrence
from tfssl.methods.colorization import loss as colorization
from tfssl.methods.context_encoder import loss as context_encoder
from tfssl.methods.context_prediction import loss as context_prediction
from tfssl.methods.denoising_autoencoder import loss as denoising_autoencoder
from tfssl.methods.egomotion import loss as egomotion
from tfssl.methods.gated_autoencoder import loss as gated_autoencoder
from tfssl.methods.hypercolumn_colorization import loss as hypercolumn
from tfssl.methods.odometry import loss as odometry
from tfssl.methods.slow_steady import loss as slow_steady
from tfssl.methods.split_brain import loss as split_brain
from tfssl.methods.spot_artifacts import loss as spot_artifacts
from tfssl.methods.synchrony import loss as synchrony_loss
from tfssl.methods.video_lstm import loss as video_lstm
from tfssl.methods.video_triplet import loss as video_triplet
from tfssl.methods.zero_bias_autoencoder import loss as zero_bias

CROSS = {"ab": "classification", "lightness": "regression"}

LOSSES = [
    (synchrony_loss.SumOfSquares, lambda: synchrony_loss.SumOfSquares(), ["B n", "B n"]),
    (odometry.ClassCrossEntropy, lambda: odometry.ClassCrossEntropy((0, 1, 2, 3)), ["B", "B 3"]),
    (odometry.class_weights, lambda: odometry.class_weights, ["B"], (0, 1, 2)),
    (caption_bow.WordCrossEntropy, lambda: caption_bow.WordCrossEntropy(), ["int B P", "B Q"]),
    (caption_bow.SampledCrossEntropy, lambda: caption_bow.SampledCrossEntropy(), ["int B P", "B P"]),
    (caption_bow.OneVersusAll, lambda: caption_bow.OneVersusAll((1, 2, 3), 4), ["int B P", "B 3"]),
    (co_occurrence.ContextCrossEntropy, lambda: co_occurrence.ContextCrossEntropy(), ["B 1", "B 1"]),
    (co_occurrence.ContextAccuracy, lambda: co_occurrence.ContextAccuracy(), ["B 1", "B 1"]),
    (colorization.colored_mask, lambda: colorization.colored_mask, ["B h w 2"]),
    (colorization.ColorCrossEntropy, lambda: colorization.ColorCrossEntropy(), ["B h w 2", "B h w 313"]),
    (colorization.ColorRegression, lambda: colorization.ColorRegression(), ["B h w 2", "B h w 2"]),
    (context_encoder.MaskedL2, lambda: context_encoder.MaskedL2(1), ["B h w 4", "B h w 3"]),
    (context_encoder.hole_error, lambda: context_encoder.hole_error, ["B h w 4", "B h w 3"]),
    (context_encoder.discriminator_loss, lambda: context_encoder.discriminator_loss, ["B 1", "B 1"]),
    (context_encoder.fooling_loss, lambda: context_encoder.fooling_loss, ["B 1"]),
    (context_prediction.NeighborCrossEntropy, lambda: context_prediction.NeighborCrossEntropy(), ["int B Q", "B Q 8"]),
    (context_prediction.NeighborAccuracy, lambda: context_prediction.NeighborAccuracy(), ["int B Q", "B Q 8"]),
    (context_prediction.split_labels, lambda: context_prediction.split_labels, ["int B Q"]),
    (denoising_autoencoder.ReconstructionLoss, lambda: denoising_autoencoder.ReconstructionLoss(), ["B n", "B n"]),
    (denoising_autoencoder.cross_entropy, lambda: denoising_autoencoder.cross_entropy, ["B n", "B n"]),
    (ambient_sound.CodeCrossEntropy, lambda: ambient_sound.CodeCrossEntropy(), ["B n", "B n"]),
    (ambient_sound.CodeAccuracy, lambda: ambient_sound.CodeAccuracy(), ["B n", "B n"]),
    (egomotion.MotionCrossEntropy, lambda: egomotion.MotionCrossEntropy((3, 2)), ["int B 2", "B 5"]),
    (egomotion.MotionAccuracy, lambda: egomotion.MotionAccuracy((3, 2)), ["int B 2", "B 5"]),
    (egomotion.Contrastive, lambda: egomotion.Contrastive(), ["B 1", "B 1"]),
    (slow_steady.TupleContrastive, lambda: slow_steady.TupleContrastive(), ["int B n", "B n"]),
    (slow_steady.ActiveFraction, lambda: slow_steady.ActiveFraction(), ["int B n", "B n"]),
    (video_triplet.TripletLoss, lambda: video_triplet.TripletLoss(), ["B n", "B 2 D"]),
    (video_triplet.TripletAccuracy, lambda: video_triplet.TripletAccuracy(), ["B n", "B 2 D"]),
    (video_triplet.distances, lambda: video_triplet.distances, ["B 2 D"]),
    (video_triplet.others, lambda: video_triplet.others, ["B n"]),
    (video_triplet.choose, lambda: video_triplet.choose, ["B M", "B M", "B n"], 2, 0.5),
    (gated_autoencoder.PairReconstruction, lambda: gated_autoencoder.PairReconstruction(), ["B 2 D", "B 2 D"]),
    (zero_bias.HalfSquaredError, lambda: zero_bias.HalfSquaredError(), ["B n", "B n"]),
    (video_lstm.FrameCrossEntropy, lambda: video_lstm.FrameCrossEntropy(), ["B P h w C", "B P h w C"]),
    (video_lstm.FrameSquaredError, lambda: video_lstm.FrameSquaredError(), ["B P h w C", "B P h w C"]),
    (hypercolumn.divergence, lambda: hypercolumn.divergence, ["... 5", "... 5"]),
    (hypercolumn.HueChromaDivergence, lambda: hypercolumn.HueChromaDivergence(4), ["B N 10", "B N 8"]),
    (hypercolumn.HistogramDivergence, lambda: hypercolumn.HistogramDivergence((3, 4)), ["B N 7", "B N 7"]),
    (hypercolumn.AbRegression, lambda: hypercolumn.AbRegression(), ["B N 2", "B N 2"]),
    (split_brain.CrossChannelLoss, lambda: split_brain.CrossChannelLoss(**CROSS), ["B h w 3", "B h w 314"]),
    (split_brain.ab_class, lambda: split_brain.ab_class, ["... 2"]),
    (spot_artifacts.class_loss, lambda: spot_artifacts.class_loss, ["B 2"], 0),
    (spot_artifacts.spotting_loss, lambda: spot_artifacts.spotting_loss, ["B 2", "B 2"]),
    (spot_artifacts.mask_loss, lambda: spot_artifacts.mask_loss, ["B h w 1", "B h w 1", "B h w 1"]),
    (spot_artifacts.intact_error, lambda: spot_artifacts.intact_error, ["B H W 3", "B H W 3", "B h w 1"]),
]
