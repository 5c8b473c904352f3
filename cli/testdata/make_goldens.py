"""Writes golden.json: trees, commands and actions with the digests that Python's protobuf gives them.

It shares no code with Brokkr: messages come from protoc and Python, the order of entries from sorting UTF-8 here.
Run in this directory:

    python3 -m venv /tmp/goldens && /tmp/goldens/bin/pip install grpcio-tools==1.76.0
    /tmp/goldens/bin/python make_goldens.py
"""

import hashlib
import json
import pathlib
import sys
import tempfile

from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
PROTO = HERE.parent.parent / "proto"
OUT = tempfile.mkdtemp()
FILES = [
    "build/bazel/remote/execution/v2/remote_execution.proto",
    "build/bazel/semver/semver.proto",
    "google/longrunning/operations.proto",
    "google/rpc/status.proto",
]
WELL_KNOWN = pathlib.Path(protoc.__file__).parent / "_proto"
assert protoc.main(["protoc", f"-I{PROTO}", f"-I{WELL_KNOWN}", f"--python_out={OUT}", *FILES]) == 0
sys.path.insert(0, OUT)
from build.bazel.remote.execution.v2 import remote_execution_pb2 as re  # noqa: E402


def digest_of(data):
    return re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def text(digest):
    return f"{digest.hash}/{digest.size_bytes}"


def wire(message):
    return message.SerializeToString(deterministic=True)


def content_of(entry):
    """`content` as UTF-8, repeated `repeat` times."""
    return entry["content"].encode() * entry.get("repeat", 1)


def nest(entries):
    root = {}
    for entry in entries:
        names = entry["path"].split("/")
        node = root
        for name in names[:-1]:
            node = node.setdefault(name, {})
        if entry.get("directory"):
            node.setdefault(names[-1], {})
        else:
            node[names[-1]] = ("leaf", entry)
    return root


def directory(node, seen):
    """The Directory of a node; `seen` collects every one below it, children first."""
    message = re.Directory()
    for name in sorted(node, key=lambda n: n.encode()):
        child = node[name]
        if isinstance(child, dict):
            message.directories.add(name=name, digest=directory(child, seen))
        elif "target" in child[1]:
            message.symlinks.add(name=name, target=child[1]["target"])
        else:
            message.files.add(
                name=name, digest=digest_of(content_of(child[1])), is_executable=child[1].get("executable", False)
            )
    digest = digest_of(wire(message))
    seen.append(text(digest))
    return digest


TREES = {
    "nothing": [],
    "one file": [{"path": "a.txt", "content": "hello\n"}],
    "an empty file": [{"path": "empty", "content": ""}],
    "an executable": [{"path": "run.sh", "content": "#!/bin/sh\n", "executable": True}],
    "an empty directory": [{"path": "out", "directory": True}],
    "nested directories": [
        {"path": "src/lib/deep/er/x.c", "content": "int x;"},
        {"path": "src/lib/y.c", "content": "int y;"},
        {"path": "src/main.c", "content": "int main(void) { return 0; }"},
        {"path": "README", "content": "read"},
    ],
    "symbolic links": [
        {"path": "relative", "target": "dir/file"},
        {"path": "absolute", "target": "/usr/bin/env"},
        {"path": "nowhere", "target": "../../gone"},
        {"path": "dir/file", "content": "f"},
        {"path": "dir/up", "target": ".."},
    ],
    "names whose UTF-16 order differs from their UTF-8 order": [
        {"path": "\U0001f600", "content": "1"},
        {"path": "\uff5e", "content": "2"},
        {"path": "\ue000", "content": "3"},
        {"path": "z", "content": "4"},
        {"path": "\u00e9", "content": "5"},
    ],
    "names that sort apart from their paths": [
        {"path": "a/b", "content": "1"},
        {"path": "a.b", "content": "2"},
        {"path": "a-b", "content": "3"},
        {"path": "A", "content": "4"},
        {"path": "a b", "content": "5"},
        {"path": "a0", "content": "6"},
    ],
    "decomposed and composed letters": [
        {"path": "e\u0301", "content": "1"},
        {"path": "\u00e9", "content": "2"},
        {"path": "\ufffd", "content": "3"},
    ],
    "the same directory twice": [
        {"path": "one/same/f", "content": "f"},
        {"path": "two/same/f", "content": "f"},
    ],
    "a long name": [{"path": "n" * 255, "content": "n"}],
    "a file of several chunks": [{"path": "big", "content": "0123456789abcde\n", "repeat": 196609}],
    "many files": [{"path": f"d{n % 7}/f{n}", "content": str(n), "executable": n % 3 == 0} for n in range(500)],
}

COMMANDS = {
    "a plain command": {"argv": ["/bin/echo", "hello world"]},
    "everything": {
        "argv": ["gcc", "-o", "out/main", "main.c", ""],
        "env": {"PATH": "/usr/bin:/bin", "LANG": "C", "A\u00e9": "\U0001f600", "EMPTY": ""},
        "outputs": ["out/main", "a.log", "out", "\uff5e", "\U0001f600"],
        "platform": [["Pool", "fast"], ["ISA", "x86-64-v3"], ["ISA", "x86-64"], ["OSFamily", "linux"]],
        "workingDirectory": "src",
        "timeoutMs": 90500,
    },
    "a command that is not cached": {"argv": ["date"], "timeoutMs": 1000, "noCache": True},
}


def golden_tree(entries):
    seen = []
    root = directory(nest(entries), seen)
    return {"entries": entries, "root": text(root), "directories": sorted(set(seen))}


def golden_command(spec):
    command = re.Command(arguments=spec["argv"], working_directory=spec.get("workingDirectory", ""))
    for name in sorted(spec.get("env", {}), key=lambda n: n.encode()):
        command.environment_variables.add(name=name, value=spec["env"][name])
    command.output_paths.extend(sorted(spec.get("outputs", []), key=lambda p: p.encode()))
    platform = re.Platform()
    for name, value in sorted(spec.get("platform", []), key=lambda p: (p[0].encode(), p[1].encode())):
        platform.properties.add(name=name, value=value)
    if spec.get("platform"):
        command.platform.CopyFrom(platform)
    command_digest = digest_of(wire(command))
    action = re.Action(
        command_digest=command_digest,
        input_root_digest=digest_of(b""),
        do_not_cache=spec.get("noCache", False),
    )
    if "timeoutMs" in spec:
        action.timeout.FromMilliseconds(spec["timeoutMs"])
    if spec.get("platform"):
        action.platform.CopyFrom(platform)
    return {"spec": spec, "command": text(command_digest), "action": text(digest_of(wire(action)))}


golden = {
    "trees": {name: golden_tree(entries) for name, entries in TREES.items()},
    "commands": {name: golden_command(spec) for name, spec in COMMANDS.items()},
}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
