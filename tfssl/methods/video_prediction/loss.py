"""What predictions are trained by: squared errors of frames, and a little of states."""

import keras


def future_losses(states, state_weight=1e-4):
    """Mean squared error of the frames after the context, plus ``state_weight`` times that of their states.

    As the released code, means over everything: over examples, steps, pixels and colors.

    Args:
        states: whether there are any.
        state_weight: of their error.

    Returns:
        ``(losses, loss_weights)`` for ``keras.Model.compile``, by the names of the outputs.
    """
    weights = {"frames": 1.0, "states": state_weight} if states else {"frames": 1.0}
    return {name: keras.losses.MeanSquaredError() for name in weights}, weights
