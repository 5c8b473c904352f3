import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { digestOf, SHA256 } from "@brokkr/cas";
import { BrokkrError, Code } from "@brokkr/common";
import { ActionCodec, CommandCodec } from "@brokkr/proto";
import { checkAction, checkCommand, MAX_COMMAND_BYTES } from "./action_check.ts";

const LIMITS = { defaultTimeoutMs: 1000, maxTimeoutMs: 60_000 };
const DIGEST = digestOf(SHA256, new Uint8Array([1]));
const WIRE = { hash: DIGEST.hash, sizeBytes: DIGEST.sizeBytes };
const SOUND = { commandDigest: WIRE, inputRootDigest: WIRE };

Deno.test("checkAction puts in the default timeout and takes the action's own", () => {
  const timeout = (seconds?: number) =>
    checkAction(
      ActionCodec.encode({ ...SOUND, timeout: seconds === undefined ? undefined : { seconds } }),
      SHA256,
      LIMITS,
    ).timeoutMs;
  assertEquals([timeout(), timeout(0), timeout(5), timeout(60)], [1000, 1000, 5000, 60_000]);
  assertEquals(assertThrows(() => timeout(61), BrokkrError).code, Code.INVALID_ARGUMENT);
});

Deno.test("checkAction refuses a Command that fits no message to a worker", () => {
  const commandDigest = { hash: DIGEST.hash, sizeBytes: MAX_COMMAND_BYTES + 1 };
  const bytes = ActionCodec.encode({ ...SOUND, commandDigest });
  assertThrows(() => checkAction(bytes, SHA256, LIMITS), BrokkrError, "at most");
});

Deno.test("checkCommand looks at the older outputs only without output_paths", () => {
  const outputs = { outputFiles: ["/x"], outputDirectories: ["../y"] };
  assertThrows(() => checkCommand(CommandCodec.encode({ arguments: ["a"], ...outputs })), BrokkrError);
  assertEquals(
    checkCommand(CommandCodec.encode({ arguments: ["a"], ...outputs, outputPaths: ["z", ""] })),
    undefined,
  );
});

Deno.test("checkCommand refuses what every worker would", () => {
  const variables = [{ name: "A", value: "1" }, { name: "A", value: "2" }];
  for (
    const command of [
      { arguments: ["a"], outputFiles: [""] },
      { arguments: ["a"], environmentVariables: variables },
    ]
  ) assertThrows(() => checkCommand(CommandCodec.encode(command)), BrokkrError);
});

Deno.test("checkAction and checkCommand meet any bytes with a value or INVALID_ARGUMENT", () => {
  const quietly = (check: () => unknown) => {
    try {
      check();
    } catch (error) {
      assertEquals((error as BrokkrError).code, Code.INVALID_ARGUMENT);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    quietly(() => checkAction(bytes, SHA256, LIMITS));
    quietly(() => checkCommand(bytes));
    quietly(() =>
      checkCommand(CommandCodec.encode({ arguments: ["a"], workingDirectory: String.fromCharCode(...bytes) }))
    );
  }));
});
