"""The way through: what a build does, and messages that a later version of the API would send."""

import grpc

from grid import SECONDS, digest, expect, failure, noise, response_of, stage_of
from protos import bs, bs_grpc, details, re, re_grpc

# Field 536870911, the highest there is, with four bytes.
UNKNOWN = b"\xfa\xff\xff\xff\x0f\x04late"

# Fields of every wire type, with a group in a group: varint, 64 bits, bytes, groups, 32 bits.
EVERY_TYPE = (
    b"\xc0\xbb\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    + b"\xc9\xbb\x78" + b"8" * 8
    + b"\xd2\xbb\x78\x00"
    + b"\xdb\xbb\x78\xe3\xbb\x78\xe0\xbb\x78\x01\xe4\xbb\x78\xdc\xbb\x78"
    + b"\xed\xbb\x78" + b"4" * 4
)


def late(message, unknown=UNKNOWN):
    """The message with a field that this version does not know."""
    return type(message).FromString(message.SerializeToString() + unknown)


def case_the_whole_way(grid):
    with grid.channel() as channel:
        capabilities = re_grpc.CapabilitiesStub(channel).GetCapabilities(
            late(re.GetCapabilitiesRequest(instance_name=grid.instance)), timeout=SECONDS
        )
        content = b"from python\n" * 3
        large = noise(5_000_000)
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
            command_digest=digest(command), input_root_digest=digest(directory), salt=noise(8)
        )).SerializeToString()
        missing = grid.missing(channel, digest(directory), digest(action), digest(large))
        grid.batch(channel, content, directory, command, action)
        grid.write(channel, large)
        assert grid.missing(channel, *(digest(each) for each in [content, directory, command, action, large])) == []

        operations = list(grid.execute(channel, digest(action), timeout=SECONDS))
        response = response_of(operations[-1])
        result = response.result
        waited = response_of(list(re_grpc.ExecutionStub(channel).WaitExecution(
            late(re.WaitExecutionRequest(name=operations[0].name)), timeout=SECONDS
        ))[-1])
        tree = re.Tree.FromString(grid.read(channel, result.output_directories[0].tree_digest))
        cached = re_grpc.ActionCacheStub(channel).GetActionResult(late(re.GetActionResultRequest(
            instance_name=grid.instance, action_digest=digest(action)
        )), timeout=SECONDS)
        again = response_of(list(grid.execute(channel, digest(action), timeout=SECONDS))[-1])
        assert grid.read(channel, result.output_files[0].digest) == large
        return {
            "api": [capabilities.low_api_version.major, capabilities.high_api_version.minor],
            "exec": capabilities.execution_capabilities.exec_enabled,
            "missing": len(missing),
            "stages": list(dict.fromkeys(stage_of(operation) for operation in operations)),
            "names": len({operation.name for operation in operations}),
            "status": response.status.code,
            "stdout": grid.read(channel, result.stdout_digest).decode(),
            "files": [file.path for file in result.output_files],
            "tree": [node.name for node in tree.root.directories],
            "waited": waited.result == result,
            "cached": [cached == result, again.cached_result],
        }


def case_what_goes_wrong_is_said(grid):
    with grid.channel() as channel:
        absent = digest(noise(16))
        action = re.Action(command_digest=absent, input_root_digest=digest(b"")).SerializeToString()
        grid.batch(channel, action)
        failed = response_of(list(grid.execute(channel, digest(action), timeout=SECONDS))[-1])
        precondition = details.PreconditionFailure()
        assert failed.status.details[0].Unpack(precondition)
        wanted = f"blobs/{absent.hash}/{absent.size_bytes}"
        assert [violation.subject for violation in precondition.violations] == [wanted], failed
        assert failed.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0], failed
        cas = re_grpc.ContentAddressableStorageStub(channel)
        expect(failure(lambda: cas.FindMissingBlobs(
            re.FindMissingBlobsRequest(instance_name="a//b"), timeout=SECONDS
        )), "INVALID_ARGUMENT")
        expect(failure(lambda: grid.read(channel, absent)), "NOT_FOUND", absent.hash)
        wrong = re.BatchUpdateBlobsRequest(instance_name=grid.instance, requests=[
            re.BatchUpdateBlobsRequest.Request(digest=absent, data=b"x" * 16)
        ])
        assert cas.BatchUpdateBlobs(wrong, timeout=SECONDS).responses[0].status.code == 3
        unknown = channel.unary_unary("/no.such.Service/Method")
        expect(failure(lambda: unknown(b"", timeout=SECONDS)), "UNIMPLEMENTED")
        malformed = channel.unary_unary("/build.bazel.remote.execution.v2.ActionCache/GetActionResult")
        expect(failure(lambda: malformed(b"\x0a\xff", timeout=SECONDS)), "INVALID_ARGUMENT")


