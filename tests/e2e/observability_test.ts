import { assert, assertEquals, assertMatch } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { type Family, readExposition } from "./_exposition.ts";
import { attribute, ObservedGrid, type SeenSpan, SpanReceiver } from "./_observed.ts";

const openssl = await new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success ? undefined : "openssl does not work", () => "there is no openssl");

/** The spans of one trace as a tree: name and service of each, those of one parent by name. */
function tree(spans: readonly SeenSpan[], parent: SeenSpan, depth = 0): string[] {
  const short = ({ name }: SeenSpan) => name.replace(/^.*\.(\w+\/)/, "$1");
  const children = spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId)
    .sort((a, b) => short(a) < short(b) ? -1 : 1);
  const line = `${"  ".repeat(depth)}${short(parent)} (${parent.service})`;
  return [line, ...children.flatMap((child) => tree(spans, child, depth + 1))];
}

/** One span by name and service. */
function one(spans: readonly SeenSpan[], service: string, name: string): SeenSpan {
  const found = spans.filter((span) => span.service === service && span.name === name);
  assertEquals(found.length, 1, `${service}: ${name} in ${spans.map((span) => span.name).join(", ")}`);
  return found[0];
}

/** Clocks of processes on one machine agree, but not to the last microsecond. */
const SLACK_NS = 20_000_000n;

function assertNested(spans: readonly SeenSpan[]): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  for (const span of spans) {
    const [from, to] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
    assert(from <= to, span.name);
    const parent = byId.get(span.parentSpanId ?? "");
    if (parent === undefined) continue;
    assert(from >= BigInt(parent.startTimeUnixNano) - SLACK_NS, `${span.name} begins before ${parent.name}`);
    assert(to <= BigInt(parent.endTimeUnixNano) + SLACK_NS, `${span.name} ends after ${parent.name}`);
  }
}

const TREE = [
  "run (brokk)",
  "  ask cache (brokk)",
  "    ActionCache/GetActionResult (brokkr-control)",
  "  build inputs (brokk)",
  "  execute (brokk)",
  "    Execution/Execute (brokkr-control)",
  "      action (brokkr-control)",
  "        cache check (brokkr-control)",
  "        on worker (brokkr-control)",
  "        queued (brokkr-control)",
  "        settle (brokkr-control)",
  "        worker (brokkr-worker)",
  "          execute (brokkr-worker)",
  "          fetch inputs (brokkr-worker)",
  // The root's Directory, then its file.
  "            ContentAddressableStorage/BatchReadBlobs (brokkr-control)",
  "            ContentAddressableStorage/BatchReadBlobs (brokkr-control)",
  "            materialize (brokkr-worker)",
  "          upload outputs (brokkr-worker)",
  "            ContentAddressableStorage/BatchUpdateBlobs (brokkr-control)",
  "            collect (brokkr-worker)",
  "  fetch streams (brokk)",
  "  upload inputs (brokk)",
  "    ContentAddressableStorage/BatchUpdateBlobs (brokkr-control)",
  "    ContentAddressableStorage/FindMissingBlobs (brokkr-control)",
];

const SCRIPT = "env; cat in.txt; echo made > out.txt";

