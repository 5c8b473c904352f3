"""A client of the grid that shares no code with it: Google's gRPC and protobuf for Python.

Usage: main.py compile PROTO_ROOT OUT    writes the protocol's Python modules to OUT
       main.py list                      prints the names of all cases
       main.py OUT < REQUEST             runs cases; prints a line of JSON for each

REQUEST is JSON: endpoint (host:port), instance, tls (null, or paths: ca, cert, key), cases (names), given (what a
case before has said).
"""

import json
import os
import sys
import time
import traceback

import protos

CASE_MODULES = ["way", "messages", "deadlines", "cancels", "streams", "identity", "frames"]


def cases():
    found = {}
    for name in CASE_MODULES:
        try:
            module = __import__(f"{name}_cases")
        except ModuleNotFoundError as error:
            if error.name != "hpack":
                raise
            continue  # its cases are skipped, and the tests say why
        own = {key[5:]: value for key, value in vars(module).items() if key.startswith("case_")}
        assert not found.keys() & own.keys(), name
        found.update(own)
    return found


def run(request):
    from grid import Grid

    known = cases()
    grid = Grid(request["endpoint"], request["instance"], request["tls"], request.get("given", ""))
    for name in request["cases"]:
        started = time.monotonic()
        try:
            line = {"case": name, "told": known[name](grid)}
        except Exception:
            line = {"case": name, "error": traceback.format_exc()}
        print(json.dumps({**line, "ms": round((time.monotonic() - started) * 1000)}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "compile":
        protos.compile_protos(*sys.argv[2:])
    elif sys.argv[1] == "list":
        print(json.dumps(sorted(cases())))
    else:
        protos.use(sys.argv[1])
        run(json.load(sys.stdin))
        # Threads of calls that were left hanging on purpose must not keep the process.
        sys.stdout.flush()
        os._exit(0)
