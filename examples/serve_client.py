"""Colorize a picture with a model server, over REST or gRPC.

    python examples/serve_client.py --rest http://localhost:8501 --model colorizer IN.jpg OUT.png
    python examples/serve_client.py --grpc localhost:8500 --model colorizer IN.jpg OUT.png

REST needs nothing but Python; gRPC needs the package tensorflow-serving-api. docs/serving.md says how to start the
server.
"""

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def rest_request(pictures):
    """The JSON body of a REST call: binary values are base64 in ``{"b64": ...}``.

    Args:
        pictures: list of ``bytes``, encoded JPEG, PNG, BMP, GIF or WebP.
    """
    return {
        "signature_name": "colorize_bytes",
        "instances": [{"b64": base64.b64encode(picture).decode("ascii")} for picture in pictures],
    }


def rest_response(body):
    """``[(PNG, status), ...]`` of a REST answer: outputs whose names end in ``_bytes`` come as ``{"b64": ...}``."""
    return [(base64.b64decode(p["png_bytes"]["b64"]), p["status"]) for p in body["predictions"]]


def colorize_rest(url, model, pictures, timeout=60.0):
    """Colorize pictures over REST.

    Args:
        url: such as ``http://localhost:8501``.
        model: name of the model on the server.
        pictures: list of ``bytes``, encoded pictures; sizes may differ.
        timeout: seconds to wait.

    Returns:
        ``[(PNG, status), ...]``: ``bytes`` of a PNG as large as the picture, and ``"ok"``; of a picture that cannot
        be read ``b""`` and the reason.

    Raises:
        RuntimeError: with what the server said, if it refuses them all or cannot be reached.
    """
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/models/{model}:predict",
        data=json.dumps(rest_request(pictures)).encode("utf-8"),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return rest_response(json.load(response))
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"the server answers {error.code}: {_reason(error.read())}") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise RuntimeError(f"no server at {url}: {getattr(error, 'reason', error)}") from None


def _reason(body):
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")


def colorize_grpc(address, model, pictures, timeout=60.0):
    """Colorize pictures over gRPC; arguments and result as :func:`colorize_rest`, with ``address`` as ``host:port``."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "colorize_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(pictures, dtype=tf.string, shape=[len(pictures)]))
    # gRPC refuses messages over 4 MB unless told otherwise; a photograph as PNG is easily larger.
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=unlimited) as channel:
        try:
            response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            raise RuntimeError(f"the server answers {error.code().name}: {error.details()}") from None
    status = [text.decode() for text in response.outputs["status"].string_val]
    return list(zip(response.outputs["png_bytes"].string_val, status, strict=True))


def main(arguments=None):
    """Colorize one file. Exit status 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(description="Colorize a picture with a model server.")
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--rest", metavar="URL", help="such as http://localhost:8501")
    server.add_argument("--grpc", metavar="HOST:PORT", help="such as localhost:8500")
    parser.add_argument("--model", default="colorizer", help="name of the model on the server")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait")
    parser.add_argument("input", type=Path, help="JPEG, PNG, BMP, GIF or WebP")
    parser.add_argument("output", type=Path, help="PNG to write")
    options = parser.parse_args(arguments)
    call, address = (colorize_rest, options.rest) if options.rest else (colorize_grpc, options.grpc)
    try:
        ((picture, status),) = call(address, options.model, [options.input.read_bytes()], options.timeout)
        if status != "ok":
            raise RuntimeError(f"{options.input}: {status}")
        options.output.write_bytes(picture)
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
