"""What a discovery finds, whichever way it looks: clusters of places in images."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Member:
    """A place in an image; each way of looking adds what it measured."""

    image: int  # its number in the source
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the image

    @property
    def mask(self):
        """Where the thing is, uint8 (h, w) over the whole image; None where that is not known."""
        return None

    @property
    def measures(self):
        """``{name: number}`` for the page and ``clusters.json``."""
        return {}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Places that show the same, the best first, and the one that the search began with."""

    seed: Member
    members: tuple[Member, ...]
    score: float  # by which clusters are ranked

    def images(self, count=None):
        """Numbers in the source of the ``count`` best members; None for all."""
        return [member.image for member in self.members[:count]]
