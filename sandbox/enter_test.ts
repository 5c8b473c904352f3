import { assertEquals } from "@std/assert";
import { asPlainUser, NOBODY } from "./_plain_user.ts";

type Found = Record<string, unknown>;

async function asOurselves(): Promise<Found> {
  const script = new URL("./testdata/enter_as_plain_user.ts", import.meta.url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", decodeURIComponent(script.pathname)],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (
  const [who, ignore, find] of [
    ["this user", false, asOurselves],
    [
      "a user without privileges",
      Deno.uid() !== 0,
      () => asPlainUser("enter_as_plain_user.ts") as Promise<Found>,
    ],
  ] as const
) {
  Deno.test({
    name: `A sandbox of ${who} is found, joined with nothing of the host's, and takes along who is in it`,
    ignore,
    fn: async () => {
      const found = await find();
      const uid = find === asOurselves ? Deno.uid() : NOBODY;
      assertEquals(found.uid, uid);
      assertEquals(found.leftInDataDir, 0);
      // What the check of the host says and what the sandbox does are the same.
      assertEquals(found.functional, found.unavailable === undefined, String(found.unavailable));
      if (found.unavailable !== undefined) return console.log(`No sandbox here: ${found.unavailable}`);
      const { listed, inside, namespaces, powerless, descriptors, signalled, missing, killed, gone } = found;
      assertEquals({ listed, inside, namespaces, powerless, descriptors, signalled, missing, killed, gone }, {
        listed: { uid, argv: ["sleep", "1000"] },
        inside: 9,
        namespaces: 9,
        powerless: 9,
        descriptors: 9,
        signalled: 143,
        missing: 127,
        killed: [137, 0, 137],
        gone: "NOT_FOUND",
      });
    },
  });
}
