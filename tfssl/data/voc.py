"""Images with boxes, and images with masks: VOC directories, and pairs of folders as CamVid is given out."""

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np

from tfssl.data.decode import FORMATS, check_header
from tfssl.data.images import FileSource
from tfssl.data.listing import EXTENSIONS, check_inside, lines_of, printable
from tfssl.data.orientation import annotation_turn, read_layout, turn, turn_boxes, upright
from tfssl.data.source import Source
from tfssl.data.voc_xml import Annotation, annotation_files, outside, read_annotation
from tfssl.errors import SourceError

IGNORE = 255
"""In masks and in :meth:`BoxedImages.presence`: counts for nothing."""

_FLAGGED = re.compile(r"(.*\S)\s+(-1|0|1)")  # a line of a split of one class: whether the image shows it
_VOID_NAMES = ("unlabelled", "unlabeled", "void", "ignore")  # of classes that are none


@dataclasses.dataclass(frozen=True, eq=False)
class SplitImages(Source):
    """One split of a set of image files with something beside each: ``{"image": PIL.Image, ...}``, at full size."""

    noun = "images"

    root: str
    split: str
    images: FileSource

    def __len__(self):
        return len(self.images)

    def example(self, index):
        return {**self.images.example(index), **self.annotation(index)}

    def annotation(self, index):
        """The other fields of example ``index``, without decoding its image, but turned upright as it is.

        ValueError if they do not fit the image, see :func:`tfssl.data.orientation.annotation_turn`.
        """
        raise NotImplementedError

    def name(self, index):
        return self.images.name(index)

    def check(self, index):
        self.images.check(index)


@dataclasses.dataclass(frozen=True, eq=False)
class BoxedImages(SplitImages):
    """Images and the objects in them, whose class numbers count ``classes``.

    Examples hold ``boxes``, float32 (N, 4): ``x_min, y_min, x_max, y_max`` in pixels of the upright image from its
    upper left corner, the left and upper edges of the first pixel and the right and lower edges of the last (VOC's own
    numbers count pixels from 1 and include the last one: its minima are one more, its maxima the same); ``label``,
    int32 (N,), class numbers; ``difficult``, bool (N,), objects that are neither demanded nor counted as mistakes.
    """

    classes: tuple[str, ...]
    objects: tuple[Annotation, ...]

    def annotation(self, index):
        path, objects = self.images.paths[index], self.objects[index]
        orientation = annotation_turn(path, objects.size, "<size> of its annotation") if len(objects.boxes) else 1
        size, _ = read_layout(path)
        if reason := outside(objects.boxes, objects.size or size):
            raise ValueError(reason)
        boxes = turn_boxes(objects.boxes, orientation, size)
        return {"boxes": boxes, "label": self._labels(index), "difficult": objects.difficult}

    def _labels(self, index):
        return np.array([self.classes.index(name) for name in self.objects[index].names], np.int32)

    def presence(self):
        """Which classes occur in which image: int32 (images, classes), 1, 0, or 255 where only as difficult."""
        found = np.zeros((len(self), len(self.classes)), np.int32)
        for index, (row, objects) in enumerate(zip(found, self.objects, strict=True)):
            label = self._labels(index)
            row[label[objects.difficult]] = IGNORE
            row[label[~objects.difficult]] = 1
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedImages(SplitImages):
    """Images with a class for each pixel: ``mask``, int32 (H, W), class numbers, 255 where it counts for nothing.

    ``masks`` are files, one for each image; ``ignore`` are values in them that count for nothing.
    """

    classes: tuple[str, ...]
    masks: tuple[str, ...]
    ignore: frozenset[int]

    def annotation(self, index):
        path = self.masks[index]
        mask = read_indices(path)
        mask[np.isin(mask, list(self.ignore))] = IGNORE
        strange = np.setdiff1d(mask, [*range(len(self.classes)), IGNORE])
        if strange.size:
            raise SourceError(f"mask {path!r} has the value {strange[0]}; there are {len(self.classes)} classes")
        return {"mask": turn(mask, annotation_turn(self.images.paths[index], mask.shape[::-1], "mask"))}


def boxed_images(root, split, *, classes=None):
    """Read one split of a VOC directory: ``JPEGImages/``, ``Annotations/NAME.xml``, ``ImageSets/Main/SPLIT.txt``.

    Args:
        root: the directory.
        split: such as ``"trainval"``; the file of that name lists the images, one a line, without ending.
        classes: names of the classes, in the order of their numbers; None: those of ``classes.txt`` but for a first
            line ``background``, or else all that any annotation of the directory names, sorted.

    Raises:
        SourceError: in one line, if a folder, the split, an image or an annotation is missing, or an annotation is
            damaged, names an unknown class or has a box without area.
    """
    root = Path(root).expanduser()
    if not (root / "Annotations").is_dir():
        raise SourceError(f"`data` must be a VOC directory with Annotations/. Received: data={str(root)!r}")
    names = _split_names(root, "Main", split)
    listed = classes or _listed_classes(root, skip="background") or _annotated_classes(str(root))
    images = _voc_images(root, names)
    objects = tuple(_read_known(root / "Annotations" / f"{name}.xml", frozenset(listed)) for name in names)
    return BoxedImages(str(root), split, images, tuple(listed), objects)


