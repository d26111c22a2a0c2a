"""Convolutional networks that the methods and the evaluation share, as functions from a tensor to named taps.

>>> import tfssl
>>> model = tfssl.backbones.build("caffenet", input_shape=(227, 227, 3), classes=1000)     # logits
>>> encoder = tfssl.backbones.build("vgg16", input_shape=(None, None, 3), fc=False)        # {"conv1": ..., ...}

Every backbone has the taps conv1 ... conv5, each after its ReLU, and fc6, fc7 where it has fully connected layers.
Sizes are those of Caffe, where most of these networks were defined: explicit zero padding in convolutions, pooling
that rounds up, alpha of the local response normalization divided by the window.
"""

from tfssl.backbones.encoder import Encoder
from tfssl.backbones.ensembles import ensemble
from tfssl.backbones.registry import BACKBONES, build, classifier

__all__ = ["BACKBONES", "Encoder", "build", "classifier", "ensemble"]
