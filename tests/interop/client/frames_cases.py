"""The smallest frames and windows, and frames that nobody expects."""

import gzip
import random
import struct

from grid import digest, noise, until
from protos import bs, re
from raw import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY, SETTINGS, WITH_PRIORITY,
    Connection, frame, message, one_by_one, reset, settings, window_update,
)

FIND = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs"
UPDATE = "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs"
EXECUTE = "/build.bazel.remote.execution.v2.Execution/Execute"
READ = "/google.bytestream.ByteStream/Read"
WRITE = "/google.bytestream.ByteStream/Write"


def find(grid, *wanted):
    return re.FindMissingBlobsRequest(instance_name=grid.instance, blob_digests=wanted).SerializeToString()


def missing_of(answer):
    assert answer.status == "0", answer.headers
    (body,) = answer.messages()
    return list(re.FindMissingBlobsResponse.FromString(body).missing_blob_digests)


def stored(grid, size):
    data = noise(size)
    with grid.channel() as channel:
        grid.write(channel, data)
    return data


def read(grid, data):
    return bs.ReadRequest(resource_name=grid.read_name(digest(data))).SerializeToString()


def content(answer):
    assert answer.status == "0", answer.headers
    return b"".join(bs.ReadResponse.FromString(body).data for body in answer.messages())


def works(grid):
    """Another connection is served as if nothing had happened."""
    wanted = digest(noise(9))
    with Connection(grid) as connection:
        assert missing_of(connection.call(FIND, find(grid, wanted))) == [wanted]


def case_request_in_frames_of_one_byte(grid):
    wanted = [digest(noise(9)) for _ in range(5)]
    with Connection(grid) as connection:
        for together in [True, False]:
            stream = connection.open(FIND)
            parts = [frame(DATA, 0, stream, byte) for byte in one_by_one(message(find(grid, *wanted)))]
            if together:
                connection.send(*parts)
            else:
                for part in parts:
                    connection.send(part)  # a segment of its own
            connection.send(frame(DATA, END_STREAM, stream))
            assert missing_of(connection.finish(stream)) == wanted


def case_upload_in_frames_of_one_byte(grid):
    data = noise(20_000)
    with Connection(grid) as connection:
        stream = connection.open(WRITE)
        body = b"".join(message(part.SerializeToString()) for part in grid.chunks(data, 1000))
        connection.send(*(frame(DATA, 0, stream, byte) for byte in one_by_one(body)), frame(DATA, END_STREAM, stream))
        answer = connection.finish(stream)
        assert answer.status == "0", answer.headers
        assert content(connection.call(READ, read(grid, data))) == data


def case_many_messages_in_one_frame(grid):
    data = noise(15_000)
    with Connection(grid) as connection:
        stream = connection.open(WRITE)
        body = b"".join(message(part.SerializeToString()) for part in grid.chunks(data, 100))
        for at in range(0, len(body), 16_000):
            connection.send(frame(DATA, 0, stream, body[at:at + 16_000]))
        connection.send(frame(DATA, 0, stream), frame(DATA, 0, stream), frame(DATA, END_STREAM, stream))
        answer = connection.finish(stream)
        assert answer.status == "0", answer.headers
        assert content(connection.call(READ, read(grid, data))) == data


def case_frames_of_odd_sizes(grid):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with Connection(grid) as connection:
        for _ in range(5):
            data = chance.randbytes(100_000)
            stream = connection.open(WRITE)
            body = b"".join(message(part.SerializeToString()) for part in grid.chunks(data, chance.randint(500, 9000)))
            at = 0
            while at < len(body):
                size = chance.choice([0, 1, 2, 4, 5, 6, 100, 5000, 16384])
                connection.send(frame(DATA, 0, stream, body[at:at + size]))
                at += size
            connection.send(frame(DATA, END_STREAM, stream))
            answer = connection.finish(stream)
            assert answer.status == "0", (seed, answer.headers)
    return {"seed": seed}


def case_window_of_one_byte(grid):
    data = stored(grid, 3000)
    with Connection(grid, INITIAL_WINDOW_SIZE=1) as connection:
        stream = connection.open(READ)
        connection.send(frame(DATA, END_STREAM, stream, message(read(grid, data))))
        answer = connection.answers[stream]
        while not answer.ended:
            kind, _, on, payload = connection.read_frame()
            if kind == DATA and on == stream and payload:
                connection.send(window_update(stream, 1))
        assert content(answer) == data
        assert max(map(len, answer.frames)) == 1, max(map(len, answer.frames))


