"""What TensorFlow Serving wants beside a SavedModel: warm-up requests and a model configuration."""

from pathlib import Path

import tensorflow as tf

from tfssl.errors import ModelError

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
"""Where the server looks, below the version folder."""

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


def serving_protos():
    """The protocol messages of TensorFlow Serving.

    Returns:
        Modules ``(model_server_config_pb2, predict_pb2, prediction_log_pb2)``.

    Raises:
        ModelError: if tensorflow-serving-api is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
        from tensorflow_serving.config import model_server_config_pb2
    except ImportError:
        raise ModelError(
            "exports need the package tensorflow-serving-api; pip install tensorflow-serving-api"
        ) from None
    return model_server_config_pb2, predict_pb2, prediction_log_pb2


def write_config(path, name):
    """Write the text of a ``ModelServerConfig`` for one model."""
    Path(path).write_text(_CONFIG_TEXT.format(name=name), encoding="utf-8")


def read_config(path):
    """Parse a ``ModelServerConfig``.

    Returns:
        The message.

    Raises:
        ModelError: with the line that does not parse, or saying what is missing.
    """
    from google.protobuf import text_format

    config = serving_protos()[0].ModelServerConfig()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{CONFIG} is no ModelServerConfig: {' '.join(str(error).split())}") from None
    models = config.model_config_list.config
    if not models:
        raise ModelError(f"{CONFIG} names no model (model_config_list.config is empty)")
    for model in models:
        if not model.name or not model.base_path.startswith("/") or model.model_platform != "tensorflow":
            raise ModelError(
                f'{CONFIG}: a model needs a name, an absolute base_path and model_platform "tensorflow". Received: '
                f"{' '.join(str(model).split())}"
            )
    return config


def write_warmup(path, name, requests):
    """Write warm-up requests: TFRecords of ``PredictionLog``.

    Args:
        path: the file, see :data:`WARMUP`.
        name: the model's name.
        requests: list of ``(signature name, {input name: array})``.
    """
    _, predict_pb2, prediction_log_pb2 = serving_protos()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def read_warmup(path):
    """Parse warm-up requests.

    Returns:
        List of ``(signature name, {input name: array})``.

    Raises:
        ModelError: if a record is damaged or no predict request.
    """
    from google.protobuf.message import DecodeError

    logs = []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = serving_protos()[2].PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise ModelError(f"warm-up record {len(logs)} is no predict request")
            request = log.predict_log.request
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            logs.append((request.model_spec.signature_name, inputs))
    except (tf.errors.OpError, DecodeError) as error:
        raise ModelError(f"warm-up record {len(logs)} is damaged: {' '.join(str(error).split())[:120]}") from None
    return logs
