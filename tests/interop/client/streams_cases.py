"""Many streams, many connections, long streams."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

from grid import SECONDS, digest, noise
from protos import bs, bs_grpc, re, re_grpc


def case_200_streams_on_one_channel(grid):
    with grid.channel() as channel:
        blobs = [noise(300_000) for _ in range(20)]
        for blob in blobs:
            grid.write(channel, blob)
        read = bs_grpc.ByteStreamStub(channel).Read
        # All are open before the first is read: more than the server allows at once would wait here.
        calls = [read(bs.ReadRequest(resource_name=grid.read_name(digest(blobs[number % 20]))), timeout=SECONDS)
                 for number in range(200)]
        for number, call in enumerate(calls):
            assert b"".join(part.data for part in call) == blobs[number % 20], number


def case_more_streams_than_one_connection_may_have(grid):
    """The client's library keeps the rest back."""
    with grid.channel() as channel:
        blob = noise(50_000)
        grid.write(channel, blob)
        read = bs_grpc.ByteStreamStub(channel).Read
        request = bs.ReadRequest(resource_name=grid.read_name(digest(blob)))
        for call in [read(request, timeout=SECONDS) for _ in range(600)]:
            assert b"".join(part.data for part in call) == blob


def case_60_uploads_at_once(grid):
    with grid.channel() as channel, ThreadPoolExecutor(60) as pool:
        blobs = [noise(500_000) for _ in range(60)]
        start = threading.Barrier(60)

        def put(blob):
            start.wait(SECONDS)
            grid.write(channel, blob, 100_000)

        list(pool.map(put, blobs))
        assert grid.missing(channel, *map(digest, blobs)) == []


def case_100_channels(grid):
    channels = [grid.channel() for _ in range(100)]
    try:
        with ThreadPoolExecutor(20) as pool:
            blobs = list(pool.map(lambda channel: (channel, noise(20_000)), channels))
            list(pool.map(lambda pair: grid.batch(pair[0], pair[1]), blobs))
            # Each asks on its own connection for what another one brought.
            others = zip(channels, [blob for _, blob in blobs[1:] + blobs[:1]])
            assert all(pool.map(lambda pair: grid.read(pair[0], digest(pair[1])) == pair[1], others))
    finally:
        for channel in channels:
            channel.close()


def case_a_very_long_stream(grid):
    """Ten thousand messages up, and all of it down again."""
    with grid.channel() as channel:
        data = noise(10_000 * 700)
        grid.write(channel, data, 700)
        assert grid.read(channel, digest(data)) == data


def deflated(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def case_blobs_in_deflate(grid):
    """Raw deflate as Python's zlib has it, in streams and batches, both ways."""
    with grid.channel() as channel:
        streams = bs_grpc.ByteStreamStub(channel)
        blobs = re_grpc.ContentAddressableStorageStub(channel)
        for data in [b"anvil " * 200_000 + noise(3000), noise(100), bytes(70_000)]:
            wanted = digest(data)
            packed = deflated(data)
            name = grid.write_name(wanted).replace("/blobs/", "/compressed-blobs/deflate/")
            parts = range(0, len(packed), 999)
            answer = streams.Write((
                bs.WriteRequest(resource_name=name, write_offset=at, data=packed[at:at + 999], finish_write=at == parts[-1])
                for at in parts
            ), timeout=SECONDS)
            assert answer.committed_size == len(packed), answer
            assert grid.read(channel, wanted) == data
            name = grid.read_name(wanted).replace("/blobs/", "/compressed-blobs/deflate/")
            got = streams.Read(bs.ReadRequest(resource_name=name, read_offset=50), timeout=SECONDS)
            assert zlib.decompress(b"".join(part.data for part in got), -15) == data[50:]

            other = data[::-1] + b"!"
            entry = re.BatchUpdateBlobsRequest.Request(
                digest=digest(other), data=deflated(other), compressor=re.Compressor.DEFLATE
            )
            request = re.BatchUpdateBlobsRequest(instance_name=grid.instance, requests=[entry])
            assert blobs.BatchUpdateBlobs(request, timeout=SECONDS).responses[0].status.code == 0
            request = re.BatchReadBlobsRequest(
                instance_name=grid.instance, digests=[digest(other)], acceptable_compressors=[re.Compressor.DEFLATE]
            )
            answer = blobs.BatchReadBlobs(request, timeout=SECONDS).responses[0]
            packs = answer.compressor == re.Compressor.DEFLATE
            assert packs == (len(other) > 1000), answer.compressor
            assert (zlib.decompress(answer.data, -15) if packs else answer.data) == other
