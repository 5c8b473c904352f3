import { assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { BytesCodec, method } from "@brokkr/proto";
import { TestGrid } from "./_test_grid.ts";

const SERVICE = "google.devtools.build.v1.PublishBuildEvent";

Deno.test("Build events are refused at once, in words that say what to do instead", async () => {
  await using grid = await TestGrid.start();
  const expected = [
    Code.FAILED_PRECONDITION,
    "This grid takes no build events: leave out --bes_backend, or point it at a build event service",
  ];
  const unary = method(SERVICE, "PublishLifecycleEvent", "unary", BytesCodec, BytesCodec);
  const first = await assertRejects(() => grid.channel.unary(unary, new Uint8Array([10, 0])), BrokkrError);
  assertEquals([first.code, first.message], expected);
  const bidi = method(SERVICE, "PublishBuildToolEventStream", "bidi", BytesCodec, BytesCodec);
  const call = grid.channel.bidi(bidi);
  await call.send(new Uint8Array([10, 0]));
  const second = await assertRejects(() => Array.fromAsync(call.responses), BrokkrError);
  assertEquals([second.code, second.message], expected);
});
