"""The parts of Fast R-CNN that the detection task is made of."""