async function assertTraced(tls: { readonly cert: string; readonly key: string } | undefined): Promise<void> {
  await using receiver = new SpanReceiver();
  const grid = await ObservedGrid.start({ tls, env: { ...receiver.env, BROKKR_LOG_FORMAT: "json" } });
  const parent = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  let stdout = "";
  let stopped;
  try {
    await Deno.writeTextFile(`${grid.directory}/in.txt`, "Hello\n");
    const ran = await grid.brokk(
      [
        "run",
        "--json",
        "--input=in.txt",
        "--output=out.txt",
        "--env=PATH=/usr/bin:/bin",
        "--",
        "/bin/sh",
        "-c",
        SCRIPT,
      ],
      { TRACEPARENT: `00-${parent.traceId}-${parent.spanId}-01` },
    );
    assertEquals(ran.code, 0, ran.stderr);
    stdout = ran.stdout;
  } finally {
    stopped = await grid.stop();
  }
  assertEquals(stopped.codes, [0, 0]);
  const spans = receiver.spans.filter(({ traceId }) => traceId === parent.traceId);
  const root = one(spans, "brokk", "run");
  assertEquals(root.parentSpanId, parent.spanId);
  const seen = tree(spans, root);
  assertEquals(seen, TREE);
  assertNested(spans);

  const action = one(spans, "brokkr-control", "action");
  const operation = attribute(action, "brokkr.operation") ?? "";
  const digest = attribute(action, "brokkr.action") ?? "";
  assertMatch(operation, /^operations\//);
  assertEquals(one(spans, "brokkr-worker", "worker").parentSpanId, action.spanId);
  assertEquals(one(spans, "brokkr-control", "build.bazel.remote.execution.v2.Execution/Execute").kind, 2);
  assertEquals(attribute(one(spans, "brokkr-worker", "execute"), "process.exit.code"), "0");
  const invocation = attribute(action, "brokkr.invocation") ?? "";
  assertMatch(invocation, /^[0-9a-f]{32}$/);
  // Nothing of this may reach the action: it would make results depend on who asked.
  assert(
    !stdout.includes("OTEL") && !stdout.includes("TRACEPARENT") && !stdout.includes(parent.traceId),
    stdout,
  );

  // Whatever one has of the action finds its line in both logs.
  for (
    const [process, message] of [[grid.control, "Action finished"], [grid.worker, "Action done"]] as const
  ) {
    for (const name of [parent.traceId, operation, digest, invocation]) {
      const found = process.lines.filter((line) => line.includes(name)).map((line) => JSON.parse(line));
      const line = found.find((each) => each.message === message);
      assert(line !== undefined, `${name} is not in\n${process.lines.join("\n")}`);
      assertEquals([line.trace, line.operation, line.action, line.exit], [
        parent.traceId,
        operation,
        digest,
        0,
      ]);
      assert(typeof line.totalMs === "number" && line.totalMs > 0);
    }
  }
}

Deno.test("A run is one trace from brokk to the process on the worker and back, and a line in both logs", async () => {
  await assertTraced(undefined);
});

testUnless(openssl, "Over TLS a run is one trace, too", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`];
    const args = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ];
    const more = [
      "-subj",
      "/CN=grid",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      key,
      "-out",
      cert,
    ];
    const made = await new Deno.Command("openssl", { args: [...args, ...more] }).output();
    assert(made.success, new TextDecoder().decode(made.stderr));
    await assertTraced({ cert, key });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("What fails is marked as failed in the trace, and told in the logs", async () => {
  await using receiver = new SpanReceiver();
  const grid = await ObservedGrid.start({ env: receiver.env });
  let ended;
  try {
    ended = await grid.brokk(["run", "--timeout=1s", "--", "/bin/sleep", "600"]);
  } finally {
    await grid.stop();
  }
  assertEquals(ended.code, 124, ended.stderr);
  const failed = receiver.spans.filter(({ status }) => status.code === 2);
  const names = new Set(failed.map(({ service, name }) => `${service}: ${name}`));
  assertEquals(
    names,
    new Set([
      "brokk: run",
      "brokkr-control: action",
      "brokkr-control: on worker",
      "brokkr-worker: worker",
      "brokkr-worker: execute",
    ]),
  );
  for (const { status } of failed) assertMatch(status.message ?? "", /timeout/);
  const line = grid.control.lines.find((each) => each.includes("Action finished"));
  assertMatch(line ?? "", /code=DEADLINE_EXCEEDED why="The command was killed after its timeout of 1 s"/);
});

for (const kind of ["hangs", "is not there"]) {
  Deno.test(`A receiver of spans that ${kind} is no trouble to builds, nor to their end`, async () => {
    const receiver = new SpanReceiver({ hangs: true });
    const nobody: Record<string, string> = kind === "hangs"
      ? {}
      : { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" };
    const env = { ...receiver.env, ...nobody, OTEL_EXPORTER_OTLP_TIMEOUT: "600000" };
    const grid = await ObservedGrid.start({ env });
    let stopped;
    try {
      for (let i = 0; i < 3; i++) {
        const ran = await grid.brokk(["run", "--", "/bin/echo", `${kind} ${i}`]);
        assertEquals([ran.code, ran.stdout], [0, `${kind} ${i}\n`], ran.stderr);
      }
    } finally {
      stopped = await grid.stop();
      await receiver[Symbol.asyncDispose]();
    }
    assertEquals(stopped.codes, [0, 0]);
    // Far less than the ten minutes that one request may take.
    assert(stopped.ms < 120_000, `${stopped.ms} ms`);
    if (kind === "hangs") assert(receiver.requests > 0);
    else assert(grid.control.lines.some((line) => line.includes("Spans cannot be exported")));
  });
}

Deno.test("An OTEL_ variable that is wrong is told, and keeps nobody from serving or running", async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://u:secret@127.0.0.1:1" };
  const grid = await ObservedGrid.start({ env });
  try {
    const ran = await grid.brokk(["run", "--", "/bin/echo", "Hello"]);
    assertEquals([ran.code, ran.stdout], [0, "Hello\n"]);
    assertMatch(ran.stderr, /Spans are not exported: OTEL_EXPORTER_OTLP_ENDPOINT must not hold/);
    assert(!ran.stderr.includes("secret"));
  } finally {
    await grid.stop();
  }
  for (const { lines } of [grid.control, grid.worker]) {
    assert(lines.some((line) => line.includes("Spans are not exported")));
    assert(lines.every((line) => !line.includes("secret")));
  }
});

async function page(url: string): Promise<ReadonlyMap<string, Family>> {
  const response = await fetch(`${url}/metrics`);
  assertMatch(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return readExposition(await response.text());
}

/** The table of docs/observability.md. */
function metricTable(control: ReadonlyMap<string, Family>, worker: ReadonlyMap<string, Family>): string {
  const all = new Map([...worker, ...control]);
  const rows = [...all.values()].sort((a, b) => a.name < b.name ? -1 : 1).map(({ name, type, help }) => {
    const where = [control.has(name) ? "control" : "", worker.has(name) ? "worker" : ""].filter((each) =>
      each !== ""
    );
    return `| \`${name}\` | ${type} | ${where.join(", ")} | ${help} |`;
  });
  return ["| metric | type | process | what it is |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** A Markdown table without the blanks that a formatter puts between its columns. */
function bare(table: string): string {
  return table.replace(/ +\|/g, " |").replace(/-{3,}/g, "---").trim();
}

Deno.test("Pages of metrics are well-formed, say what was done, and are what the guide lists", async () => {
  await using receiver = new SpanReceiver();
  const grid = await ObservedGrid.start({ env: receiver.env });
  try {
    for (
      const json of [await fetch(`${grid.controlPages}/readyz`), await fetch(`${grid.workerPages}/readyz`)]
    ) {
      assertEquals([json.status, await json.json()], [200, { ready: true, waiting: {} }]);
    }
    await Deno.writeTextFile(`${grid.directory}/in.txt`, "Hello");
    for (let i = 0; i < 2; i++) {
      assertEquals((await grid.brokk(["run", "--input=in.txt", "--", "/bin/cat", "in.txt"])).code, 0);
    }
    const [control, worker] = [await page(grid.controlPages), await page(grid.workerPages)];
    const value = (family: string, sample = family) => control.get(family)?.samples.get(sample);
    assertEquals(value("brokkr_jobs_running"), 0);
    assertEquals(value("brokkr_worker_capacity_utilization"), 0);
    assertEquals(value("brokkr_operations_total", 'brokkr_operations_total{code="OK",cached="false"}'), 1);
    // Asked by brokk and by Execute in vain, and by the second brokk with success.
    assertEquals(value("brokkr_action_cache_hit_ratio"), 1 / 3);
    const method = 'method="build.bazel.remote.execution.v2.Execution/Execute"';
    assertEquals(
      value("brokkr_rpc_duration_seconds", `brokkr_rpc_duration_seconds_count{${method},code="OK"}`),
      1,
    );
    assertEquals(value("brokkr_rpc_inflight", `brokkr_rpc_inflight{${method}}`), 0);
    assert([...control.get("brokkr_cas_hits_total")?.samples.values() ?? []].some((hits) => hits > 0));
    const asked = 'method="build.bazel.remote.execution.v2.ActionCache/GetActionResult"';
    assertEquals(value("brokkr_errors_total", `brokkr_errors_total{${asked},code="NOT_FOUND"}`), 1);
    assertEquals(
      worker.get("brokkr_worker_results_total")?.samples.get(
        'brokkr_worker_results_total{outcome="completed"}',
      ),
      1,
    );
    for (const families of [control, worker]) {
      const of = (name: string) => families.get(name)?.samples.get(name) ?? 0;
      assert(of("process_resident_memory_bytes") > 10e6);
      assert(of("process_cpu_seconds_total") > 0);
      assert(of("process_open_fds") > 3);
      assert(
        (families.get("brokkr_event_loop_lag_seconds")?.samples.get("brokkr_event_loop_lag_seconds_count") ??
          0) > 0,
      );
    }
    const guide = await Deno.readTextFile(new URL("../../docs/observability.md", import.meta.url));
    const table = metricTable(control, worker);
    assert(bare(guide).includes(bare(table)), `docs/observability.md should hold this table:\n${table}`);
  } finally {
    await grid.stop();
  }
});

Deno.test("A worker without control says so, and lives", async () => {
  const grid = await ObservedGrid.start();
  try {
    assertEquals(await grid.control.stop().then(({ code }) => code), 0);
    // The worker notices when its stream ends, which is on its way.
    let status = 200;
    let body: unknown;
    while (status === 200) {
      const response = await fetch(`${grid.workerPages}/readyz`);
      status = response.status;
      body = await response.json();
    }
    assertEquals([status, body], [503, {
      ready: false,
      waiting: { control: "Control has not taken it in, or is out of reach" },
    }]);
    const live = await fetch(`${grid.workerPages}/livez`);
    assertEquals([live.status, await live.text()], [200, "ok\n"]);
  } finally {
    await grid.stop();
  }
});
