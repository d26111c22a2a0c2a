"""Sizes that the networks of colorization give and take, known without building one."""

OUTPUT_STRIDE = {"paper": 4, "alexnet": 8, "small": 4}
"""Input pixels per output position."""

INPUT_MULTIPLE = {"paper": 8, "alexnet": 1, "small": 16}
"""Input height and width must be multiples of this for input and output to stay aligned."""

OPEN_OUTPUT_STRIDE, OPEN_INPUT_MULTIPLE = 4, 32
"""The same of networks of others."""
