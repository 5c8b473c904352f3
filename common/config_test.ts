import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import {
  type Config,
  configFlags,
  configHelp,
  configKeys,
  configReference,
  flagArgument,
  loadConfig,
  loadProcessConfig,
  parseConfigFlags,
} from "@brokkr/common/config";

const HOME = { HOME: "/home/smith" };

async function withFile<T>(toml: string | Uint8Array, use: (cwd: string) => Promise<T>): Promise<T> {
  const cwd = await Deno.makeTempDir({ prefix: "brokkr-config-" });
  try {
    await Deno.writeFile(
      `${cwd}/brokkr.toml`,
      typeof toml === "string" ? new TextEncoder().encode(toml) : toml,
    );
    return await use(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

async function fromToml(toml: string | Uint8Array, env: Record<string, string> = HOME): Promise<Config> {
  return await withFile(toml, (cwd) => loadConfig({ cwd, env }));
}

async function complaint(toml: string | Uint8Array): Promise<string> {
  const error = await assertRejects(() => fromToml(toml), BrokkrError);
  assertEquals(error.code, Code.INVALID_ARGUMENT);
  return error.message;
}

const BAD: readonly (readonly [name: string, toml: string | Uint8Array, message: string])[] = [
  [
    "an address without a port",
    '# first\n\n[log]\nlevel = "info"\n\n[control]\nlisten = "foo"\n',
    'brokkr.toml:7: control.listen: "foo" is not host:port, such as 127.0.0.1:8980',
  ],
  [
    "a port out of range",
    '[control]\nlisten = "127.0.0.1:70000"',
    'brokkr.toml:2: control.listen: "127.0.0.1:70000" has port 70000; ports go up to 65535',
  ],
  [
    "a number for an address",
    "[control]\nlisten = 8980",
    "brokkr.toml:2: control.listen: 8980 is not host:port, such as 127.0.0.1:8980",
  ],
  [
    "an unknown key near a known one",
    "[control]\nlease_tll = '30s'",
    "brokkr.toml:2: control.lease_tll: unknown key; did you mean lease_ttl?",
  ],
  [
    "a key of another section",
    "[client]\nshutdown_grace = '1s'",
    "brokkr.toml:2: client.shutdown_grace: unknown key; there is control.shutdown_grace",
  ],
  [
    "an unknown section near a known one",
    "[contrl]\nlisten = ''",
    "brokkr.toml:1: contrl: unknown section; did you mean [control]?",
  ],
  [
    "an unknown section near none",
    "\n[database]\nx = 1",
    "brokkr.toml:2: database: unknown section; there are [client], [control], [worker], [up], [log]",
  ],
  [
    "a key outside of any section",
    "slots = 4",
    "brokkr.toml:1: slots: keys stand in a section; did you mean worker.slots?",
  ],
  [
    "a section that is no table",
    "worker = 3",
    "brokkr.toml:1: worker: 3 is not a section; write [worker] and its keys below",
  ],
  [
    "a section that is an array of tables",
    "[[worker]]\nslots = 3",
    "brokkr.toml:1: worker: an array is not a section; write [worker] and its keys below",
  ],
  [
    "a size without sense",
    '[worker]\ncache_size = "4 apples"',
    'brokkr.toml:2: worker.cache_size: "4 apples" is not a size, such as 512KiB, 64MiB or 4GiB',
  ],
  [
    "a size below its limit",
    '[worker]\ncache_size = "1KiB"',
    "brokkr.toml:2: worker.cache_size: must be at least 16MiB",
  ],
  [
    "a negative size",
    "[worker]\ncache_size = -1",
    "brokkr.toml:2: worker.cache_size: -1 is not a size, such as 512KiB, 64MiB or 4GiB",
  ],
  [
    "a duration without a unit",
    '[control]\nlease_ttl = "30"',
    'brokkr.toml:2: control.lease_ttl: "30" is not a duration, such as 500ms, 30s or 1h30m',
  ],
  [
    "a number for a duration",
    "[control]\nlease_ttl = 30",
    "brokkr.toml:2: control.lease_ttl: 30 is not a duration, such as 500ms, 30s or 1h30m",
  ],
  [
    "a fraction for a number",
    "[worker]\nslots = 1.5",
    "brokkr.toml:2: worker.slots: 1.5 is not a whole number",
  ],
  [
    "a number out of range",
    "[worker]\nslots = 5000",
    "brokkr.toml:2: worker.slots: 5000 is out of range: 0 to 4096 are allowed",
  ],
  [
    "text for a switch",
    '[control]\nallow_insecure_remote = "yes"',
    'brokkr.toml:2: control.allow_insecure_remote: "yes" is neither true nor false',
  ],
  [
    "an unknown word",
    '[log]\nlevel = "loud"',
    'brokkr.toml:2: log.level: "loud" is not one of debug, info, warn, error',
  ],
  [
    "a date",
    "[log]\nformat = 2024-01-01T00:00:00Z",
    "brokkr.toml:2: log.format: 2024-01-01T00:00:00.000Z is not one of text, json",
  ],
  [
    "an endpoint of another scheme",
    '[client]\nendpoint = "http://localhost:1"',
    'brokkr.toml:2: client.endpoint: "http://localhost:1" is not an endpoint, such as grpc://127.0.0.1:8980 or ' +
    "grpcs://build.example:443",
  ],
  [
    "an instance with an empty segment",
    '[client]\ninstance = "a//b"',
    'brokkr.toml:2: client.instance: "a//b" is not an instance name, such as main or team/project',
  ],
  [
    "a property that is no text",
    "[worker]\nplatform = {\n  Pool = 3 }",
    'brokkr.toml:2: worker.platform: property "Pool" needs a string, or an array of strings, not 3',
  ],
  [
    "properties that are no table",
    '[worker]\nplatform = "linux"',
    'brokkr.toml:2: worker.platform: "linux" is not a table of properties, such as { Pool = "fast" }',
  ],
  [
    "a certificate without its key",
    '[control]\ntls_cert = "a.pem"',
    "brokkr.toml:2: control.tls_cert: needs tls_key beside it",
  ],
  [
    "a lease shorter than two heartbeats",
    '[control]\nlease_ttl = "5s"\n\nheartbeat_interval = "4s"',
    "brokkr.toml:2: control.lease_ttl: must be at least twice heartbeat_interval, or one lost heartbeat ends a lease",
  ],
  [
    "a default timeout above the longest",
    '[control]\nmax_timeout = "1m"',
    "control.default_timeout: must not be longer than max_timeout",
  ],
  [
    "syntax",
    '[control]\nlisten = "127.0.0.1:1\n',
    "brokkr.toml:2:22: not valid TOML: control characters are not allowed in strings",
  ],
  ["a key twice", "[log]\nlevel='info'\nlevel='warn'\n", "brokkr.toml:3:1: not valid TOML"],
  ["bytes that are no text", new Uint8Array([0x5b, 0xff, 0x5d]), "brokkr.toml: not UTF-8 text"],
  [
    "a file that is too large",
    new Uint8Array(1024 * 1024 + 1),
    "brokkr.toml: 1048577 bytes are too many; 1 MiB is allowed",
  ],
  [
    "several faults at once",
    '[control]\nlisten = "x"\nlisen = "y"\n[worker]\nslots = "many"',
    [
      "brokkr.toml:3: control.lisen: unknown key; did you mean listen?",
      'brokkr.toml:2: control.listen: "x" is not host:port, such as 127.0.0.1:8980',
      'brokkr.toml:5: worker.slots: "many" is not a whole number',
    ].join("\n"),
  ],
];

for (const [name, toml, message] of BAD) {
  Deno.test(`loadConfig names file, line and key for ${name}`, async () => {
    const actual = await complaint(toml);
    if (message.endsWith("not valid TOML")) assertStringIncludes(actual, message);
    else assertEquals(actual, message);
  });
}

Deno.test("loadConfig refuses variables that look like its own and are not, with a suggestion", async () => {
  const cwd = await Deno.makeTempDir();
  const told = async (env: Record<string, string>) => {
    try {
      await loadConfig({ cwd, env: { ...HOME, ...env } });
      return "";
    } catch (error) {
      return error instanceof BrokkrError ? error.message : String(error);
    }
  };
  try {
    assertEquals(
      await told({ BROKKR_CONTROL_LISEN: "x" }),
      "BROKKR_CONTROL_LISEN: unknown variable; did you mean BROKKR_CONTROL_LISTEN?",
    );
    assertEquals(
      await told({ BROKKR_CNOFIG: "x", BROKKR_WORKER_SLOTS: "many" }),
      "BROKKR_CNOFIG: unknown variable; did you mean BROKKR_CONFIG?\n" +
        'BROKKR_WORKER_SLOTS: "many" is not a whole number',
    );
    assertEquals(
      await told({ BROKKR_BUILD_FLAVOUR_OF_TODAY: "x" }),
      "BROKKR_BUILD_FLAVOUR_OF_TODAY: unknown variable; variables are named BROKKR_SECTION_KEY, such as " +
        "BROKKR_CONTROL_LISTEN",
    );
    // Others make these: Kubernetes for each service, and our own tools.
    const fine = [
      "BROKKR_CONTROL_SERVICE_HOST",
      "BROKKR_CONTROL_SERVICE_PORT_GRPC",
      "BROKKR_CONTROL_PORT",
      "BROKKR_CONTROL_PORT_8980_TCP_ADDR",
      "BROKKR_PARENT_PIPE",
      "BROKKR_TEST_PYTHON",
      "brokkr_control_lisen",
      "OTEL_DENO",
    ];
    assertEquals(await told(Object.fromEntries(fine.map((name) => [name, "1"]))), "");
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

Deno.test("loadConfig gives every default when nothing is set", async () => {
  const cwd = await Deno.makeTempDir();
  try {
    const config = await loadConfig({ cwd, env: HOME });
    assertEquals(config.file, undefined);
    assertEquals(config.client.endpoint, "grpc://127.0.0.1:8980");
    assertEquals(config.control.dataDir, "/home/smith/.local/share/brokkr/control");
    assertEquals(config.control.leaseTtlMs, 30_000);
    assertEquals(config.control.tlsCert, "");
    assertEquals(config.worker.stdoutLimitBytes, 16 * 1024 * 1024);
    assertEquals(Object.keys(config.worker.platform), []);
    assertEquals(config.log, { level: "info", format: "text" });
  } finally {
    await Deno.remove(cwd);
  }
});

Deno.test("loadConfig puts default data under XDG_DATA_HOME, and under /var/lib where there is no HOME", async () => {
  const xdg = await fromToml("", { HOME: "/home/smith", XDG_DATA_HOME: "/data" });
  assertEquals(xdg.worker.dataDir, "/data/brokkr/worker");
  const service = await fromToml("", {});
  assertEquals(service.up.dataDir, "/var/lib/brokkr");
});

Deno.test("loadConfig takes flags over environment over file", async () => {
  const toml = '[control]\nlisten = "127.0.0.1:1"\nhttp_listen = "127.0.0.1:2"\nmax_queue = 3\n';
  await withFile(toml, async (cwd) => {
    const config = await loadConfig({
      cwd,
      env: { ...HOME, BROKKR_CONTROL_LISTEN: "127.0.0.1:11", BROKKR_CONTROL_HTTP_LISTEN: "" },
      flags: { "control.listen": "127.0.0.1:111" },
    });
    assertEquals(config.control.listen, "127.0.0.1:111");
    assertEquals(config.control.httpListen, "");
    assertEquals(config.control.maxQueue, 3);
    assertEquals(config.file, "brokkr.toml");
  });
});

Deno.test("loadConfig resolves a file's paths against the file and a flag's against the working directory", async () => {
  const cwd = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${cwd}/etc`);
    const toml = '[control]\ndata_dir = "../state"\n[worker]\ndata_dir = "~/w"\n';
    await Deno.writeTextFile(`${cwd}/etc/grid.toml`, toml);
    const config = await loadConfig({
      cwd,
      file: "etc/grid.toml",
      env: HOME,
      flags: { "up.data_dir": "./all/" },
    });
    assertEquals(config.control.dataDir, `${cwd}/state`);
    assertEquals(config.worker.dataDir, "/home/smith/w");
    assertEquals(config.up.dataDir, `${cwd}/all`);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

Deno.test("loadConfig reads platform properties from tables, variables and repeated flags", async () => {
  const table = await fromToml('[worker.platform]\nPool = "fast"\nISA = ["x86-64", "x86-64-v3"]\n');
  assertEquals({ ...table.worker.platform }, { Pool: ["fast"], ISA: ["x86-64", "x86-64-v3"] });
  const variable = await fromToml("", { ...HOME, BROKKR_WORKER_PLATFORM: "Pool=fast,ISA=a,ISA=b" });
  assertEquals({ ...variable.worker.platform }, { Pool: ["fast"], ISA: ["a", "b"] });
  const { flags } = parseConfigFlags("worker", ["--platform", "Pool=a", "--platform=Disk=ssd"]);
  assertEquals(flags["worker.platform"], "Pool=a,Disk=ssd");
});

Deno.test("loadConfig names the variable or the flag that is wrong", async () => {
  const cwd = await Deno.makeTempDir();
  try {
    const variable = await assertRejects(
      () => loadConfig({ cwd, env: { ...HOME, BROKKR_WORKER_SLOTS: "many" } }),
      BrokkrError,
    );
    assertEquals(variable.message, 'BROKKR_WORKER_SLOTS: "many" is not a whole number');
    const flag = await assertRejects(
      () => loadConfig({ cwd, env: HOME, flags: { "control.lease_ttl": "soon" } }),
      BrokkrError,
    );
    assertEquals(flag.message, '--lease-ttl: "soon" is not a duration, such as 500ms, 30s or 1h30m');
  } finally {
    await Deno.remove(cwd);
  }
});

Deno.test("loadConfig fails with NOT_FOUND when the named file is missing, and ignores foreign variables", async () => {
  const error = await assertRejects(
    () => loadConfig({ env: { ...HOME, BROKKR_CONFIG: "/nowhere/grid.toml" } }),
    BrokkrError,
  );
  assertEquals(error.code, Code.NOT_FOUND);
  assertEquals(error.message, "/nowhere/grid.toml: no such file; brokk init writes one");
  // Kubernetes sets such variables in every pod for a service that is called brokkr-control.
  await fromToml("", { ...HOME, BROKKR_CONTROL_PORT: "tcp://10.0.0.1:8980" });
});

Deno.test("configReference is itself a valid file, and with its keys uncommented gives the defaults", async () => {
  const reference = configReference();
  const plain = await fromToml(reference);
  const uncommented = reference.replaceAll(/^# (\w+ = )/gm, "$1");
  assertEquals(await fromToml(uncommented), plain);
  assertEquals(plain, { ...await fromToml(""), file: "brokkr.toml" });
  for (const line of reference.split("\n")) assertEquals(line.length <= 110, true, line);
});

Deno.test("configKeys has every key of the reference file", () => {
  const lines = configReference().split("\n").filter((line) => /^# \w+ = /.test(line));
  assertEquals(configKeys().map(({ name, fallback }) => `# ${name} = ${fallback}`), lines);
});

Deno.test("configFlags derives a process's flags and keeps them apart where sections share a name", () => {
  const names = configFlags("up").map((flag) => flag.name);
  assertEquals(new Set(names).size, names.length);
  for (const name of ["--data-dir", "--listen", "--slots", "--worker-memory-budget", "--log-level"]) {
    assertEquals(names.includes(name), true, name);
  }
  assertEquals(configFlags("up").find((flag) => flag.name === "--data-dir")?.path, "up.data_dir");
  assertStringIncludes(configHelp("control", "brokkr-control [flags]", "About."), "  --lease-ttl DURATION\n");
});

Deno.test("parseConfigFlags reads values and switches, and names what it does not know", () => {
  const parsed = parseConfigFlags("control", [
    "--listen=[::1]:1",
    "--allow-insecure-remote",
    "--config",
    "x.toml",
  ]);
  assertEquals({ ...parsed.flags }, { "control.listen": "[::1]:1", "control.allow_insecure_remote": "true" });
  assertEquals(parsed.file, "x.toml");
  assertEquals(parseConfigFlags("control", ["--help", "--what"]).asked, "help");
  for (
    const [args, message] of [
      [["--lisen", "x"], "--lisen: unknown flag; did you mean --listen?"],
      [["serve"], "serve: unknown argument; --help lists the flags"],
      [["--listen"], "--listen: a value is missing: --listen HOST:PORT"],
      [["--config"], "--config: a value is missing: --config FILE"],
    ] as const
  ) {
    assertEquals(assertThrows(() => parseConfigFlags("control", args), BrokkrError).message, message);
  }
});

Deno.test("A switch that is on by default has a flag that turns it off, for a worker and for brokk up", async () => {
  assertEquals((await fromToml("")).worker.sandbox, true);
  assertEquals((await fromToml("[worker]\nsandbox = false\n")).worker.sandbox, false);
  for (const process of ["worker", "up"] as const) {
    const flag = configFlags(process).find(({ path }) => path === "worker.sandbox");
    assertEquals([flag?.name, flag?.placeholder, flag?.negated], ["--no-sandbox", "", true]);
    for (
      const [arg, text] of [["", "false"], ["=true", "false"], ["=false", "true"], ["=no", "no"]] as const
    ) {
      assertEquals(parseConfigFlags(process, [`--no-sandbox${arg}`]).flags["worker.sandbox"], text);
    }
    if (flag !== undefined) {
      for (const text of ["true", "false"]) {
        assertEquals(parseConfigFlags(process, [flagArgument(flag, text)]).flags["worker.sandbox"], text);
      }
    }
  }
  const about = {
    usage: "brokkr-worker",
    about: "",
    version: "1",
    env: { ...HOME, BROKKR_WORKER_SANDBOX: "true" },
  };
  const { config } = await loadProcessConfig("worker", ["--no-sandbox"], about);
  assertEquals(config?.worker.sandbox, false);
});

Deno.test("loadConfig reads what actions get of their sandbox", async () => {
  const { worker } = await fromToml(`[worker]
sandbox_binds = ["default", "/opt/tools-3:/opt/tools", "/opt/tools-3:/opt/tools"]
sandbox_networks = ["host"]
sandbox_memory = "2GiB"
sandbox_max_memory = "8GiB"
sandbox_cpu = 1.5
sandbox_max_cpu = "2"
sandbox_switches = []
`);
  assertEquals(worker.sandboxBinds, ["default", "/opt/tools-3:/opt/tools"]);
  assertEquals(worker.sandboxNetworks, ["host"]);
  assertEquals([worker.sandboxMemoryBytes, worker.sandboxMaxMemoryBytes], [2 ** 31, 2 ** 33]);
  assertEquals([worker.sandboxCpuMillis, worker.sandboxMaxCpuMillis], [1500, 2000]);
  assertEquals(worker.sandboxSwitches, []);
  const variable = await fromToml("", { ...HOME, BROKKR_WORKER_SANDBOX_NETWORKS: "none,host" });
  assertEquals(variable.worker.sandboxNetworks, ["none", "host"]);
  const none = await fromToml("", { ...HOME, BROKKR_WORKER_SANDBOX_PROPERTIES: "" });
  assertEquals(none.worker.sandboxProperties, []);
  const { flags } = parseConfigFlags("worker", ["--sandbox-binds", "/a", "--sandbox-binds=default"]);
  assertEquals(flags["worker.sandbox_binds"], "/a,default");
});

for (
  const [line, says] of [
    ['sandbox_binds = ["opt"]', '"opt" is neither "default", nor an absolute path'],
    ['sandbox_binds = ["/a:b"]', '"/a:b" is neither'],
    ['sandbox_binds = ["/a:/b:/c"]', "is neither"],
    ['sandbox_binds = ["/a/../b"]', "is neither"],
    ['sandbox_binds = ["/a/.."]', "is neither"],
    ['sandbox_binds = ["/srv:/"]', "would hide everything else"],
    ['sandbox_binds = ["/"]', "would hide everything else"],
    ["sandbox_binds = [1]", "an array is not an array of texts in quotes"],
    ['sandbox_networks = "none"', '"none" is not an array of texts in quotes'],
    ['sandbox_networks = ["bridge"]', '"bridge" is not one of none, loopback, host'],
    ["sandbox_cpu = -1", "-1 is not a number of processors"],
    ['sandbox_cpu = "two"', '"two" is not a number of processors'],
    ["sandbox_pids = 0", "0 is out of range: 16"],
    ['sandbox_memory = "2GiB"\nsandbox_max_memory = "1GiB"', "must be at least sandbox_memory"],
    ["sandbox_max_pids = 100", "must be at least sandbox_pids"],
    ["sandbox_cpu = 2\nsandbox_max_cpu = 1", "must be at least sandbox_cpu"],
    ['sandbox_disk = "2GiB"\nsandbox_max_disk = "1GiB"', "must be at least sandbox_disk"],
  ] as const
) {
  Deno.test(`loadConfig refuses ${line.replace("\n", " with ")}`, async () => {
    const error = await assertRejects(() => fromToml(`[worker]\n${line}\n`), BrokkrError);
    assertStringIncludes(error.message, says);
  });
}

Deno.test("loadProcessConfig names a process's own flag in a complaint", async () => {
  const about = { usage: "brokk up", about: "All of it.", version: "1.2.3", env: HOME };
  const error = await assertRejects(
    () => loadProcessConfig("up", ["--worker-memory-budget", "1B"], about),
    BrokkrError,
  );
  assertEquals(error.message, "--worker-memory-budget: must be at least 16MiB");
  assertEquals((await loadProcessConfig("up", ["--version"], about)).print, "1.2.3\n");
});
