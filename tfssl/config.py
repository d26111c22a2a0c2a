"""Run configurations: one flat YAML of a method's fields and the settings of a training run, strictly checked."""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field, field_validator, model_validator

from tfssl import methods
from tfssl.errors import ArgumentError, ConfigError, suggest
from tfssl.files import write_text
from tfssl.methods.base import Method, describe
from tfssl.options import as_path
from tfssl.resources import configs


class TrainSettings(pydantic.BaseModel):
    """Everything in a configuration that is not a field of its method.

    Args:
        data: what to learn from, see :meth:`tfssl.methods.base.Method.open`.
        validation: data for a loss that is computed after each epoch; None for none.
        augment: Keras layers that change training images before the method cuts its examples from them, by name and
            arguments: ``[{RandomFlip: {mode: horizontal}}]``; see :class:`tfssl.data.augment.Augmentation`.
        batch_size: examples per step, over all devices together.
        epochs: passes over the data, or blocks of steps_per_epoch steps.
        steps_per_epoch: steps that count as an epoch; None for one pass over the data.
        optimizer: name of a Keras optimizer.
        learning_rate: a number, or a table ``{step: rate}`` of the rates from given steps on. In a run of
            several phases steps count, and the cosine and the warm-up run, from the start of each.
        schedule: ``"constant"`` (or the table), ``"cosine"`` down to zero at the end of training, or ``"linear"`` to
            1 % of the rate over the first 90 % of the steps (as Jenni and Favaro's code).
        warmup_steps: steps over which the rate rises linearly from zero.
        weight_decay: of kernels, per step, relative to the learning rate; None for none.
        weight_decay_form: ``"decoupled"``: beside the update (AdamW's rule), or ``"coupled"``: ``weight_decay * w`` is
            part of the gradient, and goes through momentum and Adam's scaling (Caffe's and Torch's rule).
        learning_rate_scales: ``{pattern of layer names: multiple of the learning rate}`` (``block*``), of several the
            first that matches; for layers that start from ``weights``.
        bias_learning_rate_scale: learning rate of biases as a multiple of that of other weights (Caffe's models: 2).
        bias_weight_decay: whether biases decay as kernels do; scales and offsets of normalizations never do.
        beta_1: first momentum of Adam-like optimizers (None: Keras' default).
        beta_2: second momentum of Adam-like optimizers (None: Keras' default).
        momentum: of sgd and rmsprop, in [0, 1); None for none.
        epsilon: what Adam-like optimizers add to the root of the second moment (None: Keras' default, 1e-7).
        clip_norm: gradients are scaled down to this global norm; None for none.
        step_clip: of sgd with a momentum: largest change of a weight in a step; None for no limit.
        precision: ``"float32"``, ``"mixed_bfloat16"`` or ``"mixed_float16"``.
        devices: number of devices that share each batch (MirroredStrategy); 1 for none. GPUs if there are any,
            logical CPU devices otherwise.
        workers: processes that read and cut examples; 0 for the threads of this one; None for as many as the machine
            has cores if there is a GPU to be fed with files, else 0. The batches are the same.
        seed: of weights, order and augmentation.
        weights: a run directory (of an unfinished run its newest good checkpoint counts) or .keras file to start
            from, all weights of the same network; or ``"imagenet"`` where the method's backbone has such weights;
            None for a fresh start.
        checkpoint_steps: a checkpoint is written every this many steps, and at the end of each epoch.
        baseline_steps: steps after which a warning says if the loss has not beaten the trivial baseline.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    data: str = "builtin"
    validation: str | None = None
    augment: list | None = None
    batch_size: int = Field(32, ge=1)
    epochs: int = Field(10, ge=1)
    steps_per_epoch: int | None = Field(None, ge=1)
    optimizer: str = "adam"
    learning_rate: float | dict[int, float] = 1e-3
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float | None = Field(None, ge=0)
    weight_decay_form: Literal["decoupled", "coupled"] = "decoupled"
    learning_rate_scales: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    bias_learning_rate_scale: float = Field(1.0, gt=0)
    bias_weight_decay: bool = False
    beta_1: float | None = Field(None, ge=0, lt=1)
    beta_2: float | None = Field(None, ge=0, lt=1)
    momentum: float | None = Field(None, ge=0, lt=1)
    epsilon: float | None = Field(None, gt=0)
    clip_norm: float | None = Field(None, gt=0)
    step_clip: float | None = Field(None, gt=0)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    devices: int = Field(1, ge=1)
    workers: int | None = Field(None, ge=0)
    seed: int = Field(0, ge=0, lt=2**32)
    weights: str | None = None
    checkpoint_steps: int = Field(1000, ge=1)
    baseline_steps: int = Field(2000, ge=1)

    @field_validator("learning_rate")
    @classmethod
    def _check_rate(cls, rate):
        rates = rate if isinstance(rate, dict) else {0: rate}
        if 0 not in rates or any(step < 0 or not value > 0 for step, value in rates.items()):
            raise ValueError("must be positive, or a table {step: rate} that begins with step 0")
        return rate

    @model_validator(mode="after")
    def _check_decay(self):
        if not self.weight_decay and (self.weight_decay_form == "coupled" or self.bias_weight_decay):
            raise ValueError("`weight_decay_form` and `bias_weight_decay` need a `weight_decay` above 0")
        return self


@dataclasses.dataclass
class RunConfig:
    """A checked configuration."""

    method: Method
    settings: TrainSettings

    def to_dict(self) -> dict[str, Any]:
        """The flat dict that :func:`parse_config` reads back to an equal configuration."""
        return {
            "method": self.method.name(),
            **self.method.model_dump(mode="json"),
            **self.settings.model_dump(mode="json"),
        }

    def save(self, path: str | os.PathLike) -> None:
        write_text(path, yaml.safe_dump(self.to_dict(), sort_keys=False))


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Check a flat dict ``{"method": NAME, field: value, ...}``.

    Raises:
        ConfigError: one line naming the key, the value and the fix; unknown keys name the nearest known one.
    """
    if not isinstance(values, Mapping):
        raise ArgumentError(f"`values` must be a dict {{key: value}}. Received: {type(values).__name__}")
    values = dict(values)
    if "method" not in values:
        raise ConfigError("missing key `method`: one of " + ", ".join(methods.names()))
    method_class = methods.get(values.pop("method"))
    fields, settings = method_class.model_fields, TrainSettings.model_fields
    for key in values:
        if key not in fields and key not in settings:
            fix = suggest(key, [*fields, *settings], "known keys")
            fix = f"it is now called `{_FORMER_KEYS[key]}`" if key in _FORMER_KEYS else fix
            raise ConfigError(f"unknown key `{key}`: {fix}")
    method = method_class(**{k: v for k, v in values.items() if k in fields})
    try:
        return RunConfig(method, TrainSettings(**{k: v for k, v in values.items() if k in settings}))
    except pydantic.ValidationError as error:
        raise ConfigError(describe(error, TrainSettings)) from None