def masked_images(root, split):
    """Read one split, such as ``"train"``, of a set with masks, as :class:`MaskedImages`.

    Two layouts are known. A VOC directory has ``JPEGImages/``, ``SegmentationClass/NAME.png``,
    ``ImageSets/Segmentation/SPLIT.txt``, and perhaps ``classes.txt`` whose first line is ``background``. CamVid's has
    ``SPLIT/`` and beside it ``SPLITannot/`` with files of the same names, and ``classes.txt``. Masks are indexed or
    gray PNG files of class numbers; 255 and classes called unlabeled or void count for nothing. Without ``classes.txt``
    classes are called after their numbers, up to the largest one that occurs in the split.

    Raises:
        SourceError: in one line, if the layout is neither, or the split, an image or a mask is missing.
    """
    root = Path(root).expanduser()
    check_inside(split, "the name of the split")
    if (root / "SegmentationClass").is_dir():
        names = _split_names(root, "Segmentation", split)
        images, folder = _voc_images(root, names), root / "SegmentationClass"
    elif (root / split).is_dir() and (root / f"{split}annot").is_dir():
        images, folder = images_of_folder(root / split), root / f"{split}annot"
        names = [Path(path).stem for path in images.paths]
    else:
        raise SourceError(
            f"`data` must be a VOC directory with SegmentationClass/, or hold {split}/ and {split}annot/. "
            f"Received: data={str(root)!r}"
        )
    masks = tuple(str(folder / f"{name}.png") for name in names)
    missing = next((mask for mask in masks if not Path(mask).is_file()), None)
    if missing:
        raise SourceError(f"`data`: mask {missing!r} is missing")
    classes = list(_listed_classes(root) or _counted_classes(masks))
    ignore = {IGNORE}
    while classes and classes[-1].lower() in _VOID_NAMES:
        ignore.add(len(classes) - 1)
        classes.pop()
    return MaskedImages(str(root), split, images, tuple(classes), masks, frozenset(ignore))


def images_of_folder(folder):
    """The image files right in a folder, sorted, as :class:`~tfssl.data.images.FileSource`; SourceError without any."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = tuple(str(path) for path in visible if path.suffix.lower() in EXTENSIONS)
    if not paths:
        raise SourceError(f"`data`: {str(folder)!r} holds no images")
    return FileSource(paths)


def read_indices(path):
    """The numbers that an indexed or gray PNG holds, int32 (H, W); a palette is not applied, its own orientation is."""
    from PIL import Image

    try:
        check_header(path)
        with Image.open(path, formats=FORMATS) as image:
            if image.mode not in ("P", "L", "1", "I;16", "I"):
                raise SourceError(f"mask {str(path)!r} is {image.mode}; masks are indexed or gray images")
            return np.asarray(upright(image)).astype(np.int32)
    except SourceError:
        raise
    except Exception as error:  # on damaged files Pillow's readers raise almost anything
        raise SourceError(f"mask {str(path)!r} cannot be read: {error}") from None


def _split_names(root, kind, split):
    check_inside(split, "the name of the split")
    folder = root / "ImageSets" / kind
    file = folder / f"{split}.txt"
    if not file.is_file():
        names = sorted(p.stem for p in folder.glob("*.txt") if not p.name.startswith("."))
        raise SourceError(f"`data`: {str(folder)!r} has no split {split!r}; it has {', '.join(names) or 'none'}")
    names = lines_of(file)
    flagged = [_FLAGGED.fullmatch(name) for name in names]
    if all(flagged):
        names = [found[1] for found in flagged]
    if not names:
        raise SourceError(f"`data`: split {split!r} of {str(root)!r} is empty")
    for name in names:
        check_inside(name, f"a name in split {printable(file)!r}")
    return names


def _voc_images(root, names):
    return FileSource(tuple(_image_file(root / "JPEGImages", name) for name in names))


def _image_file(folder, name):
    for extension in EXTENSIONS:
        for path in (folder / f"{name}{extension}", folder / f"{name}{extension.upper()}"):
            if path.is_file():
                return str(path)
    raise SourceError(f"`data`: image {str(folder / name)!r} is missing")


def _listed_classes(root, skip=None):
    file = root / "classes.txt"
    if not file.is_file():
        return None
    names = lines_of(file)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"`data`: {printable(file)!r} names the class {twice!r} twice")
    return tuple(names[1:] if names and names[0] == skip else names)


@functools.lru_cache(maxsize=8)
def _annotated_classes(root):
    files = annotation_files(Path(root, "Annotations"))
    return tuple(sorted({name for file in files for name in read_annotation(file).names}))


def _counted_classes(masks):
    largest = max(int(np.max(values[values != IGNORE], initial=0)) for values in map(read_indices, masks))
    return tuple(str(number) for number in range(largest + 1))


def _read_known(file, classes):
    found = read_annotation(file)
    for name in found.names:
        if name not in classes:
            raise SourceError(f"annotation {printable(file)!r} names the class {name!r}; known: {', '.join(classes)}")
    return found