def case_window_of_nothing_that_grows(grid):
    data = stored(grid, 200_000)
    with Connection(grid, INITIAL_WINDOW_SIZE=0) as connection:
        connection.send(window_update(0, 1 << 20))
        stream = connection.open(READ)
        connection.send(frame(DATA, END_STREAM, stream, message(read(grid, data))))
        connection.ping()
        answer = connection.answers[stream]
        assert answer.body == b"", len(answer.body)
        for size in [1, 100, 5000, 5000, 65_535, 1 << 20]:
            connection.send(settings(INITIAL_WINDOW_SIZE=size))
            if size < 1 << 20:
                while len(answer.body) < size:
                    assert connection.read_frame() is not None
                assert len(answer.body) == size
        assert content(connection.finish(stream)) == data


def case_window_that_shrinks_below_nothing(grid):
    data = stored(grid, 100_000)
    with Connection(grid, INITIAL_WINDOW_SIZE=50_000) as connection:
        connection.send(window_update(0, 1 << 20))
        stream = connection.open(READ)
        connection.send(frame(DATA, END_STREAM, stream, message(read(grid, data))))
        answer = connection.answers[stream]
        while len(answer.body) < 50_000:
            assert connection.read_frame() is not None
        connection.send(settings(INITIAL_WINDOW_SIZE=10))  # its window is now 49,990 below nothing
        connection.ping()
        connection.send(window_update(stream, 49_990))
        connection.ping()
        assert len(answer.body) == 50_000, len(answer.body)
        connection.send(window_update(stream, 1 << 20))
        assert content(connection.finish(stream)) == data


def case_settings_changed_in_mid_stream(grid):
    data = stored(grid, 300_000)
    with Connection(grid, INITIAL_WINDOW_SIZE=20_000, MAX_FRAME_SIZE=1 << 20) as connection:
        connection.send(window_update(0, 1 << 20))
        stream = connection.open(READ)
        connection.send(frame(DATA, END_STREAM, stream, message(read(grid, data))))
        for change in [{"HEADER_TABLE_SIZE": 0}, {"MAX_FRAME_SIZE": 16384}, {"MAX_CONCURRENT_STREAMS": 0}, {}]:
            connection.send(settings(**change), window_update(stream, 20_000))
            connection.ping()
        connection.send(frame(SETTINGS, payload=struct.pack(">HI", 0xF00D, 7)))  # one that nobody knows
        connection.send(window_update(stream, 1 << 20))
        assert content(connection.finish(stream)) == data
        wanted = digest(noise(9))
        assert missing_of(connection.call(FIND, find(grid, wanted))) == [wanted]


def case_headers_in_continuations(grid):
    wanted = digest(noise(9))
    with Connection(grid) as connection:
        stream = connection.stream()
        block = connection.encoded(FIND, ("x-long", "v" * 500))
        connection.send(frame(HEADERS, 0, stream, block[:1]), frame(CONTINUATION, 0, stream))
        # A header split in its middle, once more at its last byte. Servers take few of these: they are a way to attack.
        connection.send(frame(CONTINUATION, 0, stream, block[1:30]), frame(CONTINUATION, 0, stream, block[30:-1]))
        connection.send(frame(CONTINUATION, END_HEADERS, stream, block[-1:]))
        connection.send(frame(DATA, END_STREAM, stream, message(find(grid, wanted))))
        assert missing_of(connection.finish(stream)) == [wanted]


def case_continuations_without_end(grid):
    """Each adds a header; none is the last."""
    with Connection(grid) as connection:
        stream = connection.stream()
        try:
            connection.send(frame(HEADERS, 0, stream, connection.encoded(FIND)))
            for number in range(20_000):
                connection.send(frame(CONTINUATION, 0, stream, b"\x00\x03abc\x7f\x80\x01" + b"v" * 255))
        except OSError:
            pass  # the server has had enough
        else:
            raise AssertionError("The server took five million bytes of headers")
    works(grid)


def case_padding_and_priorities(grid):
    wanted = digest(noise(9))
    with Connection(grid) as connection:
        for padding in [0, 1, 255]:
            stream = connection.stream()
            pad = bytes([padding])
            priority = struct.pack(">IB", 0, 200)
            connection.send(frame(PRIORITY, 0, stream + 100, priority))
            connection.send(frame(
                HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, stream,
                pad + priority + connection.encoded(FIND) + bytes(padding),
            ))
            for byte in one_by_one(message(find(grid, wanted))):
                connection.send(frame(DATA, PADDED, stream, pad + byte + bytes(padding)))
                connection.send(frame(PRIORITY, 0, stream, struct.pack(">IB", 0, 7)))
            connection.send(frame(DATA, END_STREAM | PADDED, stream, pad + bytes(padding)))
            assert missing_of(connection.finish(stream)) == [wanted], padding