def case_unknown_fields_do_no_harm(grid):
    with grid.channel() as channel:
        cas = re_grpc.ContentAddressableStorageStub(channel)
        for unknown in [UNKNOWN, EVERY_TYPE, EVERY_TYPE * 50]:
            blob = noise(100)
            known = late(digest(blob), unknown)
            assert known.SerializeToString() != digest(blob).SerializeToString()
            updated = cas.BatchUpdateBlobs(late(re.BatchUpdateBlobsRequest(
                instance_name=grid.instance,
                requests=[late(re.BatchUpdateBlobsRequest.Request(digest=known, data=blob), unknown)],
            ), unknown), timeout=SECONDS)
            assert [each.status.code for each in updated.responses] == [0], updated
            missing = late(re.FindMissingBlobsRequest(instance_name=grid.instance, blob_digests=[known]), unknown)
            assert len(cas.FindMissingBlobs(missing, timeout=SECONDS).missing_blob_digests) == 0
            read = cas.BatchReadBlobs(late(re.BatchReadBlobsRequest(
                instance_name=grid.instance, digests=[known]
            ), unknown), timeout=SECONDS)
            assert [each.data for each in read.responses] == [blob]
            large = noise(200_000)
            parts = (late(part, unknown) for part in grid.chunks(large, 70_000))
            assert bs_grpc.ByteStreamStub(channel).Write(parts, timeout=SECONDS).committed_size == len(large)

            property = late(re.NodeProperty(name="mtime", value="0"), unknown)
            directory = late(re.Directory(files=[late(re.FileNode(
                name="in",
                digest=late(digest(blob), unknown),
                node_properties=late(re.NodeProperties(properties=[property]), unknown),
            ), unknown)]), unknown).SerializeToString()
            command = late(re.Command(
                arguments=["/bin/cat", "in"],
                environment_variables=[late(re.Command.EnvironmentVariable(name="A", value="b"), unknown)],
                platform=late(re.Platform(), unknown),
            ), unknown).SerializeToString()
            action = late(re.Action(
                command_digest=late(digest(command), unknown), input_root_digest=digest(directory), salt=noise(8),
            ), unknown).SerializeToString()
            grid.batch(channel, directory, command, action)
            request = late(re.ExecuteRequest(
                instance_name=grid.instance,
                action_digest=late(digest(action), unknown),
                execution_policy=late(re.ExecutionPolicy(priority=1), unknown),
                results_cache_policy=late(re.ResultsCachePolicy(), unknown),
            ), unknown)
            last = list(re_grpc.ExecutionStub(channel).Execute(request, timeout=SECONDS))[-1]
            response = response_of(last)
            assert response.status.code == 0 and response.result.exit_code == 0, response
            assert grid.read(channel, response.result.stdout_digest) == blob


def case_stored_messages_come_back_byte_for_byte(grid):
    service = "/build.bazel.remote.execution.v2.ActionCache/"
    with grid.channel() as channel:
        update, get = (channel.unary_unary(service + name) for name in ["UpdateActionResult", "GetActionResult"])
        for unknown in [UNKNOWN, EVERY_TYPE, EVERY_TYPE * 50]:
            blob = noise(100)
            grid.batch(channel, blob)
            result = late(re.ActionResult(
                output_files=[late(re.OutputFile(path="out", digest=late(digest(blob), unknown)), unknown)],
                stdout_raw=b"said",
                execution_metadata=late(re.ExecutedActionMetadata(worker="python"), unknown),
            ), unknown).SerializeToString()
            # Fields out of order, as no serializer writes them: exit code 0 spelled out, at the end.
            result += b"\x20\x00"
            action = grid.action(channel, "true")
            request = re.UpdateActionResultRequest(instance_name=grid.instance, action_digest=action)
            framed = request.SerializeToString() + b"\x1a" + varint(len(result)) + result
            stored = update(framed, timeout=SECONDS)
            asked = re.GetActionResultRequest(instance_name=grid.instance, action_digest=action)
            given = get(asked.SerializeToString(), timeout=SECONDS)
            assert given == result, (given, result)
            assert stored == result, (stored, result)


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
