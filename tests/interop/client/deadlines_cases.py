"""Deadlines too short for anything."""

import importlib
import threading

import grpc
from google.protobuf import message_factory

from grid import SECONDS, digest, noise
from protos import bs, re

MODULES = [
    "build.bazel.remote.execution.v2.remote_execution_pb2",
    "google.bytestream.bytestream_pb2",
    "google.longrunning.operations_pb2",
    "grpc.health.v1.health_pb2",
    "brokkr.v1.admin_pb2",
    "brokkr.v1.worker_pb2",
]

# What a server may say instead, when it was quicker than the deadline.
DECENT = {"DEADLINE_EXCEEDED", "CANCELLED", "OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION"}


def every_method():
    for name in MODULES:
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            yield from service.methods


def outcome(channel, method, request, timeout):
    """The name of the code that a call of `method` with one message ends with."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    shape = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    call = getattr(channel, shape)(path)
    argument = iter([request]) if method.client_streaming else request
    if shape == "stream_unary":
        return patient(call.future(argument, timeout=timeout))
    try:
        answer = call(argument, timeout=timeout)
        if method.server_streaming:
            for _ in answer:
                pass
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def patient(future):
    """
    The name of the code of a call that sends a stream. gRPC's Python now and then waits for ever for one whose deadline
    passes while it is begun, whatever the server does: its blocking form cannot be used. The server's side is looked at
    afterwards, by the calls that it counts.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(5):
        future.cancel()
        return "DEADLINE_EXCEEDED"
    return future.code().name


# Walks of the whole store: one at a time, so the next is refused while the last one is still being ended.
ONE_AT_A_TIME = {"VerifyStore", "CollectStore", "GetClosure", "GetStoreUsage"}


def case_a_millisecond_on_every_method(grid):
    seen = {}
    # Closing it would wait for what `patient` gave up; it ends with the process.
    channel = grid.channel()
    blob = noise(16 << 20)
    grid.write(channel, blob)
    sleeping = grid.action(channel, "sleep 5")
    requests = {
        "Execute": re.ExecuteRequest(instance_name=grid.instance, action_digest=sleeping),
        "Read": bs.ReadRequest(resource_name=grid.read_name(digest(blob))),
        "Write": next(iter(grid.chunks(noise(2 << 20)))),
        "FindMissingBlobs": re.FindMissingBlobsRequest(
            instance_name=grid.instance, blob_digests=[digest(blob)] * 20_000
        ),
    }
    for method in every_method():
        empty = message_factory.GetMessageClass(method.input_type)()
        request = requests.get(method.name, empty).SerializeToString()
        decent = DECENT | {"RESOURCE_EXHAUSTED"} if method.name in ONE_AT_A_TIME else DECENT
        codes = {outcome(channel, method, request, 0.001) for _ in range(20)}
        assert codes <= decent, (method.full_name, codes)
        seen[method.name] = sorted(codes)
        # A little longer, and the call is under way when its time is up.
        for timeout in [0.003, 0.01, 0.03]:
            code = outcome(channel, method, request, timeout)
            assert code in decent, (method.full_name, timeout, code)
    assert {"Execute", "Read", "Write", "WaitExecution", "GetTree", "Watch", "Connect"} <= seen.keys(), seen
    late = [name for name, codes in seen.items() if "DEADLINE_EXCEEDED" in codes]
    assert {"Execute", "Read", "Write", "FindMissingBlobs"} <= set(late), seen
    return {"methods": len(seen)}


def case_deadlines_in_a_crowd(grid):
    """Hundreds of calls that all end while the server works on them."""
    with grid.channel() as channel:
        blob = noise(4 << 20)
        grid.write(channel, blob)
        request = bs.ReadRequest(resource_name=grid.read_name(digest(blob))).SerializeToString()
        read = channel.unary_stream("/google.bytestream.ByteStream/Read")
        codes = {}
        for round in range(10):
            calls = [read(request, timeout=0.001 * (1 + number % 40)) for number in range(60)]
            for call in calls:
                try:
                    for _ in call:
                        pass
                except grpc.RpcError:
                    pass
                codes[call.code().name] = codes.get(call.code().name, 0) + 1
        assert codes.keys() <= {"OK", "DEADLINE_EXCEEDED", "CANCELLED"}, codes
        assert codes.get("DEADLINE_EXCEEDED", 0) > 100, codes
        assert grid.read(channel, digest(blob)) == blob
