import { assert, assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  ExecuteOperationMetadataCodec,
  ExecuteResponseCodec,
  ExecutionStage,
  OperationCodec,
} from "@brokkr/proto";
import { lostOperation } from "./_lost_operation.ts";

Deno.test("An operation of an earlier control has ended with UNAVAILABLE; other names are nobody's", () => {
  const name = "operations/6-12-0123456789abcdef";
  const bytes = lostOperation(name, 7);
  assert(bytes !== undefined);
  const operation = OperationCodec.decode(bytes);
  assertEquals([operation.name, operation.done], [name, true]);
  const metadata = ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
  assertEquals(metadata.stage, ExecutionStage.COMPLETED);
  const { status } = ExecuteResponseCodec.decode(operation.response?.value ?? new Uint8Array());
  assertEquals(status?.code, Code.UNAVAILABLE);
  assertEquals(status?.message, `Control restarted and lost operation ${name}: execute the action again`);
  for (
    const other of [
      "operations/7-12-0123456789abcdef",
      "operations/8-12-0123456789abcdef",
      "operations/0-12-0123456789abcdef",
      "operations/6-12-0123456789ABCDEF",
      "operations/6-12-0123456789abcdef\n",
      `operations/${"9".repeat(400)}-1-0123456789abcdef`,
      "nonsense",
      "",
    ]
  ) assertEquals(lostOperation(other, 7), undefined, other);
});
