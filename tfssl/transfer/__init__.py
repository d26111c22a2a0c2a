"""From an encoder to a network for another task: what is kept, what is trained, and how it is begun."""

from tfssl.transfer.data_dependent import data_dependent_init
from tfssl.transfer.strategies import STRATEGIES, transfer, trunk

__all__ = ["STRATEGIES", "data_dependent_init", "transfer", "trunk"]
