/** `brokk up` and the demo as processes: what they start, what they leave. */

import { connectGrid } from "@brokkr/cli";
import { startGrid } from "@brokkr/cli/up";
import { BrokkrError } from "@brokkr/common";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { brokk, brokkCommand, inTempDir, lives, processesNaming, until } from "./_testing.ts";

/** Reads a stream in the background; what has come so far is in `text`. */
class Reader {
  text = "";
  readonly ended: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = (async () => {
      for await (const chunk of stream.pipeThrough(new TextDecoderStream())) this.text += chunk;
    })();
  }
}

interface Up {
  readonly child: Deno.ChildProcess;
  readonly out: Reader;
  readonly err: Reader;
  readonly endpoint: string;
  /** Control and workers. */
  readonly children: readonly number[];
}

async function up(dataDir: string, ...args: string[]): Promise<Up> {
  const at = args.indexOf("--workers");
  const workers = at < 0 ? 1 : Number(args[at + 1]);
  const free = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
  const child = brokkCommand(["up", "--data-dir", dataDir, ...free, ...args], { cwd: dataDir }).spawn();
  const out = new Reader(child.stdout);
  const err = new Reader(child.stderr);
  await until("brokk up greets", () => out.text.includes("Ctrl-C"), 60_000);
  const endpoint = /grpc:\/\/[\d.:]+/.exec(out.text)?.[0] ?? "";
  const children = (await processesNaming(`--data-dir=${dataDir}/`)).filter((pid) => pid !== child.pid);
  assertEquals(children.length, 1 + workers);
  return { child, out, err, endpoint, children };
}

async function end({ child, out, err }: Up): Promise<number> {
  const [{ code }] = await Promise.all([child.status, out.ended, err.ended]);
  return code;
}

Deno.test("brokk up serves, keeps its data, and ends in order on SIGINT and SIGTERM", async () => {
  await inTempDir(async (dataDir) => {
    for (const [signal, hit] of [["SIGINT", false], ["SIGTERM", true]] as const) {
      const grid = await up(dataDir, "--slots", "3");
      assertStringIncludes(
        grid.out.text,
        `brokk run --endpoint ${grid.endpoint} -- /bin/echo "hello world"\n`,
      );
      assertStringIncludes(grid.out.text, `bazel build --remote_executor=${grid.endpoint} //...\n`);
      assertStringIncludes(grid.out.text, "with 3 slots\n");
      const { stdout, stderr } = await brokk(["run", "--endpoint", grid.endpoint, "--", "/bin/echo", "kept"]);
      assertEquals([stdout, stderr], ["kept\n", `[brokk] exit=0 cache_hit=${hit}\n`]);
      grid.child.kill(signal);
      assertEquals(await end(grid), 0);
      assertMatch(grid.err.text, /brokk: ended\n$/);
      for (const pid of grid.children) assertEquals(await lives(pid), false);
    }
  });
});

Deno.test("brokk up starts several workers, each with its own name, slots, directory and pages", async () => {
  await inTempDir(async (dataDir) => {
    const grid = await up(
      dataDir,
      "--workers",
      "3",
      "--slots",
      "2",
      "--id",
      "crew",
      "--worker-http-listen",
      "127.0.0.1:0",
    );
    assertStringIncludes(grid.out.text, "3 workers, each with 2 slots\n");
    {
      await using client = connectGrid(grid.endpoint);
      const workers = await client.workers();
      assertEquals(workers.map(({ workerId }) => workerId).toSorted(), ["crew", "crew-2", "crew-3"]);
      assertEquals(workers.map(({ slots }) => slots), [2, 2, 2]);
    }
    for (const name of ["worker", "worker-2", "worker-3"]) {
      assertEquals((await Deno.stat(`${dataDir}/${name}/cache`)).isDirectory, true);
    }
    grid.child.kill("SIGTERM");
    assertEquals(await end(grid), 0);
  });
});

Deno.test("brokk up leaves no process behind when it is killed", async () => {
  await inTempDir(async (dataDir) => {
    const grid = await up(dataDir, "--shutdown-grace=1s", "--worker-shutdown-grace=1s");
    // An action that would outlive everybody, were it let.
    const action = brokkCommand(["run", "--endpoint", grid.endpoint, "-e", "PATH", "--", "sleep", "98765"])
      .output();
    await using client = connectGrid(grid.endpoint);
    await until("the action runs", async () => (await client.status()).running === 1);
    const running = await processesNaming("sleep\u000098765");
    grid.child.kill("SIGKILL");
    await end(grid);
    for (const pid of [...grid.children, ...running]) {
      await until(`process ${pid} has ended`, async () => !await lives(pid), 30_000);
    }
    await action;
    assertEquals(await processesNaming(dataDir), []);
  });
});

Deno.test("brokk up says what is wrong when a data directory or a port is taken", async () => {
  await inTempDir(async (dataDir) => {
    const grid = await up(dataDir);
    const again = await brokk([
      "up",
      "--data-dir",
      dataDir,
      "--listen",
      "127.0.0.1:0",
      "--http-listen",
      "127.0.0.1:0",
    ]);
    assertEquals(again.code, 1);
    assertStringIncludes(
      again.stderr,
      `${dataDir}/control is in use by control with process id ${grid.children[0]}`,
    );
    const listen = grid.endpoint.replace("grpc://", "");
    const port = await brokk([
      "up",
      "--data-dir",
      `${dataDir}/other`,
      "--listen",
      listen,
      "--http-listen",
      "",
    ]);
    assertEquals(port.code, 1);
    assertStringIncludes(port.stderr, listen);
    grid.child.kill("SIGTERM");
    assertEquals(await end(grid), 0);
  });
});