def case_frames_of_unknown_types(grid):
    wanted = digest(noise(9))
    with Connection(grid) as connection:
        for kind in [0x0B, 0x42, 0xFF]:
            connection.send(frame(kind, 0xFF, 0, noise(1000)))
            stream = connection.open(FIND)
            connection.send(frame(kind, 0xFF, stream, noise(16_384)), frame(kind, 0, stream + 200))
            connection.send(frame(DATA, END_STREAM, stream, message(find(grid, wanted))))
            assert missing_of(connection.finish(stream)) == [wanted]


def case_flood_of_pings(grid):
    """Whoever reads the answers gets them all; whoever does not is let go or waits, but costs nothing."""
    with Connection(grid) as connection:
        for _ in range(50):
            connection.send(frame(PING, payload=b"pingpong") * 20)
            connection.ping()
        assert connection.pongs[b"pingpong"] == 1000, connection.pongs
    with Connection(grid) as connection:
        connection._socket.settimeout(2)
        try:
            for _ in range(3000):
                connection.send(frame(PING, payload=b"pingpong") * 100)
        except OSError:
            pass
    works(grid)


def case_flood_of_settings(grid):
    with Connection(grid) as connection:
        connection._socket.settimeout(2)
        try:
            for _ in range(2000):
                connection.send(settings(INITIAL_WINDOW_SIZE=70_000, HEADER_TABLE_SIZE=100) * 50)
        except OSError:
            pass
    works(grid)


def case_streams_reset_as_soon_as_opened(grid):
    """Thousands of calls, each given up at once."""
    data = stored(grid, 2 << 20)
    opened = 0
    for _ in range(2):
        with Connection(grid) as connection:
            try:
                for _ in range(1500):
                    stream = connection.open(READ)
                    connection.send(frame(DATA, END_STREAM, stream, message(read(grid, data))), reset(stream))
                    opened += 1
                connection.ping()
            except (OSError, AssertionError):
                pass  # the server may well close on such a peer
    works(grid)
    return {"opened": opened}


def case_more_streams_than_allowed(grid):
    """The server allows 256 and says so. Who opens more breaks the protocol: that connection ends, no other does."""
    wanted = digest(noise(9))
    with Connection(grid) as other, Connection(grid) as connection:
        waiting = other.open(FIND)
        for _ in range(256):
            connection.open(FIND)
        connection.ping()
        connection.open(FIND)
        assert connection.until_closed() == 1, connection.gone
        other.send(frame(DATA, END_STREAM, waiting, message(find(grid, wanted))))
        assert missing_of(other.finish(waiting)) == [wanted]


def case_encodings(grid):
    """What the server says of compression, and to a compression that it does not know."""
    wanted = digest(noise(9))
    request = find(grid, wanted)
    with Connection(grid) as connection:
        for accepted in ["gzip", "deflate,gzip", "identity", "snappy", "", "gzip;q=0"]:
            answer = connection.call(FIND, request, ("grpc-accept-encoding", accepted))
            assert missing_of(answer) == [wanted]
            assert answer.headers.get("grpc-encoding", "identity") == "identity", answer.headers
            assert {"gzip", "deflate"} <= set(answer.headers["grpc-accept-encoding"].split(",")), answer.headers
        stream = connection.open(FIND, ("grpc-encoding", "snappy"))
        connection.send(frame(DATA, END_STREAM, stream, message(request, 1)))
        answer = connection.finish(stream)
        assert answer.status == "12", answer.headers
        assert {"gzip", "deflate"} <= set(answer.headers.get("grpc-accept-encoding", "").split(",")), answer.headers
        told = {}
        for name, encoding, body in [
            ("flagged without an encoding", None, message(request, 1)),
            ("gzip that is none", "gzip", message(b"not compressed at all", 1)),
            ("gzip cut off", "gzip", message(gzip.compress(request)[:-9], 1)),
            ("a flag that nobody knows", "gzip", message(request, 7)),
        ]:
            stream = connection.open(FIND, *([("grpc-encoding", encoding)] if encoding else []))
            connection.send(frame(DATA, END_STREAM, stream, body))
            told[name] = connection.finish(stream).status
        # The first is taken for what it is: not compressed.
        assert list(told.values()) == ["0", "3", "3", "3"], told
        assert missing_of(connection.call(FIND, request)) == [wanted]


