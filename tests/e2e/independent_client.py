"""A client of the grid that shares no code with it: Google's gRPC and protobuf for Python.

Usage: independent_client.py PROTO_ROOT ENDPOINT INSTANCE

Compiles the .proto files of PROTO_ROOT, then asks for capabilities, uploads a tree, executes an action and fetches what
it made. Every message it sends carries a field of a later version of the API. Prints one line of JSON.
"""

import hashlib
import importlib
import json
import os
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc



def find_root(root):
    """Paths of all .proto files below `root`, relative to it."""
    found = []
    for directory, _, names in os.walk(root):
        found += [os.path.relpath(os.path.join(directory, name), root) for name in names if name.endswith(".proto")]
    return sorted(found)


def compile_protos(root, out):
    import grpc_tools

    own = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    files = find_root(root)
    code = protoc.main(["protoc", f"-I{root}", f"-I{own}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    if code != 0:
        raise SystemExit(f"protoc ended with {code}")
    sys.path.insert(0, out)
    # Packages named google must go together with protobuf's own.
    import google

    google.__path__.append(os.path.join(out, "google"))
    return files


def module(name):
    return importlib.import_module(name)


def main(proto_root, endpoint, instance):
    out = tempfile.mkdtemp(prefix="brokkr-e2e-py-")
    try:
        compile_protos(proto_root, out)
        print(json.dumps(talk(endpoint, instance)))
    finally:
        import shutil

        shutil.rmtree(out)


# Field 536870911, the highest there is, with four bytes.
UNKNOWN = b"\xfa\xff\xff\xff\x0f\x04late"


def talk(endpoint, instance):
    re = module("build.bazel.remote.execution.v2.remote_execution_pb2")
    re_grpc = module("build.bazel.remote.execution.v2.remote_execution_pb2_grpc")
    bs = module("google.bytestream.bytestream_pb2")
    bs_grpc = module("google.bytestream.bytestream_pb2_grpc")

    def late(message):
        """The message with a field that this version does not know."""
        return type(message).FromString(message.SerializeToString() + UNKNOWN)

    def digest(data):
        return re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    with grpc.insecure_channel(endpoint) as channel:
        capabilities = re_grpc.CapabilitiesStub(channel).GetCapabilities(
            late(re.GetCapabilitiesRequest(instance_name=instance)), timeout=30
        )
        cas = re_grpc.ContentAddressableStorageStub(channel)
        stream = bs_grpc.ByteStreamStub(channel)

        content = b"from python\n" * 3
        large = bytes(range(256)) * 20000  # five million bytes
        directory = late(re.Directory(files=[
            re.FileNode(name="content", digest=digest(content)),
            re.FileNode(name="large", digest=digest(large)),
        ])).SerializeToString()
        command = late(re.Command(
            arguments=["/bin/sh", "-c", "cat content; cat large > copy; mkdir -p d/e; wc -c < large > d/e/size"],
            environment_variables=[re.Command.EnvironmentVariable(name="PATH", value="/usr/bin:/bin")],
            output_paths=["copy", "d", "gone"],
        )).SerializeToString()
        action = late(re.Action(
            command_digest=digest(command), input_root_digest=digest(directory)
        )).SerializeToString()
        small = [content, directory, command, action]

        missing = cas.FindMissingBlobs(late(re.FindMissingBlobsRequest(
            instance_name=instance, blob_digests=[digest(blob) for blob in [*small, large]]
        )), timeout=30)
        updated = cas.BatchUpdateBlobs(late(re.BatchUpdateBlobsRequest(instance_name=instance, requests=[
            re.BatchUpdateBlobsRequest.Request(digest=digest(blob), data=blob) for blob in small
        ])), timeout=30)

        def chunks():
            name = f"{instance}/uploads/{uuid.uuid4()}/blobs/{digest(large).hash}/{len(large)}"
            for offset in range(0, len(large), 1 << 20):
                data = large[offset:offset + (1 << 20)]
                yield late(bs.WriteRequest(
                    resource_name=name if offset == 0 else "",
                    write_offset=offset,
                    data=data,
                    finish_write=offset + len(data) == len(large),
                ))

        written = stream.Write(chunks(), timeout=30)

        stages, names, response = [], set(), None
        for operation in re_grpc.ExecutionStub(channel).Execute(late(re.ExecuteRequest(
            instance_name=instance, action_digest=digest(action)
        )), timeout=60):
            metadata = re.ExecuteOperationMetadata()
            assert operation.metadata.Unpack(metadata)
            stages.append(re.ExecutionStage.Value.Name(metadata.stage))
            names.add(operation.name)
            if operation.done:
                response = re.ExecuteResponse()
                assert operation.response.Unpack(response)
        result = response.result

        def read(wanted):
            name = f"{instance}/blobs/{wanted.hash}/{wanted.size_bytes}"
            return b"".join(part.data for part in stream.Read(late(bs.ReadRequest(resource_name=name)), timeout=30))

        tree = re.Tree.FromString(read(result.output_directories[0].tree_digest))
        cached = re_grpc.ActionCacheStub(channel).GetActionResult(late(re.GetActionResultRequest(
            instance_name=instance, action_digest=digest(action)
        )), timeout=30)

        absent = digest(b"nobody has this")
        bad = re.Action(command_digest=absent, input_root_digest=digest(directory)).SerializeToString()
        cas.BatchUpdateBlobs(re.BatchUpdateBlobsRequest(instance_name=instance, requests=[
            re.BatchUpdateBlobsRequest.Request(digest=digest(bad), data=bad)
        ]), timeout=30)
        failed = re.ExecuteResponse()
        list(re_grpc.ExecutionStub(channel).Execute(re.ExecuteRequest(
            instance_name=instance, action_digest=digest(bad)
        ), timeout=60))[-1].response.Unpack(failed)
        details = module("google.rpc.error_details_pb2")
        precondition = details.PreconditionFailure()
        failed.status.details[0].Unpack(precondition)

        try:
            cas.FindMissingBlobs(re.FindMissingBlobsRequest(instance_name="a//b"), timeout=30)
            refused = None
        except grpc.RpcError as error:
            refused = error.code().name

        return {
            "api": [capabilities.low_api_version.major, capabilities.high_api_version.minor],
            "exec": capabilities.execution_capabilities.exec_enabled,
            "missing": len(missing.missing_blob_digests),
            "updated": [each.status.code for each in updated.responses],
            "committed": written.committed_size,
            "stages": list(dict.fromkeys(stages)),
            "names": len(names),
            "status": response.status.code,
            "stdout": read(result.stdout_digest).decode(),
            "copied": read(result.output_files[0].digest) == large,
            "files": [file.path for file in result.output_files],
            "tree": [node.name for node in tree.root.directories],
            "cached": cached == result,
            "failed": [failed.status.code, [violation.subject for violation in precondition.violations]],
            "absent": f"blobs/{absent.hash}/{absent.size_bytes}",
            "refused": refused,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
