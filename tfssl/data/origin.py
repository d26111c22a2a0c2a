"""What an image or film was made from, and how: a comment inside the file, so that it holds after a kill or a move."""

import dataclasses
import hashlib
import os
import re

from tfssl.data.clips import EXTENSIONS as CLIPS
from tfssl.data.decode import open_image
from tfssl.data.media import container
from tfssl.files import sha256

SAME = "the same"
SETTINGS = "made with other settings"
CHANGED = "made before the image was changed"
UNKNOWN = "of unknown origin"
OTHER = "of another image"

_DIGITS = 16
_COMMENT = "Made by tfssl: image {}, path {}, settings {}"
_PATTERN = re.compile(_COMMENT.format(*[f"([0-9a-f]{{{_DIGITS}}})"] * 3))


@dataclasses.dataclass(frozen=True)
class Origin:
    """Digests of the source's bytes, of where it lies (a path says more than a shared photo should), of settings."""

    image: str
    path: str
    settings: str

    def comment(self):
        """The text to write into the file."""
        return _COMMENT.format(self.image, self.path, self.settings)


def origin_of(source, settings):
    """The :class:`Origin` of what is made of the file ``source`` with ``settings`` (text); OSError if unreadable."""
    path = os.fsencode(os.path.realpath(source))
    texts = hashlib.sha256(path).hexdigest(), hashlib.sha256(settings.encode("utf-8", "backslashreplace")).hexdigest()
    return Origin(sha256(source)[:_DIGITS], *(text[:_DIGITS] for text in texts))


def read_origin(file):
    """The :class:`Origin` that a file was written with; None for files of others, and what is no image or film."""
    try:
        if str(file).lower().endswith(CLIPS):
            with container(file) as film:
                tags = {name.lower(): text for name, text in film.metadata.items()}
            comment = tags.get("comment", "").rpartition("\n")[2]  # a film keeps its own comment, above this one
        else:
            with open_image(file) as image:
                comment = image.info.get("comment", image.info.get("Comment", ""))
    except ValueError:
        return None
    if isinstance(comment, bytes):
        comment = comment.decode("ascii", "replace")
    found = _PATTERN.fullmatch(str(comment).rstrip("\0"))
    return Origin(*found.groups()) if found else None


def compare(file, origin):
    """What a file that exists is to a result of ``origin``: one of the texts above, :data:`OTHER` for a folder too.

    An image is known by its bytes, or by its place, where it may have been changed since.
    """
    if not os.path.isfile(file):
        return OTHER
    found = read_origin(file)
    if found is None:
        return UNKNOWN
    if found.image == origin.image:
        return SAME if found.settings == origin.settings else SETTINGS
    return CHANGED if found.path == origin.path else OTHER
