"""What TensorFlow Serving wants beside a SavedModel: warm-up requests and a model configuration.

Their messages are declared here as far as they are used: tensorflow-serving-api is needed by clients only.
"""

import functools
from pathlib import Path

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2

from tfssl.errors import ModelError

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"  # where the server looks, below the version folder

CONFIG = "model.config"
_CONFIG_TEXT = """\
# Configuration for tensorflow_model_server --model_config_file=...
# base_path is where the SERVER sees the folder that holds the version folders (1/, 2/, ...): change it unless you
# mount this folder at /models/{name}, as docs/serving.md does.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

# Message -> {field: (number, type)} of tensorflow_serving/apis/{prediction_log,predict,model}.proto and
# config/model_server_config.proto; a type in brackets repeats. A map is a repeated message of keys and values.
_MESSAGES = {
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, ["Input"])},
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "Input": {"key": (1, "string"), "value": (2, "TensorProto")},
    "ModelServerConfig": {"model_config_list": (1, "ModelConfigList")},
    "ModelConfigList": {"config": (1, ["ModelConfig"])},
    "ModelConfig": {"name": (1, "string"), "base_path": (2, "string"), "model_platform": (4, "string")},
}


@functools.cache
def _message(name):
    field = descriptor_pb2.FieldDescriptorProto
    tensor = tensor_pb2.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name="tfssl_serving.proto", package="tfssl.serving", syntax="proto3", dependency=[tensor.name]
    )
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for key, (number, kind) in fields.items():
            repeated, kind = isinstance(kind, list), kind[0] if isinstance(kind, list) else kind
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            added = declared.field.add(name=key, number=number, label=label)
            if kind == "string":
                added.type = field.TYPE_STRING
            else:
                added.type = field.TYPE_MESSAGE
                added.type_name = f".tfssl.serving.{kind}" if kind in _MESSAGES else f".{tensor.package}.{kind}"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfssl.serving.{name}"))


def write_config(path, name):
    """Write the text of a ``ModelServerConfig`` for one model."""
    Path(path).write_text(_CONFIG_TEXT.format(name=name), encoding="utf-8")


def read_config(path):
    """The models of a ``ModelServerConfig``, with ``name``, ``base_path`` and ``model_platform``."""
    config = _message("ModelServerConfig")()
    try:
        # Fields that are not declared here, such as a version policy, are the server's to judge.
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{CONFIG} is no ModelServerConfig: {' '.join(str(error).split())}") from None
    models = list(config.model_config_list.config)
    if not models:
        raise ModelError(f"{CONFIG} names no model (model_config_list.config is empty)")
    for model in models:
        if not model.name or not model.base_path.startswith("/") or model.model_platform != "tensorflow":
            raise ModelError(
                f'{CONFIG}: a model needs a name, an absolute base_path and model_platform "tensorflow". Received: '
                f"{' '.join(str(model).split())}"
            )
    return models


def write_warmup(path, name, requests):
    """Write warm-up requests to a model, ``[(signature, {input: array}), ...]``: TFRecords of ``PredictionLog``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = _message("PredictionLog")()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs.add(key=key, value=tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def read_warmup(path):
    """The warm-up requests of a file, ``[(signature, {input: array}), ...]``."""
    logs = []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = _message("PredictionLog").FromString(record)
            if not log.HasField("predict_log"):
                raise ModelError(f"warm-up record {len(logs)} is no predict request")
            request = log.predict_log.request
            inputs = {entry.key: tf.make_ndarray(entry.value) for entry in request.inputs}
            logs.append((request.model_spec.signature_name, inputs))
    except (tf.errors.OpError, DecodeError) as error:
        raise ModelError(f"warm-up record {len(logs)} is damaged: {' '.join(str(error).split())[:120]}") from None
    return logs
