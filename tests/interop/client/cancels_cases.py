"""Clients that change their mind at every stage, or die."""

import sys
import threading

import grpc

from grid import SECONDS, digest, expect, failure, noise, response_of, stage_of, until
from protos import bs, bs_grpc, re, re_grpc


def ended(call):
    """How a call ended: it must end."""
    done = threading.Event()
    if not call.add_callback(done.set):
        done.set()
    assert done.wait(SECONDS), "A cancelled call does not end"
    return call.code().name


def case_execute_cancelled_at_every_stage(grid):
    with grid.channel() as channel:
        for stage in ["", "CACHE_CHECK", "QUEUED", "EXECUTING"]:
            call = grid.execute(channel, grid.action(channel, "sleep 300"), timeout=SECONDS)
            seen = [""]
            while seen[-1] != stage:
                seen.append(stage_of(next(call)))
            call.cancel()
            assert ended(call) == "CANCELLED"
        # The slots come free: all of them would otherwise sleep for five minutes.
        calls = [grid.execute(channel, grid.action(channel, "echo free"), timeout=SECONDS) for _ in range(4)]
        assert [response_of(list(call)[-1]).result.exit_code for call in calls] == [0, 0, 0, 0]


def case_wait_cancelled_while_another_waits(grid):
    with grid.channel() as channel:
        call = grid.execute(channel, grid.action(channel, "sleep 2; echo both"), timeout=SECONDS)
        name = next(call).name
        wait = re_grpc.ExecutionStub(channel).WaitExecution
        for _ in range(20):
            second = wait(re.WaitExecutionRequest(name=name), timeout=SECONDS)
            next(second)
            second.cancel()
            assert ended(second) == "CANCELLED"
        response = response_of(list(call)[-1])
        assert response.status.code == 0, response
        assert grid.read(channel, response.result.stdout_digest) == b"both\n"


class HeldUpload:
    """An upload that stops after some messages until it is let go."""

    def __init__(self, grid, channel, data, messages, size=100_000):
        self._parts = list(grid.chunks(data, size))
        self._messages = messages
        self.held = threading.Event()
        self.go = threading.Event()
        self.call = bs_grpc.ByteStreamStub(channel).Write.future(self._some(), timeout=SECONDS)

    def _some(self):
        yield from self._parts[:self._messages]
        self.held.set()  # asked for more: what came before is under way
        self.go.wait(SECONDS)


def case_upload_cancelled_after_each_message(grid):
    with grid.channel() as channel:
        for messages in range(0, 11):
            data = noise(1_000_000)
            upload = HeldUpload(grid, channel, data, messages)
            assert upload.held.wait(SECONDS)
            if messages == 10:
                # All of it, but not yet the end of the stream: the server may have taken it.
                upload.call.cancel()
                upload.go.set()
                code = upload.call.code().name
                assert code in ["OK", "CANCELLED"], code
            else:
                upload.call.cancel()
                upload.go.set()
                assert upload.call.code().name == "CANCELLED", upload.call.code()
                assert grid.missing(channel, digest(data)) == [digest(data)], messages
            grid.write(channel, data)
            assert grid.read(channel, digest(data)) == data


def case_upload_cancelled_after_half_close(grid):
    codes = {}
    with grid.channel() as channel:
        for _ in range(30):
            data = noise(300_000)
            sent = threading.Event()

            def parts():
                yield from grid.chunks(data, 100_000)
                sent.set()

            call = bs_grpc.ByteStreamStub(channel).Write.future(parts(), timeout=SECONDS)
            assert sent.wait(SECONDS)
            call.cancel()
            code = call.code().name
            codes[code] = codes.get(code, 0) + 1
            assert code in ["OK", "CANCELLED"], code
            # There or not there, but never half.
            if grid.missing(channel, digest(data)) == []:
                assert grid.read(channel, digest(data)) == data
    return codes


def case_upload_half_closed_early(grid):
    """What came is kept and told, and nobody sees it before the rest is there too."""
    with grid.channel() as channel:
        stub = bs_grpc.ByteStreamStub(channel)
        expect(failure(lambda: stub.Write(iter([]), timeout=SECONDS)), "INVALID_ARGUMENT")
        data = noise(1_000_000)
        parts = list(grid.chunks(data, 100_000))
        for count in [1, 5]:
            name = grid.write_name(digest(data))
            sent = [bs.WriteRequest(resource_name=name, write_offset=each.write_offset, data=each.data)
                    for each in parts[:count]]
            committed = stub.Write(iter(sent), timeout=SECONDS).committed_size
            assert committed == count * 100_000, committed
            status = stub.QueryWriteStatus(bs.QueryWriteStatusRequest(resource_name=name), timeout=SECONDS)
            assert (status.committed_size, status.complete) == (committed, False), status
            assert grid.missing(channel, digest(data)) == [digest(data)]
        rest = [bs.WriteRequest(resource_name=name, write_offset=each.write_offset, data=each.data,
                                finish_write=each.finish_write) for each in parts[5:]]
        assert stub.Write(iter(rest), timeout=SECONDS).committed_size == len(data)
        assert grid.read(channel, digest(data)) == data


