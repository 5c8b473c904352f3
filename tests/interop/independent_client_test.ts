import { assertEquals, assertNotEquals } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { FRAMES, HELD, LIBRARY, OTHERS } from "./_cases.ts";
import { Certificates, noOpenssl } from "./_certs.ts";
import { noFrames, noPython, PythonClient } from "./_python.ts";
import { Subject, type Transport } from "./_subject.ts";

const TRANSPORTS: readonly Transport[] = ["plain text", "TLS", "mutual TLS"];
/** Of TLS the other kind shows the rest: once a connection is made they are one. */
const TLS_SHOWS: ReadonlySet<string> = new Set(["The way through", "Messages", "Streams"]);

/** Runs a group in one client, each case a step. */
async function group(
  t: Deno.TestContext,
  subject: Subject,
  cases: Readonly<Record<string, string>>,
): Promise<void> {
  const results = await subject.run(Object.values(cases));
  for (const [sentence, name] of Object.entries(cases)) {
    await t.step(sentence, () => {
      const result = results.find((each) => each.case === name);
      assertEquals(result?.error, undefined);
      assertEquals(result?.case, name, "The client died before");
    });
  }
  await t.step("...and the grid is as well as before", () => subject.assertHealthy());
}

async function everything(t: Deno.TestContext, transport: Transport): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-interop-certs-" });
  try {
    const certificates = transport === "plain text" ? undefined : await Certificates.make(dir);
    await using subject = await Subject.start(transport, certificates);
    for (const [name, cases] of Object.entries(LIBRARY)) {
      if (transport === "TLS" && !TLS_SHOWS.has(name)) continue;
      await t.step(name, (t) => group(t, subject, cases));
    }
    if (transport === "TLS") return;
    await t.step({
      name: "Frames by hand",
      ignore: noFrames !== undefined,
      fn: (t) => group(t, subject, FRAMES),
    });
    for (const [what, name] of Object.entries(HELD)) {
      await t.step(`A client killed in the middle of ${what} leaves nothing behind`, async () => {
        const said = await subject.kill(name);
        assertNotEquals(said, "");
        await subject.assertHealthy();
        if (name !== "hold_an_upload") return;
        const [result] = await subject.run(["the_held_upload_is_not_there"], subject.tls, said);
        assertEquals(result.error, undefined);
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

for (const transport of TRANSPORTS) {
  testUnless(
    noPython ?? (transport === "plain text" ? undefined : noOpenssl),
    `A client in Python, which shares no code with the grid, does ${
      transport === "TLS" ? "much" : "all it can"
    } over ${transport}`,
    (t) => everything(t, transport),
  );
}

testUnless(noFrames, "Every case of the client in Python is asked for", async () => {
  const asked = [...Object.values(LIBRARY), FRAMES, HELD].flatMap((cases) => Object.values(cases));
  assertEquals([...asked, ...OTHERS].toSorted(), await PythonClient.cases());
});
