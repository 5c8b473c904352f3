// One table of cases for every store that makes room for itself.

import type { KeptBlobStore } from "../store_keeper.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { EVICTION_CASES } from "./_eviction_cases.ts";
import type { EvictionKind } from "./_eviction_subject.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const KINDS: readonly EvictionKind[] = [
  {
    name: "MemoryBlobStore",
    make: (_dir, { maxBytes, ...options }) => Promise.resolve(new MemoryBlobStore(maxBytes, options)),
    settle: () => Promise.resolve(),
  },
  {
    name: "DiskBlobStore",
    make: (dir, options) => openDiskBlobStore(dir, { ...options, paceMs: 0, headroomBytes: 0 }),
    async settle(store) {
      // One at a time with what the store does by itself: when this is through, that is.
      await (store as KeptBlobStore).keeper.collect();
    },
  },
];

for (const kind of KINDS) {
  for (const { name, run } of EVICTION_CASES) {
    Deno.test(`${kind.name} ${name}`, async () => {
      const dir = await Deno.makeTempDir({ prefix: "brokkr-eviction-" });
      try {
        await run(kind, dir);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
}
