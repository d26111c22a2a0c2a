"""Learning to see without labels, with Keras: pretext tasks, their evaluation, and automatic colorization.

>>> import tfssl
>>> image = tfssl.colorize("grandmother.jpg")              # PIL.Image, with the model that ships
>>> method = tfssl.methods.Colorization(backbone="small", crop_size=96, resize=128)
>>> model = method.model()
>>> model.fit(method.dataset("photos/", batch_size=32), epochs=10)
"""

import sys
from typing import TYPE_CHECKING

from tfssl.imports import lazy, offer_modules, register_with_keras

if TYPE_CHECKING:
    from tfssl import (
        backbones as backbones,
        color as color,
        config as config,
        data as data,
        discovery as discovery,
        errors as errors,
        evaluation as evaluation,
        export as export,
        grouping as grouping,
        layers as layers,
        local as local,
        methods as methods,
        ops as ops,
        optimizers as optimizers,
        report as report,
        synthesis as synthesis,
        training as training,
        transfer as transfer,
        visualization as visualization,
    )
    from tfssl.api import colorize as colorize, evaluate as evaluate, load as load
    from tfssl.api.grouping import group as group
    from tfssl.api.synthesis import synthesize as synthesize
    from tfssl.config import load_config as load_config
    from tfssl.encoders import load_encoder as load_encoder, load_trunk as load_trunk
    from tfssl.training.fit import fit as fit, train as train
else:
    __getattr__, __dir__, __all__ = lazy(__name__, __file__)

__version__ = "0.1.0"

offer_modules(sys.modules[__name__])
register_with_keras()
