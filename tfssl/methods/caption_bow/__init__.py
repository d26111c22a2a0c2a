"""Learning Visual Features from Large Weakly Supervised Data (Joulin et al., ECCV 2016): tell the words of captions."""

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from tfssl.data.crop import Crop
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import CropArea, Method, Paper, check_resize
from tfssl.methods.caption_bow import data

_SMALLEST = {"alexnet": 63, "googlenet": 32, "small": 32}  # pixels that the last map needs, of others 32


class CaptionBow(Method):
    """Tell the bag of words of an image's captions.

    Words are runs of letters, in lower case and of any language, that count once an image. The most frequent ones are
    dropped, the next ``words`` are the vocabulary: :meth:`adapt` learns it. Each word has a weight vector, which is
    also its embedding.

    There is no official code. Defaults are the paper's, of the lectures' account of it; sizes of AlexNet's layers,
    dropout and ``resize`` are recalled, not confirmed.

    Args:
        words: K, size of the vocabulary (1,000, 10,000 or 100,000); fewer where the captions hold fewer.
        drop: most frequent words that are left out (500, of 100 million images); or, below 1, the fraction of all
            different words, for small sets.
        objective: ``"multi_class"``: one softmax for all words, better in all of the paper's experiments; or
            ``"one_vs_all"``: a logistic loss for each word, images with and without it weighing the same.
        candidates: words of which the softmax of an image is made: those to tell and others drawn at random (128); null
            for all of the vocabulary.
        sampling: ``"words"``: a word is drawn evenly, then an image that has it; that word is to be told, the others of
            the image are neither told nor wrong. ``"images"``: images are drawn, all of their words are to be told.
        resize: images are scaled so that their shorter side has this many pixels (256); null keeps them.
        crop_size: of what the network sees, in pixels (224).
        crop_position: in training the ``"center"`` (paper), or ``"random"``, then also mirrored.
        crop_area: (smallest, largest) fraction of the area that a random crop covers; null cuts ``crop_size`` pixels.
        backbone: ``"alexnet"`` (grouped), ``"googlenet"`` (without auxiliary classifiers) or ``"small"`` (five
            convolutions with batch normalization, for CPUs).
        fc: units of the layers before the scores (4096, 4096); may be empty.
        dropout: fraction of units dropped before and between them, in [0, 1) (0.5).
    """

    paper: ClassVar[Paper] = Paper(
        "Learning Visual Features from Large Weakly Supervised Data",
        "Joulin, van der Maaten, Jabri, Vasilache",
        "ECCV",
        2016,
    )
    inputs: ClassVar[str] = "photographs with captions"
    kind: ClassVar[str] = "captions"
    output_layers: ClassVar[tuple[str, ...]] = ("word_vectors",)

    words: int = Field(1000, ge=2, le=2**24)
    drop: int | float = Field(500, ge=0)
    objective: Literal["multi_class", "one_vs_all"] = "multi_class"
    candidates: int | None = Field(128, ge=2)
    sampling: Literal["words", "images"] = "words"
    resize: int | None = Field(256, ge=8)
    crop_size: int = Field(224, ge=8)
    crop_position: Literal["center", "random"] = "center"
    crop_area: CropArea = None
    backbone: Annotated[Any, Backbone("alexnet", "googlenet", "small")] = "alexnet"
    fc: tuple[Annotated[int, Field(ge=1)], ...] = (4096, 4096)
    dropout: float = Field(0.5, ge=0, lt=1)

    _index: dict = PrivateAttr(default_factory=dict)
    _balanced: tuple = PrivateAttr(default=(None, None))  # a source, and the same drawn by words

    @model_validator(mode="after")
    def _check(self):
        if self.drop >= 1 and self.drop != int(self.drop):
            raise ValueError(f"`drop` must be a number of words, or a fraction below 1. Received: drop={self.drop}")
        check_resize(self.resize, self.crop_size)
        smallest = _SMALLEST.get(str(self.backbone), 32)
        if self.crop_size < smallest:
            raise ValueError(
                f"`crop_size` must be at least {smallest} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        if self.objective == "one_vs_all" and (self.candidates is not None or self.sampling == "words"):
            raise ValueError("`objective` one_vs_all scores all words of images: set candidates=null sampling=images")
        if self.sampling == "words" and self.candidates is None:
            raise ValueError("`sampling` words leaves words of an image out: set candidates, or sampling=images")
        if self.crop_area is not None and self.crop_position == "center":
            raise ValueError("`crop_area` is of random crops: set crop_position=random")
        return self

    @property
    def crop(self):
        return Crop(self.crop_size, resize=self.resize, area=self.crop_area)

    @property
    def min_size(self):
        return self.crop.min_size

    @property
    def index(self):
        """The vocabulary, ``{word: number}``."""
        if not self._index:
            raise ConfigError("the method has no vocabulary: give it one, method.adapted(method.adapt(source))")
        return self._index

    def open(self, data):
        if isinstance(data, Source):
            return data
        from tfssl.data.captions import captioned_source

        return captioned_source(data, min_size=self.min_size)

    def adapt(self, source):
        """The vocabulary: ``words``, the images that have each (``counts``), and how many have any (``images``)."""
        return data.vocabulary(source, self.words, self.drop)

    def adapted(self, statistics):
        method = super().adapted(statistics)
        method._balanced = (None, None)
        method._index = {str(word): number for number, word in enumerate(statistics.get("words", ()))}
        return method

    def sample(self, example, rng, training):
        """Image uint8 (s, s, 3), words int32 (T,), and with candidates marks int8 (T,), see :mod:`.data`."""
        return data.draw(self, example, rng, training)

    def prepare(self, images, words, marks=None):
        import tensorflow as tf

        images = tf.cast(images, tf.float32) / 255.0
        return (images, words) if marks is None else ({"image": images, "words": words}, marks)

    def dataset(self, data, *, batch_size, training=True, augment=None, **options):
        """As :meth:`tfssl.methods.base.Method.dataset`; without statistics the vocabulary is that of the data itself.

        With ``sampling: words`` an epoch has every word equally often, as often as the most frequent one has images.
        """
        source = self.open(data)
        method = self if self.statistics else self.adapted(self.adapt(source))
        if training and self.sampling == "words":
            source = method.balanced(source)
        return super(CaptionBow, method).dataset(
            source, batch_size=batch_size, training=training, augment=augment, **options
        )

    def balanced(self, source):
        """The source with items drawn by words, see :class:`tfssl.methods.caption_bow.data.WordBalanced`."""
        read = getattr(source, "source", source)
        if self._balanced[0] is not read:  # training asks again for every epoch
            self._balanced = read, data.word_balanced(read, self.index)
        return source.of(self._balanced[1]) if hasattr(source, "of") else self._balanced[1]  # by the same processes

    def model(self, optimizer=None):
        from tfssl.methods.caption_bow import loss
        from tfssl.methods.caption_bow.network import build_network

        words = len(self._index) or self.words
        network = build_network(
            self.backbone,
            size=self.crop_size,
            words=words,
            candidates=None if self.candidates is None else min(self.candidates, self.words),
            fc=self.fc,
            dropout=self.dropout,
        )
        if self.objective == "one_vs_all":
            known = self.statistics or {"counts": np.ones(words), "images": np.array(words)}
            objective = loss.OneVersusAll(known["counts"].tolist(), int(known["images"]))
        else:
            objective = loss.WordCrossEntropy() if self.candidates is None else loss.SampledCrossEntropy()
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or recalled_optimizer(), objective, jit_compile=False)
        return network

    def encoder(self, model):
        """The convolutions on whole images, RGB in [0, 1], and ``features`` where maps are averaged."""
        from tfssl.methods.caption_bow.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """Loss of equal scores of all words: ln of the words scored, for each to tell; 2 K ln 2 of one-versus-all."""
        words = len(self._index) or self.words
        if self.objective == "one_vs_all":
            return 2 * words * math.log(2)
        told = 1.0
        if self.sampling == "images" and self.statistics:
            told = float(self.statistics["counts"].sum() / self.statistics["images"])
        return told * math.log(words if self.candidates is None else min(words, self.candidates))

    def evaluate(
        self, model, data, *, out=None, limit=None, batch_size=64, similarity=None, analogies=None, vectors=None,
        progress=None,
    ):  # fmt: skip
        from tfssl.methods.caption_bow.evaluate import evaluate

        options = {"limit": limit, "batch_size": batch_size, "progress": progress}
        words = {"similarity": similarity, "analogies": analogies, "vectors": vectors}
        return evaluate(self, model, data, out=out, **options, **words)


def recalled_optimizer():
    """SGD with momentum 0.9 and a learning rate of 0.1, as recalled of the paper; it lowers it when the loss stalls."""
    from tfssl.optimizers import SGD

    return SGD(0.1, momentum=0.9)
