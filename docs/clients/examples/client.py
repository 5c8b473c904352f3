"""A whole client of a grid in ten steps: runs a command on a file and fetches what it made.

Once: python3 -m pip install grpcio grpcio-tools
      python3 -m grpc_tools.protoc -Iproto --python_out=gen --grpc_python_out=gen $(cd proto && find . -name '*.proto')
Then: PYTHONPATH=gen python3 client.py HOST:PORT INSTANCE FILE OUTPUT COMMAND...
With TLS, the environment names PEM files: BROKKR_CA, and BROKKR_CERT and BROKKR_KEY where the grid asks who you are.
"""

import hashlib
import os
import sys
import time
import uuid

import google
import grpc

# The modules made from the .proto files live beside those that pip brought.
for entry in sys.path:
    if os.path.isdir(os.path.join(entry, "google", "longrunning")):
        google.__path__.append(os.path.join(entry, "google"))

from build.bazel.remote.execution.v2 import remote_execution_pb2 as re
from build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as services
from google.bytestream import bytestream_pb2 as bytestream
from google.bytestream import bytestream_pb2_grpc as bytestream_services

SECONDS = 60
CHUNK_BYTES = 1 << 20


def connect(address):
    """Step 1. One channel serves all calls. A retry policy comes with the SDKs; here UNAVAILABLE ends the program."""
    ca, cert, key = (os.environ.get(f"BROKKR_{name}") for name in ["CA", "CERT", "KEY"])
    if ca is None:
        return grpc.insecure_channel(address)
    read = lambda path: open(path, "rb").read() if path else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(read(ca), read(key), read(cert)))


def digest(data):
    """A blob's name: what its bytes hash to, and how many there are."""
    return re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


class Client:
    def __init__(self, channel, instance):
        self.instance = instance
        self.capabilities = services.CapabilitiesStub(channel)
        self.cas = services.ContentAddressableStorageStub(channel)
        self.stream = bytestream_services.ByteStreamStub(channel)
        self.cache = services.ActionCacheStub(channel)
        self.execution = services.ExecutionStub(channel)

    def check(self):
        """Step 2. What the grid can do: refuse what we would not understand, learn how much fits one batch."""
        told = self.capabilities.GetCapabilities(
            re.GetCapabilitiesRequest(instance_name=self.instance), timeout=SECONDS
        )
        assert re.DigestFunction.SHA256 in told.cache_capabilities.digest_functions
        assert told.execution_capabilities.exec_enabled
        # 0 means that the server sets no limit; a message has one all the same.
        self.batch_bytes = told.cache_capabilities.max_batch_total_size_bytes or 4_000_000

    def upload(self, blobs):
        """Step 5. Ask what is missing, bring only that: small blobs in batches, large ones as streams."""
        by_hash = {digest(blob).hash: blob for blob in blobs}
        asked = re.FindMissingBlobsRequest(
            instance_name=self.instance, blob_digests=[digest(blob) for blob in by_hash.values()]
        )
        missing = self.cas.FindMissingBlobs(asked, timeout=SECONDS).missing_blob_digests
        batch, size = [], 0
        for blob in (by_hash[each.hash] for each in missing):
            if len(blob) > self.batch_bytes // 4:
                self.write(blob)
                continue
            if size + len(blob) > self.batch_bytes:
                self.send(batch)
                batch, size = [], 0
            batch.append(blob)
            size += len(blob)
        if batch:
            self.send(batch)

    def send(self, batch):
        requests = [re.BatchUpdateBlobsRequest.Request(digest=digest(blob), data=blob) for blob in batch]
        request = re.BatchUpdateBlobsRequest(instance_name=self.instance, requests=requests)
        for each in self.cas.BatchUpdateBlobs(request, timeout=SECONDS).responses:
            assert each.status.code == 0, each.status  # each blob has a status of its own

    def write(self, blob):
        wanted = digest(blob)
        name = f"{self.instance}/uploads/{uuid.uuid4()}/blobs/{wanted.hash}/{len(blob)}".lstrip("/")

        def parts():
            for offset in range(0, len(blob), CHUNK_BYTES):
                data = blob[offset:offset + CHUNK_BYTES]
                yield bytestream.WriteRequest(
                    resource_name=name, write_offset=offset, data=data, finish_write=offset + len(data) == len(blob)
                )

        # The answer may come early: somebody else has brought the blob meanwhile.
        assert self.stream.Write(parts(), timeout=SECONDS).committed_size == len(blob)

    def read(self, wanted):
        """Step 10. Fetch a blob, and do not believe it before it has been hashed."""
        if wanted.size_bytes == 0:
            return b""
        name = f"{self.instance}/blobs/{wanted.hash}/{wanted.size_bytes}".lstrip("/")
        parts = self.stream.Read(bytestream.ReadRequest(resource_name=name), timeout=SECONDS)
        data = b"".join(part.data for part in parts)
        assert digest(data) == wanted, "The blob is not what it should be"
        return data

    def lookup(self, action):
        """Step 6. Somebody may have done it before."""
        try:
            request = re.GetActionResultRequest(instance_name=self.instance, action_digest=action)
            return self.cache.GetActionResult(request, timeout=SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def execute(self, action):
        """Steps 7 to 9. Ask for it, listen to its stages, come back when the connection breaks."""
        name = None
        for attempt in range(5):
            try:
                if name is None:
                    request = re.ExecuteRequest(instance_name=self.instance, action_digest=action)
                    operations = self.execution.Execute(request)
                else:
                    operations = self.execution.WaitExecution(re.WaitExecutionRequest(name=name))
                for operation in operations:
                    name = operation.name
                    if operation.done:
                        response = re.ExecuteResponse()
                        operation.response.Unpack(response)
                        return response
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.NOT_FOUND and name is not None:
                    name = None  # the grid has forgotten it: ask anew
                elif error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            time.sleep(2 ** attempt / 10)
        raise SystemExit("The grid cannot be reached")


def main(address, instance, path, output, *command):
    with connect(address) as channel:
        client = Client(channel, instance)
        client.check()

        # Step 3. The inputs, as a tree of directories that name their files by digest, sorted by name.
        content = open(path, "rb").read()
        root = re.Directory(files=[
            re.FileNode(name=os.path.basename(path), digest=digest(content), is_executable=os.access(path, os.X_OK))
        ]).SerializeToString()

        # Step 4. The command, and the action that ties both together: its digest is the key of the cache.
        call = re.Command(
            arguments=command,
            environment_variables=[re.Command.EnvironmentVariable(name="PATH", value="/usr/local/bin:/usr/bin:/bin")],
            output_paths=[output],
        ).SerializeToString()
        platform = re.Platform(properties=[re.Platform.Property(name="OSFamily", value="linux")])
        action = re.Action(
            command_digest=digest(call), input_root_digest=digest(root), platform=platform
        ).SerializeToString()

        result = client.lookup(digest(action))
        cached = result is not None
        if result is None:
            client.upload([content, root, call, action])
            response = client.execute(digest(action))
            if response.status.code != 0:
                # The action did not come to its end. FAILED_PRECONDITION lists blobs to bring again.
                raise SystemExit(f"The grid says: {response.status.message}")
            result = response.result

        sys.stdout.buffer.write(result.stdout_raw or client.read(result.stdout_digest))
        sys.stderr.buffer.write(result.stderr_raw or client.read(result.stderr_digest))
        for file in result.output_files:
            with open(file.path, "wb") as out:
                out.write(client.read(file.digest))
        print(f"exit={result.exit_code} cached={cached}", file=sys.stderr)
        return result.exit_code


if __name__ == "__main__":
    if len(sys.argv) < 6:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
