import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { close, memfdCreate } from "./libc.ts";
import { MFD_CLOEXEC } from "./linux.ts";
import { DescriptorMessages, socketPair } from "./passing.ts";
import { openDescriptors } from "./_testing.ts";

/** How many messages fit between two sockets. */
function fitting([mine, its]: readonly [number, number]): number {
  const messages = new DescriptorMessages();
  const fd = memfdCreate("passed", MFD_CLOEXEC);
  try {
    for (let sent = 0;; sent++) {
      try {
        messages.send(mine, BigInt(sent), [fd]);
      } catch (error) {
        assert(error instanceof BrokkrError && error.code === Code.UNAVAILABLE, String(error));
        return sent;
      }
    }
  } finally {
    close(fd);
    close(mine);
    close(its);
  }
}

Deno.test("socketPair holds as many messages as the system allows", () => {
  const before = openDescriptors();
  const usual = fitting(socketPair());
  const many = fitting(socketPair(2 << 20));
  assert(Deno.uid() === 0 ? many > 4096 : many >= usual, `${many} fit, and ${usual} do without`);
  assertEquals(openDescriptors(), before);
});
