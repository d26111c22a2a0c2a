"""Pictures with boxes, and pictures with masks: VOC directories, and pairs of folders as CamVid is given out."""

import dataclasses
import functools
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tfssl.data.images import EXTENSIONS
from tfssl.errors import SourceError

IGNORE = 255
"""In masks and in :meth:`BoxedSet.presence`: counts for nothing."""

_VOID_NAMES = ("unlabelled", "unlabeled", "void", "ignore")  # of classes that are none


@dataclasses.dataclass(frozen=True, eq=False)
class BoxedPicture:
    """A picture file and the objects in it.

    Args:
        path: of the file.
        boxes: float32 (N, 4), ``x_min, y_min, x_max, y_max`` in pixels of the file from its upper left corner: the
            left and upper edges of the first pixel, the right and lower edges of the last. VOC's own numbers count
            pixels from 1 and include the last one, so its minima are one more and its maxima the same.
        labels: int32 (N,), class numbers.
        difficult: bool (N,), objects that are neither demanded nor counted as mistakes.
    """

    path: str
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class BoxedSet:
    """One split of a VOC directory.

    Args:
        root: the directory.
        split: name of the split.
        classes: their names, in the order of their numbers.
        pictures: those of the split, in its order.
    """

    root: str
    split: str
    classes: tuple[str, ...]
    pictures: tuple[BoxedPicture, ...]

    def __len__(self):
        return len(self.pictures)

    def presence(self):
        """Which classes occur in which picture: int32 (pictures, classes), 1, 0, or 255 where only as difficult."""
        found = np.zeros((len(self), len(self.classes)), np.int32)
        for row, picture in zip(found, self.pictures, strict=True):
            row[picture.labels[picture.difficult]] = IGNORE
            row[picture.labels[~picture.difficult]] = 1
        return found


@dataclasses.dataclass(frozen=True)
class MaskedSet:
    """One split of a set of pictures with a class for each pixel.

    Args:
        root: its folder.
        split: name of the split.
        classes: their names; the values of the masks are their numbers.
        paths: picture files.
        masks: mask files, in the same order.
        ignore: values that count for nothing.
    """

    root: str
    split: str
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    masks: tuple[str, ...]
    ignore: frozenset[int]

    def __len__(self):
        return len(self.paths)

    def read_mask(self, index):
        """Class number of each pixel, int32 (H, W); :data:`IGNORE` where it counts for nothing.

        Raises:
            SourceError: if the file is no picture of class numbers, or holds one that no class has.
        """
        path = self.masks[index]
        mask = read_indices(path)
        mask[np.isin(mask, list(self.ignore))] = IGNORE
        strange = np.setdiff1d(mask, [*range(len(self.classes)), IGNORE])
        if strange.size:
            raise SourceError(f"mask {path!r} has the value {strange[0]}; there are {len(self.classes)} classes")
        return mask


def boxed_set(root, split, *, classes=None):
    """Read one split of a VOC directory: ``JPEGImages/``, ``Annotations/NAME.xml``, ``ImageSets/Main/SPLIT.txt``.

    Args:
        root: the directory.
        split: such as ``"trainval"``; the file of that name lists the pictures, one a line, without ending.
        classes: names of the classes, in the order of their numbers; None: those of ``classes.txt`` but for a first
            line ``background``, or else all that any annotation of the directory names, sorted.

    Returns:
        :class:`BoxedSet`.

    Raises:
        SourceError: in one line, if a folder, the split, a picture or an annotation is missing, or an annotation is
            damaged, names an unknown class or has a box without area.
    """
    root = _voc_root(root, "Annotations")
    names = _split_names(root, "Main", split)
    listed = classes or _listed_classes(root, skip="background") or _annotated_classes(str(root))
    numbers = {name: number for number, name in enumerate(listed)}
    pictures = []
    for name in names:
        boxes, labels, difficult = _read_annotation(root / "Annotations" / f"{name}.xml", numbers)
        pictures.append(BoxedPicture(_picture(root / "JPEGImages", name), boxes, labels, difficult))
    return BoxedSet(str(root), split, tuple(listed), tuple(pictures))


