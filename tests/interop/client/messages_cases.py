"""Messages: compressed, too large, and with more metadata than is good."""

import threading
import time

import grpc

from grid import SECONDS, digest, expect, failure, noise
from protos import bs, bs_grpc, re, re_grpc


def compressed(grid, how):
    blob = b"compress me " * 250_000
    with grid.channel(compression=how) as channel:
        assert grid.missing(channel, digest(noise(5))) != []
        small = noise(3) + blob[:100_000]
        grid.batch(channel, small)
        assert grid.read(channel, digest(small)) == small
        large = noise(3) + blob
        grid.write(channel, large)
        assert grid.read(channel, digest(large)) == large
        response = grid.run(channel, "echo squeezed")
        assert grid.read(channel, response.result.stdout_digest) == b"squeezed\n", response


def case_gzip(grid):
    compressed(grid, grpc.Compression.Gzip)


def case_deflate(grid):
    compressed(grid, grpc.Compression.Deflate)


def case_some_messages_compressed_and_some_not(grid):
    data = b"now and then " * 100_000
    with grid.channel() as channel:
        def parts():
            # Each message has its own flag.
            yield from grid.chunks(data, 50_000)

        write = bs_grpc.ByteStreamStub(channel).Write
        assert write(parts(), compression=grpc.Compression.Gzip, timeout=SECONDS).committed_size == len(data)
        assert grid.read(channel, digest(data)) == data


def case_small_receive_limit(grid):
    blob = noise(1 << 20)
    with grid.channel(max_receive_message_length=16 << 10) as channel:
        grid.write(channel, blob)
        expect(failure(lambda: grid.read(channel, digest(blob))), "RESOURCE_EXHAUSTED")
        # The same connection goes on.
        small = noise(10_000)
        grid.batch(channel, small)
        assert grid.read(channel, digest(small)) == small


def case_message_beyond_the_server_limit(grid):
    with grid.channel(max_send_message_length=-1) as channel:
        cas = re_grpc.ContentAddressableStorageStub(channel)
        for size in [4_400_000, 40_000_000]:
            blob = bytes(size)
            request = re.BatchUpdateBlobsRequest(instance_name=grid.instance, requests=[
                re.BatchUpdateBlobsRequest.Request(digest=digest(blob), data=blob)
            ])
            for how in [None, grpc.Compression.Gzip]:
                # What is small on the wire and large in memory is refused like what is large on both.
                error = failure(lambda: cas.BatchUpdateBlobs(request, timeout=SECONDS, compression=how))
                expect(error, "RESOURCE_EXHAUSTED")
        assert grid.missing(channel, digest(b"")) == []


def case_metadata_at_the_limit_and_beyond(grid):
    told = {}
    with grid.channel(max_metadata_size=1 << 22, absolute_max_metadata_size=1 << 23) as channel:
        stub = re_grpc.CapabilitiesStub(channel)
        request = re.GetCapabilitiesRequest(instance_name=grid.instance)
        for size in [100, 7000, 30_000, 200_000, 2_000_000]:
            try:
                stub.GetCapabilities(request, metadata=[("x-large", "v" * size)], timeout=SECONDS)
                told[str(size)] = "OK"
            except grpc.RpcError as error:
                told[str(size)] = error.code().name
        for count in [50, 100, 500, 5000]:
            try:
                many = [(f"x-{number}", "v") for number in range(count)]
                stub.GetCapabilities(request, metadata=many, timeout=SECONDS)
                told[f"{count} keys"] = "OK"
            except grpc.RpcError as error:
                told[f"{count} keys"] = error.code().name
        # The same channel goes on, on a new connection if need be.
        stub.GetCapabilities(request, timeout=SECONDS, wait_for_ready=True)
    return told


def case_strange_metadata(grid):
    with grid.channel() as channel:
        stub = re_grpc.CapabilitiesStub(channel)
        request = re.GetCapabilitiesRequest(instance_name=grid.instance)
        key = "build.bazel.remote.execution.v2.requestmetadata-bin"
        for value in [b"", b"\xff", b"\x0a\xff\xff\xff\xff\x0f", noise(3000)]:
            stub.GetCapabilities(request, metadata=[(key, value)], timeout=SECONDS)
        stub.GetCapabilities(request, metadata=[(key, b""), (key, b"\x0a")], timeout=SECONDS)
        for value in ["", "00", "00-" + "g" * 32 + "-" + "1" * 16 + "-01", "x" * 4000]:
            stub.GetCapabilities(request, metadata=[("traceparent", value)], timeout=SECONDS)


def case_tiny_windows(grid):
    """No probe that would widen the windows, the smallest frames, and no reading ahead."""
    blob = noise(64 << 20)
    with grid.channel() as channel:
        grid.write(channel, blob)
    options = {"http2__max_frame_size": 16384, "http2__lookahead_bytes": 1, "http2__bdp_probe": 0}
    with grid.channel(**options) as channel:
        started = time.monotonic()
        assert digest(grid.read(channel, digest(blob))) == digest(blob)
        return {"mbps": round(64 / (time.monotonic() - started))}


def case_pings_more_often_than_polite(grid):
    options = {
        "keepalive_time_ms": 10,
        "keepalive_timeout_ms": 30_000,
        "keepalive_permit_without_calls": 1,
        "http2__max_pings_without_data": 0,
        "http2__min_time_between_pings_ms": 10,
        "http2__min_ping_interval_without_data_ms": 10,
    }
    with grid.channel(**options) as channel:
        states = []
        channel.subscribe(states.append, try_to_connect=True)
        response = grid.run(channel, "sleep 1; echo patient")
        assert grid.read(channel, response.result.stdout_digest) == b"patient\n", response
        threading.Event().wait(0.5)  # idle, with pings alone
        assert grid.missing(channel, digest(b"")) == []
        failures = [state for state in states if state == grpc.ChannelConnectivity.TRANSIENT_FAILURE]
        assert failures == [], states
