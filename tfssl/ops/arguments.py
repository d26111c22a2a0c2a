"""Checks of arguments: shapes and types of arrays of every backend, known without computing, and numbers."""

import numpy as np

from tfssl.errors import ConfigError


def check_shapes(**arrays):
    """Raise ConfigError unless arrays have the shapes that are asked for.

    ``check_shapes(y_true=(y_true, "B h w 2"), y_pred=(y_pred, "B h w 313"))``: numbers are sizes, words are sizes that
    agree wherever they occur, ``...`` at the front is any number of axes that agree likewise. Sizes and ranks that a
    graph does not know fit everything.
    """
    known = {}
    for name, (array, pattern) in arrays.items():
        shape = static_shape(name, array)
        if shape is None:
            continue
        words = pattern.split()
        fits = len(shape) >= len(words) - 1 if words[:1] == ["..."] else len(shape) == len(words)
        if fits and words[:1] == ["..."]:
            leading = shape[: len(shape) - len(words) + 1]
            before = known.setdefault("...", leading)
            fits = len(before) == len(leading) and all(map(_agree, before, leading))
            shape, words = shape[len(leading) :], words[1:]
        for size, word in zip(shape, words, strict=True) if fits else ():
            wanted = int(word) if word.isdigit() else known.get(word)
            fits = fits and _agree(size, wanted)
            if wanted is None and size is not None:
                known[word] = size
        if not fits:
            raise ConfigError(
                f"`{name}` must have shape ({_described(pattern, known)}). "
                f"Received: {name}.shape={tuple(static_shape(name, array))}"
            )


def static_shape(name, array):
    """The shape of an array of any backend, or of nested lists, with None for unknown sizes; None for unknown rank."""
    try:
        shape = array.shape if hasattr(array, "shape") else np.shape(array)
        return None if getattr(shape, "rank", 0) is None else tuple(shape)
    except ValueError:
        raise ConfigError(f"`{name}` must be an array. Received: {type(array).__name__} of uneven lists") from None


def check_floating(**arrays):
    """Raise ConfigError unless arrays are of floating point: sums of 8-bit levels overflow, fractions are cut off."""
    for name, array in arrays.items():
        kind = dtype_name(array)
        if not kind.startswith(("float", "bfloat")):
            raise ConfigError(f"`{name}` must be floating point. Received: {name}.dtype={kind}")


def check_bytes(**arrays):
    """Raise ConfigError unless arrays are 8-bit."""
    for name, array in arrays.items():
        if dtype_name(array) != "uint8":
            raise ConfigError(f"`{name}` must be uint8, levels of 0 to 255. Received: {name}.dtype={dtype_name(array)}")


def dtype_name(array):
    """``"float32"`` and the like, of an array of any backend, or of numbers."""
    dtype = array.dtype if hasattr(array, "dtype") else np.asarray(array).dtype
    return getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")


def check_values(low, high, what, fix, **arrays):
    """Raise ConfigError if values lie outside [low, high] by more than a quarter of it, or are NaN.

    What resizing adds beyond a range is no mistake. Only arrays whose values are there are looked at, not those of a
    graph: there the check costs nothing, and finds nothing.
    """
    slack = (high - low) / 4
    for name, array in arrays.items():
        if not (isinstance(array, np.ndarray) or callable(getattr(array, "numpy", None))) or 0 in array.shape:
            continue
        values = array if isinstance(array, np.ndarray) else array.numpy()
        smallest, largest = float(values.min()), float(values.max())
        if not (low - slack <= smallest and largest <= high + slack):
            raise ConfigError(
                f"`{name}` must be {what} in [{low:g}, {high:g}]; {fix}. "
                f"Received: values from {smallest:.4g} to {largest:.4g}"
            )


def check_integers(least, most=None, **values):
    """Raise ConfigError unless values are integers in [least, most]; None for no upper limit."""
    for name, value in values.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):
            wanted = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
            raise ConfigError(f"`{name}` must be {wanted}. Received: {name}={value!r}")


def _agree(first, second):
    return first is None or second is None or first == second


def _described(pattern, known):
    words = (f"{word}={known[word]}" if word in known and word != "..." else word for word in pattern.split())
    if "..." in known and pattern.startswith("..."):
        words = (*map(str, known["..."]), *list(words)[1:])
    return ", ".join(words)