Override = str | tuple[str, str | list[str]]


def load_config(path: str | os.PathLike, overrides: Iterable[Override] = ()) -> RunConfig:
    """Read a configuration file and apply command-line overrides.

    Args:
        path: YAML file, or a name such as ``colorization/cpu`` of a configuration that ships with the package. The
            ``config.yaml`` of a run may have been written by an earlier version, see :func:`renamed`.
        overrides: ``key=value`` strings, or pairs of them; values are read as YAML, so ``crop_area=[0.4,1]`` works,
            but those of keys that hold text are taken as they are.

    Raises:
        ConfigError: if the file is missing or not a flat mapping, or a key or value is wrong.
    """
    file = find_config(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from None
    values = read_yaml(text, str(file))
    if not isinstance(values, dict):
        raise ConfigError(f"{file} must be a flat mapping `key: value`")
    if file.name == "config.yaml":
        values = renamed(values, values.get("method"))
    values |= read_overrides(overrides, _text_keys(values.get("method")))
    try:
        return parse_config(values)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


_FORMER_KEYS = {
    "autoencoder_rate": "autoencoder_learning_rate_scale",
    "autoencoder_share": "autoencoder_fraction",
    "critic_rate": "discriminator_learning_rate_scale",
    "downsample_share": "downsample_fraction",
    "downsample_side": "downsample_size",
    "gray_share": "gray_fraction",
    "network_side": "image_size",
    "projection_share": "projection_fraction",
    "random_crop": "crop_position",
}
_FORMER_VALUES = {
    ("mask_per", "picture"): "image",
    ("crop_position", True): "random",
    ("crop_position", False): "center",
}


# Paper networks that had Keras' constants of batch normalization before there were fields for them.
_FORMERLY_KERAS = {
    "colorization": ("paper", "alexnet"),
    "split_brain": ("alexnet",),
    "context_prediction": ("alexnet", "figure", "vgg"),
}


def renamed(values: Mapping[str, Any], method: Any) -> dict[str, Any]:
    """The values of a run or an export under the names that keys have now; what a later version added as it was."""
    values = {_FORMER_KEYS.get(key, key): value for key, value in values.items()}
    values |= {key: now for (key, former), now in _FORMER_VALUES.items() if values.get(key) == former}
    if values.get("backbone") in _FORMERLY_KERAS.get(method, ()):
        values = {"batch_norm_epsilon": 1e-3, "batch_norm_momentum": 0.99} | values
    if values.get("prior") == "photographs" and values.get("prior_sigma") == 5.0:
        values["prior_sigma"] = None  # the same
    return values


def read_overrides(overrides: Iterable[Override], text_keys: Iterable[str] = ()) -> dict[str, Any]:
    """``key=value`` strings, or pairs ``(key, value)`` and ``(key, [value, ...])`` as a dict.

    Values are read as YAML; those of ``text_keys`` are text as it stands, None for null.
    """
    values = {}
    for override in overrides:
        if isinstance(override, tuple):
            key, given = override
        else:
            key, equals, given = override.partition("=")
            if not equals:
                raise ConfigError(f"an override must look like key=value. Received: {override!r}")
        key = key.strip()
        read = [_read_value(text, key, key in text_keys) for text in ([given] if isinstance(given, str) else given)]
        values[key] = read[0] if isinstance(given, str) else read
    return values


def _read_value(text, key, is_text):
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if is_text and not quoted:
        return None if text in ("", "~", "null") else text
    value = read_yaml(text, f"the value of `{key}`")
    return text if isinstance(value, str) and not quoted else value  # YAML cuts off what follows #


def _text_keys(method):
    fields = dict(TrainSettings.model_fields)
    if isinstance(method, str) and (method in methods.names() or ":" in method):
        fields |= methods.get(method).model_fields
    return {name for name, field in fields.items() if field.annotation in (str, str | None)}


_YAML_LENGTH = 2**18  # characters: a configuration has a few thousand
_YAML_NODES = 10_000
_LONGEST_NUMBER = 100


def read_yaml(text: str, what: str) -> Any:
    """The value of a YAML text that a stranger may have written; ConfigError, which begins with ``what``."""
    try:
        if len(text) > _YAML_LENGTH:
            raise ValueError(f"it has more than {_YAML_LENGTH} characters")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count_nodes(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise ConfigError(f"{what} is not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{what} is not valid YAML: {reason[:200]}") from None


def _count_nodes(node, counts):
    """Nodes below one, those behind aliases each time they are meant; ValueError if there are too many."""
    if id(node) in counts:
        if counts[id(node)] is None:
            raise ValueError("an alias holds itself")
        return counts[id(node)]
    counts[id(node)], count = None, 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(node.value)} characters")
    else:
        for child in node.value:
            count += sum(_count_nodes(part, counts) for part in (child if isinstance(child, tuple) else (child,)))
    if count > _YAML_NODES:
        raise ValueError(f"it stands for more than {_YAML_NODES} values; write them without aliases")
    counts[id(node)] = count
    return count


def find_config(path: str | os.PathLike) -> Path:
    """The file of a configuration given by path or by the name of a shipped one."""
    path = as_path("config", path)
    for candidate in (path, configs() / path, configs() / f"{path}.yaml"):
        if candidate.is_file():
            return candidate
    # A path such as configs/colorization/cpu.yaml also works outside a checkout.
    parts = path.parts
    if parts[:1] == ("configs",) and (configs() / Path(*parts[1:])).is_file():
        return configs() / Path(*parts[1:])
    shipped = sorted(str(p.relative_to(configs())) for p in configs().glob("*/*.yaml"))
    close = difflib.get_close_matches(str(path), [name.removesuffix(".yaml") for name in shipped], n=1)
    nearest = f"; did you mean `{close[0]}`?" if close else ""
    raise ConfigError(f"no configuration {str(path)!r}{nearest}; shipped ones: {', '.join(shipped) or 'none'}")
