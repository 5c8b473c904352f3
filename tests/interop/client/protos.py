"""Google's own protobuf compiler and runtime, on the .proto files of the project."""

import importlib
import os
import sys


def compile_protos(root, out):
    """Writes Python modules of all .proto files below `root` to `out`."""
    import grpc_tools
    from grpc_tools import protoc

    own = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    files = []
    for directory, _, names in os.walk(root):
        files += [os.path.relpath(os.path.join(directory, name), root) for name in names if name.endswith(".proto")]
    code = protoc.main(["protoc", f"-I{root}", f"-I{own}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    if code != 0:
        raise SystemExit(f"protoc ended with {code}")


def use(out):
    """Makes the modules in `out` importable."""
    sys.path.insert(0, out)
    # Packages named google and grpc must go together with those of protobuf and gRPC.
    import google
    import grpc

    google.__path__.append(os.path.join(out, "google"))
    grpc.__path__.append(os.path.join(out, "grpc"))


class Lazy:
    """A module that is imported when it is first used."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)


_REAPI = "build.bazel.remote.execution.v2.remote_execution_pb2"
re = Lazy(_REAPI)
re_grpc = Lazy(_REAPI + "_grpc")
bs = Lazy("google.bytestream.bytestream_pb2")
bs_grpc = Lazy("google.bytestream.bytestream_pb2_grpc")
operations = Lazy("google.longrunning.operations_pb2")
details = Lazy("google.rpc.error_details_pb2")
health = Lazy("grpc.health.v1.health_pb2")
health_grpc = Lazy("grpc.health.v1.health_pb2_grpc")
admin = Lazy("brokkr.v1.admin_pb2")
worker = Lazy("brokkr.v1.worker_pb2")