def case_a_small_message_that_unfolds_to_a_large_one(grid):
    """A quarter of a million bytes that would be 256 MiB."""
    bomb = gzip.compress(bytes(256 << 20), 6)
    assert len(bomb) < 500_000, len(bomb)
    with Connection(grid) as crowd:
        for crowded in [False, True]:
            # With so many that might upload, none may send all of it unasked.
            for _ in range(256 if crowded else 0):
                crowd.open(FIND)
            crowd.ping()
            for path in [UPDATE, WRITE]:
                with Connection(grid) as connection:
                    while crowded and connection.initial_window >= len(bomb):
                        connection.ping()
                    stream = connection.open(path, ("grpc-encoding", "gzip"))
                    body = message(bomb, 1)
                    connection.upload(stream, *(body[at:at + 16_384] for at in range(0, len(body), 16_384)))
                    answer = connection.finish(stream)
                    assert answer.status == "8", (path, crowded, answer.headers, answer.reset)


def case_calls_that_end_in_the_middle_of_a_message(grid):
    body = message(find(grid, digest(noise(9))))
    told = {}
    with Connection(grid) as connection:
        for name, sent in [
            ("nothing", b""), ("one byte", body[:1]), ("the prefix", body[:5]), ("half", body[:20]),
            ("two messages", body + body), ("one and a half", body + body[:20]),
            ("a prefix of 4 GiB", b"\x00\xff\xff\xff\xff"),
        ]:
            for path in [FIND, WRITE]:
                stream = connection.open(path)
                connection.send(frame(DATA, END_STREAM, stream, sent))
                answer = connection.finish(stream)
                assert answer.status is not None and answer.status not in ["2", "13"], (name, answer.headers)
                told[f"{name} {path.rsplit('/')[-1]}"] = answer.status
        # What follows a whole message and is none is dropped with the stream; nothing else may succeed.
        assert {name for name, status in told.items() if status == "0"} <= {"one and a half FindMissingBlobs"}, told
        wanted = digest(noise(9))
        assert missing_of(connection.call(FIND, find(grid, wanted))) == [wanted]
    return told


def case_timeouts_in_every_spelling(grid):
    request = find(grid, digest(noise(9)))
    told = {}
    with Connection(grid) as connection:
        for value in ["1n", "0u", "0m", "1S", "99999999H", "5M", "abc", "-1S", "1", "999999999S", "1.5S", ""]:
            answer = connection.call(FIND, request, ("grpc-timeout", value))
            told[value] = answer.status if answer.status is not None else f"reset {answer.reset}"
        for value in ["1S", "99999999H", "5M"]:
            assert told[value] == "0", told
        assert missing_of(connection.call(FIND, request)) != []
    return told


def case_content_types_and_verbs(grid):
    told = {}
    with Connection(grid) as connection:
        for name, header in [
            ("plain", ("content-type", "text/plain")), ("json", ("content-type", "application/grpc+json")),
            ("proto", ("content-type", "application/grpc+proto")), ("get", (":method", "GET")),
            ("no such path", (":path", "/nothing")), ("odd path", (":path", "//" + "x" * 2000)),
        ]:
            answer = connection.call(FIND, find(grid, digest(noise(9))), header)
            told[name] = [answer.headers.get(":status"), answer.status]
        assert told["proto"] == ["200", "0"], told
        assert told["plain"][0] == "415" and told["no such path"][1] == "12", told
    return told


def case_garbage_instead_of_frames(grid):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(40):
        with Connection(grid) as connection:
            connection._socket.settimeout(5)
            try:
                connection.send(chance.randbytes(chance.randint(1, 5000)))
                stream = connection.stream()
                connection.send(frame(HEADERS, END_HEADERS, stream, chance.randbytes(100)))
                connection.send(frame(DATA, END_STREAM, stream, chance.randbytes(1000)))
            except OSError:
                pass
    works(grid)
    return {"seed": seed}


def case_deadlines_of_years(grid):
    """Some libraries write the longest deadline there is when they are given none."""
    with grid.channel() as channel:
        for timeout in ["99999999H", "43200M", "99999999S", "2147484S"]:
            request = re.ExecuteRequest(
                instance_name=grid.instance, action_digest=grid.action(channel, "sleep 0.2")
            ).SerializeToString()
            with Connection(grid) as connection:
                answer = connection.call(EXECUTE, request, ("grpc-timeout", timeout))
                assert answer.status == "0", (timeout, answer.headers)


def case_a_crowd_of_messages_that_unfold(grid):
    """A hundred and fifty calls that would all be 16 MiB in memory, of 16 KiB each on the wire."""
    body = message(gzip.compress(bytes(4 << 20), 9), 1) * 3
    assert len(body) < 16_384, len(body)
    with Connection(grid) as connection:
        streams = [connection.open(WRITE, ("grpc-encoding", "gzip")) for _ in range(150)]
        for stream in streams:
            connection.send(frame(DATA, 0, stream, body))
        for stream in streams:
            answer = connection.finish(stream)
            assert answer.status in ["3", "8"], answer.headers