Deno.test("startGrid starts a worker again that was killed, and control where it was", async () => {
  const deaths: string[] = [];
  await using grid = await startGrid({ slots: 1, onDeath: (message) => deaths.push(message) });
  await using client = connectGrid(grid.endpoint);
  for (const process of [...grid.workers, grid.control]) {
    const { pid } = process;
    process.kill("SIGKILL");
    await until("another process runs", () => process.pid !== undefined && process.pid !== pid);
    await until("the worker is back", async () => {
      try {
        return (await client.workers()).some(({ connected }) => connected);
      } catch {
        return false;
      }
    });
    const { exitCode } = await client.run({ argv: ["/bin/echo", String(pid)] });
    assertEquals(exitCode, 0);
  }
  assertEquals(deaths.length, 2);
  assertMatch(deaths[0], /^worker ended with SIGKILL; starting it again in 200 ms$/);
});

Deno.test("brokk up and brokk status tell where the HTTP cache is, and a killed control has it there again", async () => {
  await inTempDir(async (dataDir) => {
    const grid = await up(dataDir, "--workers", "0", "--http-cache-listen", "127.0.0.1:0");
    const url =
      /bazel build --remote_cache=(http:\/\/127\.0\.0\.1:\d+) \/\/\.\.\.\n/.exec(grid.out.text)?.[1] ?? "";
    const look = async () => {
      try {
        return await (await fetch(url)).text();
      } catch {
        return "";
      }
    };
    assertMatch(await look(), /^Brokkr's HTTP cache/);
    const { stdout } = await brokk(["status", "--endpoint", grid.endpoint]);
    assertMatch(stdout, new RegExp(`^http cache +${url}$`, "m"));
    Deno.kill(grid.children[0], "SIGKILL");
    await until("it is gone", async () => !await lives(grid.children[0]));
    await until("it is back", async () => await look() !== "");
    grid.child.kill("SIGTERM");
    assertEquals(await end(grid), 0);
  });
});

Deno.test("startGrid removes its temporary directory, and tells why it could not start", async () => {
  const grid = await startGrid();
  const { dataDir } = grid;
  assertEquals((await grid.stop()).map(({ name, code }) => [name, code]), [["worker", 0], ["control", 0]]);
  await assertRejects(() => Deno.stat(dataDir), Deno.errors.NotFound);
  await grid.stop();
  const error = await assertRejects(() => startGrid({ controlFlags: ["--lease-ttl=1ms"] }), BrokkrError);
  assertMatch(
    error.message,
    /^The control process ended with exit code 2 before it served:\n.*--lease-ttl: must be at least 1s/,
  );
});

Deno.test("deno task demo prints what the command line prints and leaves nothing", async () => {
  await inTempDir(async (directory) => {
    const demo = decodeURIComponent(new URL("./demo.ts", import.meta.url).pathname);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", demo],
      cwd: directory,
      env: { TMPDIR: directory, BROKKR_CLIENT_ENDPOINT: "grpc://127.0.0.1:1" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    const lines = new TextDecoder().decode(stdout).split("\n");
    assertEquals(lines.slice(0, 5), [
      "hello world",
      "[brokk] exit=0 cache_hit=false",
      "hello world",
      "[brokk] exit=0 cache_hit=true",
      "[brokk] exit=0 cache_hit=false",
    ]);
    assertEquals(lines.filter((line) => line.startsWith("Hello from a program")).length, 2);
    assertMatch(said, /all stopped; no process and no file is left\n$/);
    assertEquals([...Deno.readDirSync(directory)], []);
    assertEquals(await processesNaming(directory), []);
  });
});

Deno.test("The demo tells of a missing compiler and goes on without", async () => {
  await inTempDir(async (directory) => {
    const demo = decodeURIComponent(new URL("./demo.ts", import.meta.url).pathname);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", demo],
      cwd: directory,
      env: { TMPDIR: directory, PATH: directory },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    assertStringIncludes(
      said,
      "there is no gcc on PATH that actions can see: /bin/sh puts a script together instead",
    );
    assertStringIncludes(
      new TextDecoder().decode(stdout),
      "Hello from a program that came back from the grid\n",
    );
  });
});

Deno.test("The demo does without a compiler that is where actions do not see it", async () => {
  await inTempDir(async (directory) => {
    const demo = decodeURIComponent(new URL("./demo.ts", import.meta.url).pathname);
    await Deno.mkdir(`${directory}/bin`);
    await Deno.writeTextFile(`${directory}/bin/gcc`, "#!/bin/sh\nexit 4\n", { mode: 0o755 });
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", demo],
      cwd: directory,
      env: { TMPDIR: directory, PATH: `${directory}/bin` },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    assertStringIncludes(said, "there is no gcc on PATH that actions can see");
  });
});

Deno.test("The demo ends with 1 and says what happened when something goes wrong", async () => {
  await inTempDir(async (directory) => {
    const demo = decodeURIComponent(new URL("./demo.ts", import.meta.url).pathname);
    await Deno.mkdir(`${directory}/bin`);
    await Deno.writeTextFile(`${directory}/bin/gcc`, "#!/bin/sh\necho no such luck >&2\nexit 4\n", {
      mode: 0o755,
    });
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      // Where actions see it.
      args: ["run", "-A", demo, "--no-sandbox"],
      cwd: directory,
      env: { TMPDIR: directory, PATH: `${directory}/bin` },
      stdin: "null",
    }).output();
    assertEquals(code, 1);
    assertStringIncludes(new TextDecoder().decode(stdout), "no such luck\n[brokk] exit=4 cache_hit=false\n");
    assertMatch(new TextDecoder().decode(stderr), /failed: brokk run .* ended with exit code 4\n$/);
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["bin"]);
  });
});