def case_upload_half_sent_and_taken_up_again(grid):
    """A connection breaks in the middle: another one goes on from where the server says."""
    data = noise(2_000_000)
    parts = list(grid.chunks(data, 100_000))
    name = parts[0].resource_name
    with grid.channel() as channel:
        held = threading.Event()

        def some():
            yield from parts[:8]
            held.set()
            threading.Event().wait(SECONDS)

        call = bs_grpc.ByteStreamStub(channel).Write.future(some(), timeout=SECONDS)
        assert held.wait(SECONDS)
        status = bs.QueryWriteStatusRequest(resource_name=name)
        query = bs_grpc.ByteStreamStub(channel).QueryWriteStatus
        until(lambda: query(status, timeout=SECONDS).committed_size == 800_000, "eight messages have come")
    # The channel is closed now, and the call with it.
    with grid.channel() as channel:
        stub = bs_grpc.ByteStreamStub(channel)
        committed = stub.QueryWriteStatus(status, timeout=SECONDS).committed_size
        assert committed == 800_000, committed
        rest = [bs.WriteRequest(resource_name=name, write_offset=each.write_offset, data=each.data,
                                finish_write=each.finish_write) for each in parts[8:]]

        def resume():
            try:
                return stub.Write(iter(rest), timeout=SECONDS).committed_size == len(data)
            except grpc.RpcError as error:
                # Until the server has seen that the first call is gone.
                assert error.code().name == "UNAVAILABLE", error
                return False

        until(resume, "the upload goes on")
        assert grid.read(channel, digest(data)) == data


def case_download_cancelled_after_each_message(grid):
    with grid.channel() as channel:
        data = noise(16 << 20)
        grid.write(channel, data)
        read = bs_grpc.ByteStreamStub(channel).Read
        request = bs.ReadRequest(resource_name=grid.read_name(digest(data)))
        for messages in range(0, 17):
            call = read(request, timeout=SECONDS)
            got = 0
            for _ in range(messages):
                try:
                    got += len(next(call).data)
                except StopIteration:
                    break
            call.cancel()
            assert ended(call) in ["CANCELLED", "OK"], messages
        assert grid.read(channel, digest(data)) == data


def case_unary_calls_cancelled(grid):
    with grid.channel() as channel:
        cas = re_grpc.ContentAddressableStorageStub(channel)
        blobs = [noise(50_000) for _ in range(20)]
        requests = [re.BatchUpdateBlobsRequest.Request(digest=digest(blob), data=blob) for blob in blobs]
        for _ in range(30):
            calls = [
                cas.BatchUpdateBlobs.future(
                    re.BatchUpdateBlobsRequest(instance_name=grid.instance, requests=requests), timeout=SECONDS
                ),
                cas.FindMissingBlobs.future(re.FindMissingBlobsRequest(
                    instance_name=grid.instance, blob_digests=[digest(blob) for blob in blobs] * 100
                ), timeout=SECONDS),
            ]
            for call in calls:
                call.cancel()
                assert call.code().name in ["CANCELLED", "OK"], call.code()
        grid.batch(channel, *blobs)


def hold(what):
    """Tells the one who will kill us that everything is under way."""
    print(what, flush=True)
    sys.stdin.read()
    threading.Event().wait()


def case_hold_an_upload(grid):
    channel = grid.channel()
    data = noise(1_000_000)
    upload = HeldUpload(grid, channel, data, 5)
    assert upload.held.wait(SECONDS)
    query = bs_grpc.ByteStreamStub(channel).QueryWriteStatus
    status = bs.QueryWriteStatusRequest(resource_name=upload._parts[0].resource_name)
    until(lambda: query(status, timeout=SECONDS).committed_size == 500_000, "five messages have come")
    hold(f"{digest(data).hash} {len(data)}")


def case_the_held_upload_is_not_there(grid):
    hash, size = grid.given.split()
    blob = re.Digest(hash=hash, size_bytes=int(size))
    with grid.channel() as channel:
        assert grid.missing(channel, blob) == [blob]


def case_hold_executions(grid):
    channel = grid.channel()
    calls = [grid.execute(channel, grid.action(channel, "sleep 300"), timeout=SECONDS) for _ in range(4)]
    while stage_of(next(calls[0])) != "EXECUTING":
        pass
    hold("executing")


def case_hold_downloads(grid):
    channel = grid.channel()
    data = noise(32 << 20)
    grid.write(channel, data)
    request = bs.ReadRequest(resource_name=grid.read_name(digest(data)))
    calls = [bs_grpc.ByteStreamStub(channel).Read(request, timeout=SECONDS) for _ in range(8)]
    for call in calls:
        next(call)
    hold("reading")
