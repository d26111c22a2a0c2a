"""Learning to see without labels, with Keras: pretext tasks, their evaluation, and automatic colorization.

>>> import tfssl
>>> image = tfssl.colorize("grandmother.jpg")              # PIL.Image, with the model that ships
>>> method = tfssl.methods.Colorization(backbone="small", crop_size=96, resize=128)
>>> model = method.model()
>>> model.fit(method.dataset("photos/", batch_size=32), epochs=10)
"""

from typing import TYPE_CHECKING

from tfssl.imports import lazy, register_with_keras

if TYPE_CHECKING:
    from tfssl import backbones as backbones
    from tfssl import data as data
    from tfssl import evaluation as evaluation
    from tfssl import export as export
    from tfssl import layers as layers
    from tfssl import methods as methods
    from tfssl import ops as ops
    from tfssl import training as training
    from tfssl import visualization as visualization
    from tfssl.api import colorize as colorize
    from tfssl.api import evaluate as evaluate
    from tfssl.api import load as load
    from tfssl.api import load_encoder as load_encoder
    from tfssl.config import load_config as load_config
    from tfssl.training.fit import fit as fit
    from tfssl.training.fit import train as train
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "": "backbones data evaluation export layers methods ops training visualization",
            "api": "colorize evaluate load load_encoder",
            "config": "load_config",
            "training.fit": "fit train",
        },
    )

__version__ = "0.1.0"

register_with_keras()
