// Opens the store in the directory named, is held up in the middle of loading it, says what it holds, and waits to be
// killed.

import { openDiskBlobStore } from "./disk_store.ts";
import { Gate, gatedIndex } from "./_start_testing.ts";

const gate = new Gate();
const store = await openDiskBlobStore(Deno.args[0], { openIndex: gatedIndex(gate) });
// An index that was twice not read to its end is made anew, and not read at all.
await Promise.race([gate.reached, store.keeper.usage()]);
console.log((await store.stat()).blobs);
setInterval(() => {}, 1000);
