"""Images with boxes, and images with masks: VOC directories, and pairs of folders as CamVid is given out."""

import dataclasses
import functools
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tfssl.data.images import FileSource
from tfssl.data.listing import EXTENSIONS
from tfssl.data.maps import same_size
from tfssl.data.source import Source
from tfssl.errors import SourceError

IGNORE = 255
"""In masks and in :meth:`BoxedImages.presence`: counts for nothing."""

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
        example = {**self.images.example(index), **self.annotation(index)}
        if "mask" in example:
            same_size(image=example["image"], mask=example["mask"])
        if "normals" in example:
            same_size(image=example["image"], normals=example["normals"][..., 0])
        return example

    def annotation(self, index):
        """The other fields of example ``index``, without decoding its image."""
        raise NotImplementedError

    def name(self, index):
        return self.images.name(index)

    def check(self, index):
        self.images.check(index)


@dataclasses.dataclass(frozen=True, eq=False)
class BoxedImages(SplitImages):
    """Images and the objects in them, whose class numbers count ``classes``.

    Examples hold ``boxes``, float32 (N, 4): ``x_min, y_min, x_max, y_max`` in pixels of the file from its upper left
    corner, the left and upper edges of the first pixel and the right and lower edges of the last (VOC's own numbers
    count pixels from 1 and include the last one: its minima are one more, its maxima the same); ``label``, int32 (N,),
    class numbers; ``difficult``, bool (N,), objects that are neither demanded nor counted as mistakes.
    """

    classes: tuple[str, ...]
    objects: tuple[tuple, ...]

    def annotation(self, index):
        return dict(zip(("boxes", "label", "difficult"), self.objects[index], strict=True))

    def presence(self):
        """Which classes occur in which image: int32 (images, classes), 1, 0, or 255 where only as difficult."""
        found = np.zeros((len(self), len(self.classes)), np.int32)
        for row, (_, label, difficult) in zip(found, self.objects, strict=True):
            row[label[difficult]] = IGNORE
            row[label[~difficult]] = 1
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
        return {"mask": mask}


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
    numbers = {name: number for number, name in enumerate(listed)}
    objects = tuple(_read_annotation(root / "Annotations" / f"{name}.xml", numbers) for name in names)
    return BoxedImages(str(root), split, _voc_images(root, names), tuple(listed), objects)


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
    paths = tuple(str(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in EXTENSIONS)
    if not paths:
        raise SourceError(f"`data`: {str(folder)!r} holds no images")
    return FileSource(paths)


def read_indices(path):
    """The numbers that an indexed or gray PNG holds, int32 (H, W); a palette is not applied."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1", "I;16", "I"):
                raise SourceError(f"mask {str(path)!r} is {image.mode}; masks are indexed or gray images")
            return np.asarray(image).astype(np.int32)
    except (OSError, SyntaxError) as error:
        raise SourceError(f"mask {str(path)!r} cannot be read: {error}") from None


def _split_names(root, kind, split):
    folder = root / "ImageSets" / kind
    file = folder / f"{split}.txt"
    if not file.is_file():
        found = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise SourceError(f"`data`: {str(folder)!r} has no split {split!r}; it has {found}")
    names = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise SourceError(f"`data`: split {split!r} of {str(root)!r} is empty")
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
            corners = [float(element.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError:
            raise SourceError(f"annotation {str(file)!r}: an object {name!r} has no box of four numbers") from None
        box = [corners[0] - 1.0, corners[1] - 1.0, corners[2], corners[3]]
        if not (box[0] < box[2] and box[1] < box[3]):
            raise SourceError(f"annotation {str(file)!r}: a box of {name!r} has no area: {corners}")
        boxes.append(box)
        labels.append(numbers[name])
        difficult.append(element.findtext("difficult", "0").strip() == "1")
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int32), np.array(difficult, bool)
