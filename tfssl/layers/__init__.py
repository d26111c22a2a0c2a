"""Custom layers: keras and keras.ops only, so that they run on every backend."""


def register():
    """Import every layer, so that Keras finds their classes in the .keras files it reads."""
    import importlib
    import pkgutil

    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
