"""examples/serve_client.py against a gRPC PredictionService and an HTTP server that answer as TF Serving does."""

import base64
import contextlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfssl.endpoint import encode
from tfssl.errors import ModelError
from tfssl.export.savedmodel import GraphModel


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict of a model server, thin: a graph-mode SavedModel behind the real protocol."""

    def __init__(self, name, served):
        self._name = name
        self._served = served

    def Predict(self, request, context):
        if request.model_spec.name != self._name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}")
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        try:
            answer = self._served.run(request.model_spec.signature_name or "serving_default", inputs)
        except ModelError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        for key, value in answer.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response


@pytest.fixture(scope="module")
def served(exported):
    with GraphModel(exported / "1") as model:
        yield model


@pytest.fixture(scope="module")
def grpc_address(served):
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService("colorizer", served), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def rest_handler(served):
    """REST of a model server: {"b64": ...} in, outputs called *_bytes as {"b64": ...} out."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/models/colorizer:predict":
                return self.answer(404, {"error": f"Servable not found for request: {self.path}"})
            pictures = [base64.b64decode(instance["b64"], validate=True) for instance in body["instances"]]
            try:
                answer = served.run(body.get("signature_name", "serving_default"), {"image_bytes": pictures})
            except ModelError as error:
                return self.answer(400, {"error": str(error)})
            # Of several outputs each prediction is an object with all of them.
            pairs = zip(answer["png_bytes"], answer["status"], strict=True)
            encoded = [{"png_bytes": {"b64": base64.b64encode(p).decode()}, "status": s.decode()} for p, s in pairs]
            return self.answer(200, {"predictions": encoded})

        def answer(self, status, body):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *arguments):
            pass

    return Handler


@pytest.fixture(scope="module")
def rest_url(served):
    server = HTTPServer(("127.0.0.1", 0), rest_handler(served))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["rest", "grpc"])
def call(request, client, rest_url, grpc_address):
    """The client's function for one protocol, without its address, and the command line's arguments for it."""
    address = {"rest": rest_url, "grpc": grpc_address}[request.param]
    function = {"rest": client.colorize_rest, "grpc": client.colorize_grpc}[request.param]
    function_of = lambda model, pictures: function(address, model, pictures)  # noqa: E731
    function_of.options = [f"--{request.param}", address]
    return function_of


def test_a_batch_of_different_sizes_and_formats(call, served, pictures):
    files = [encode(p, f) for p, f in zip(pictures, ("JPEG", "PNG", "BMP", "GIF", "WEBP"), strict=True)]
    results = call("colorizer", files)
    assert [Image.open(io.BytesIO(data)).size for data, _ in results] == [p.size for p in pictures]
    assert [data for data, _ in results] == list(served.run("colorize_bytes", {"image_bytes": files})["png_bytes"])
    assert {status for _, status in results} == {"ok"}


def test_what_the_server_refuses_is_said_in_words(call, client, pictures, tmp_path, capsys):
    with pytest.raises(RuntimeError, match=r"(?i)servable not found"):
        call("nonsense", [encode(pictures[0])])
    reason = "not a JPEG, PNG, BMP, GIF or WebP file"
    assert [(bool(data), status) for data, status in call("colorizer", [b"no picture", encode(pictures[0])])] == [
        (False, reason),
        (True, "ok"),
    ]
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    source.write_bytes(b"no picture")
    assert client.main([*call.options, str(source), str(target)]) == 1 and not target.exists()
    assert capsys.readouterr().err == f"error: {source}: {reason}\n"


def test_the_command_line_writes_a_png(call, client, pictures, tmp_path, capsys):
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    pictures[1].save(source)
    assert client.main([*call.options, "--model", "colorizer", str(source), str(target)]) == 0
    assert Image.open(target).size == pictures[1].size
    assert client.main([*call.options, str(tmp_path / "none.jpg"), str(target)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_no_server_is_one_line(client, pictures):
    for function, address in ((client.colorize_rest, "http://127.0.0.1:9"), (client.colorize_grpc, "127.0.0.1:9")):
        with pytest.raises(RuntimeError) as caught:
            function(address, "colorizer", [encode(pictures[0])], timeout=5)
        assert "\n" not in str(caught.value)


def test_a_grpc_answer_larger_than_the_default_limit_arrives(client, grpc_address):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1400, 1400), dtype=np.uint8)).convert("RGB")
    ((result, _),) = client.colorize_grpc(grpc_address, "colorizer", [encode(noise, "JPEG")])
    assert len(result) > 4 * 2**20 and Image.open(io.BytesIO(result)).size == noise.size


def test_the_json_round_trip(client, pictures):
    data = [encode(p) for p in pictures[:2]]
    sent = json.loads(json.dumps(client.rest_request(data)))
    assert sent["signature_name"] == "colorize_bytes"
    assert [base64.b64decode(instance["b64"]) for instance in sent["instances"]] == data
    predictions = [{"png_bytes": instance, "status": "ok"} for instance in sent["instances"]]
    assert client.rest_response({"predictions": predictions}) == [(png, "ok") for png in data]


def test_the_service_speaks_the_other_signature_too(grpc_address):
    lightness = np.linspace(0, 100, 32 * 48, dtype=np.float32).reshape(1, 32, 48, 1)
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "colorizer", "predict_ab"
    request.inputs["lightness"].CopyFrom(tf.make_tensor_proto(lightness))
    with contextlib.closing(grpc.insecure_channel(grpc_address)) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    assert tf.make_ndarray(response.outputs["ab"]).shape == (1, 32, 48, 2)
