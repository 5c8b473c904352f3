"""The grid under test, as a client sees it."""

import hashlib
import itertools
import os
import time
import uuid

import grpc

from protos import bs, bs_grpc, re, re_grpc

SECONDS = 60
CHUNK = 1 << 20


def digest(data):
    return re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def noise(size):
    """Bytes that nobody has stored before and that do not compress."""
    return os.urandom(size)


def failure(call):
    """The error that `call` ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("The call succeeded")


def expect(error, code, *words):
    told = f"{error.code().name}: {error.details()}"
    assert error.code().name == code, told
    for word in words:
        assert word in told, f"{word!r} is not in {told}"


class Grid:
    """Endpoint, certificates and instance name, and what every case does with them."""

    def __init__(self, endpoint, instance, tls=None, given=""):
        self.given = given
        self.endpoint = endpoint
        self.instance = instance
        self.tls = tls
        self._salt = itertools.count()

    def credentials(self):
        read = lambda key: open(self.tls[key], "rb").read() if self.tls.get(key) else None
        return grpc.ssl_channel_credentials(read("ca"), read("key"), read("cert"))

    def channel(self, compression=None, **options):
        """A channel; options are channel arguments without their `grpc.`, with `__` for a dot."""
        # A pool of its own: channels with equal arguments would share one connection.
        named = {"use_local_subchannel_pool": 1, **options}
        arguments = [("grpc." + name.replace("__", "."), value) for name, value in named.items()]
        if self.tls is None:
            return grpc.insecure_channel(self.endpoint, options=arguments, compression=compression)
        return grpc.secure_channel(self.endpoint, self.credentials(), options=arguments, compression=compression)

    # Names

    def read_name(self, wanted):
        return f"{self.instance}/blobs/{wanted.hash}/{wanted.size_bytes}"

    def write_name(self, wanted):
        return f"{self.instance}/uploads/{uuid.uuid4()}/blobs/{wanted.hash}/{wanted.size_bytes}"

    # Blobs

    def chunks(self, data, size=CHUNK):
        name = self.write_name(digest(data))
        for offset in range(0, len(data), size):
            part = data[offset:offset + size]
            yield bs.WriteRequest(
                resource_name=name if offset == 0 else "",
                write_offset=offset,
                data=part,
                finish_write=offset + len(part) == len(data),
            )

    def write(self, channel, data, size=CHUNK):
        """Uploads by ByteStream."""
        answer = bs_grpc.ByteStreamStub(channel).Write(self.chunks(data, size), timeout=SECONDS)
        assert answer.committed_size == len(data), answer
        return digest(data)

    def batch(self, channel, *blobs):
        """Uploads by BatchUpdateBlobs."""
        requests = [re.BatchUpdateBlobsRequest.Request(digest=digest(blob), data=blob) for blob in blobs]
        answer = re_grpc.ContentAddressableStorageStub(channel).BatchUpdateBlobs(
            re.BatchUpdateBlobsRequest(instance_name=self.instance, requests=requests), timeout=SECONDS
        )
        assert [each.status.code for each in answer.responses] == [0] * len(blobs), answer
        return [digest(blob) for blob in blobs]

    def read(self, channel, wanted):
        """Downloads by ByteStream."""
        request = bs.ReadRequest(resource_name=self.read_name(wanted))
        return b"".join(part.data for part in bs_grpc.ByteStreamStub(channel).Read(request, timeout=SECONDS))

    def missing(self, channel, *wanted):
        request = re.FindMissingBlobsRequest(instance_name=self.instance, blob_digests=wanted)
        stub = re_grpc.ContentAddressableStorageStub(channel)
        return list(stub.FindMissingBlobs(request, timeout=SECONDS).missing_blob_digests)

    # Actions

    def action(self, channel, script, outputs=(), root=b"", cached=False):
        """Uploads an action that runs `script`; no two are alike."""
        command = re.Command(
            arguments=["/bin/sh", "-c", script],
            environment_variables=[re.Command.EnvironmentVariable(name="PATH", value="/usr/bin:/bin")],
            output_paths=outputs,
        ).SerializeToString()
        action = re.Action(
            command_digest=digest(command),
            input_root_digest=digest(root),
            do_not_cache=not cached,
            salt=f"{os.getpid()}-{next(self._salt)}".encode(),
        ).SerializeToString()
        self.batch(channel, *([command, action, root] if root else [command, action]))
        return digest(action)

    def execute(self, channel, action, **options):
        """Begins an execution: the call."""
        request = re.ExecuteRequest(instance_name=self.instance, action_digest=action)
        return re_grpc.ExecutionStub(channel).Execute(request, **options)

    def run(self, channel, script, **more):
        """Runs `script` to its end: the response."""
        last = list(self.execute(channel, self.action(channel, script, **more), timeout=SECONDS))[-1]
        return response_of(last)


def response_of(operation):
    assert operation.done, operation
    response = re.ExecuteResponse()
    assert operation.response.Unpack(response)
    return response


def stage_of(operation):
    metadata = re.ExecuteOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return re.ExecutionStage.Value.Name(metadata.stage)


def until(condition, what, seconds=SECONDS):
    """Waits for something that the grid does without telling us."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"Not within {seconds} s: {what}"
        time.sleep(0.05)
