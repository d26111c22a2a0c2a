"""Changes of training images before a method cuts its examples from them."""


class Augmentation:
    """Placeholder until the layers are read by name."""

    def __init__(self, layers):
        self.layers = layers

    def __call__(self, example, rng):
        raise NotImplementedError