def masked_set(root, split):
    """Read one split of a set with masks.

    Two layouts are known. A VOC directory has ``JPEGImages/``, ``SegmentationClass/NAME.png``,
    ``ImageSets/Segmentation/SPLIT.txt``, and perhaps ``classes.txt`` whose first line is ``background``. CamVid's has
    ``SPLIT/`` and beside it ``SPLITannot/`` with files of the same names, and ``classes.txt``. Masks are indexed or
    gray PNG files of class numbers; 255 and classes called unlabeled or void count for nothing.

    Args:
        root: its folder.
        split: such as ``"train"``.

    Returns:
        :class:`MaskedSet`. Without ``classes.txt`` classes are called after their numbers, up to the largest one that
        occurs in the split.

    Raises:
        SourceError: in one line, if the layout is neither, or the split, a picture or a mask is missing.
    """
    root = Path(root).expanduser()
    if (root / "SegmentationClass").is_dir():
        names = _split_names(root, "Segmentation", split)
        paths = tuple(_picture(root / "JPEGImages", name) for name in names)
        masks = tuple(str(root / "SegmentationClass" / f"{name}.png") for name in names)
    elif (root / split).is_dir() and (root / f"{split}annot").is_dir():
        files = sorted(p for p in (root / split).iterdir() if p.suffix.lower() in EXTENSIONS)
        paths = tuple(str(p) for p in files)
        masks = tuple(str(root / f"{split}annot" / f"{p.stem}.png") for p in files)
    else:
        raise SourceError(
            f"`data` must be a VOC directory with SegmentationClass/, or hold {split}/ and {split}annot/. "
            f"Received: data={str(root)!r}"
        )
    if not paths:
        raise SourceError(f"`data`: split {split!r} of {str(root)!r} is empty")
    missing = next((mask for mask in masks if not Path(mask).is_file()), None)
    if missing:
        raise SourceError(f"`data`: mask {missing!r} is missing")
    classes = list(_listed_classes(root) or _counted_classes(masks))
    ignore = {IGNORE}
    while classes and classes[-1].lower() in _VOID_NAMES:
        ignore.add(len(classes) - 1)
        classes.pop()
    return MaskedSet(str(root), split, tuple(classes), paths, masks, frozenset(ignore))


def read_indices(path):
    """The numbers that an indexed or gray PNG holds, int32 (H, W); a palette is not applied.

    Raises:
        SourceError: if it is no such file.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1", "I;16", "I"):
                raise SourceError(f"mask {str(path)!r} is {image.mode}; masks are indexed or gray pictures")
            return np.asarray(image).astype(np.int32)
    except (OSError, SyntaxError) as error:
        raise SourceError(f"mask {str(path)!r} cannot be read: {error}") from None


def _voc_root(root, needed):
    root = Path(root).expanduser()
    if not (root / needed).is_dir():
        raise SourceError(f"`data` must be a VOC directory with {needed}/. Received: data={str(root)!r}")
    return root


def _split_names(root, kind, split):
    folder = root / "ImageSets" / kind
    file = folder / f"{split}.txt"
    if not file.is_file():
        found = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise SourceError(f"`data`: {str(folder)!r} has no split {split!r}; it has {found}")
    lines = file.read_text(encoding="utf-8").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise SourceError(f"`data`: split {split!r} of {str(root)!r} is empty")
    return names


def _picture(folder, name):
    for extension in EXTENSIONS:
        for path in (folder / f"{name}{extension}", folder / f"{name}{extension.upper()}"):
            if path.is_file():
                return str(path)
    raise SourceError(f"`data`: picture {str(folder / name)!r} is missing")


def _listed_classes(root, skip=None):
    file = root / "classes.txt"
    if not file.is_file():
        return None
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return tuple(names[1:] if names and names[0] == skip else names)


@functools.lru_cache(maxsize=8)
def _annotated_classes(root):
    files = sorted(Path(root, "Annotations").glob("*.xml"))
    return tuple(sorted({element.findtext("name", "") for file in files for element in _objects(file)}))


def _counted_classes(masks):
    largest = max(int(np.max(values[values != IGNORE], initial=0)) for values in map(read_indices, masks))
    return tuple(str(number) for number in range(largest + 1))


def _objects(file):
    try:
        return ElementTree.parse(file).getroot().findall("object")
    except (OSError, ElementTree.ParseError) as error:
        raise SourceError(f"annotation {str(file)!r} cannot be read: {error}") from None


def _read_annotation(file, numbers):
    boxes, labels, difficult = [], [], []
    for element in _objects(file):
        name = element.findtext("name", "").strip()
        if name not in numbers:
            raise SourceError(f"annotation {str(file)!r} names the class {name!r}; known: {', '.join(numbers)}")
        try:
            # VOC 2007 and 2012 have some coordinates with decimals.
            corners = [float(element.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError:
            raise SourceError(f"annotation {str(file)!r}: an object {name!r} has no box of four numbers") from None
        box = [corners[0] - 1.0, corners[1] - 1.0, corners[2], corners[3]]
        if not (box[0] < box[2] and box[1] < box[3]):
            raise SourceError(f"annotation {str(file)!r}: a box of {name!r} has no area: {corners}")
        boxes.append(box)
        labels.append(numbers[name])
        difficult.append(element.findtext("difficult", "0").strip() == "1")
    shaped = np.array(boxes, np.float32).reshape(-1, 4)
    return shaped, np.array(labels, np.int32), np.array(difficult, bool)
