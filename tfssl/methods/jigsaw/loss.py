"""Loss and accuracy of the puzzle: which of the P permutations shuffled the tiles."""

import keras


def puzzle_loss():
    """Cross-entropy of logits (B, P) against labels int (B,), mean over the batch (released solver)."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="puzzle_cross_entropy")


def puzzle_accuracy():
    """Fraction of puzzles whose largest logit is that of their permutation."""
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
