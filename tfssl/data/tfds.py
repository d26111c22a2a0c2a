"""Images of TensorFlow Datasets, by random access."""

import dataclasses
import re
from typing import Any

from tfssl.data.decode import array_to_image
from tfssl.data.images import ImageSource
from tfssl.errors import SourceError

# The split may hold colons itself, as in train[:10%].
_PATTERN = re.compile(r"tfds:(?P<name>[^:]+(:\d+\.\d+\.\d+)?):(?P<split>[^:]+(\[.*\])?)")


@dataclasses.dataclass(frozen=True, eq=False)
class TFDSSource(ImageSource):
    """The feature ``image`` of a TensorFlow Datasets data source."""

    title: str
    records: Any
    min_size: int | None = None

    def __len__(self):
        return len(self.records)

    def example(self, index):
        return {"image": array_to_image(self.records[index]["image"])}

    def name(self, index):
        return f"{self.title}#{index}"


def tfds_source(text):
    """Open ``tfds:NAME:SPLIT``, downloading and preparing the dataset where that has not been done.

    ``text`` is for example ``"tfds:cifar10:train"`` or ``"tfds:cifar10:3.0.2:train[:10%]"``. SourceError if
    tensorflow_datasets is missing, the name or split is unknown, or there is no ``image``.
    """
    return TFDSSource(text, _open(text, "image"))


def tfds_labels(text):
    """``(class numbers, names of the classes)`` of ``tfds:NAME:SPLIT``, without decoding its images."""
    records = _open(text, "label", decode=False)
    classes = getattr(records.dataset_info.features["label"], "names", None)
    if not classes:
        raise SourceError(f"`data` {text!r}: the feature `label` is no class")
    return tuple(int(record["label"]) for record in records), tuple(classes)


def _open(text, needed, *, decode=True):
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise SourceError(f"`data` must be tfds:NAME:SPLIT, such as tfds:cifar10:train. Received: data={text!r}")
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SourceError(f"`data` {text!r} needs TensorFlow Datasets ({error}); pip install 'tfssl[tfds]'") from None
    try:
        options = {} if decode else {"decoders": {"image": tfds.decode.SkipDecoding()}}
        records = tfds.data_source(match["name"], split=match["split"], **options)
        features = list(records[0]) if len(records) else []
    except Exception as error:  # an unknown name, split or license step has an exception class of its own each
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"`data` {text!r} cannot be opened: {reason}") from error
    if features and needed not in features:
        raise SourceError(f"`data` {text!r} has no feature `{needed}`, only {', '.join(map(str, features))}")
    return records
