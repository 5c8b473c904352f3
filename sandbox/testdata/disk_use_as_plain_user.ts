// Run by disk_use_test.ts as a user without privileges; prints what was counted in closed directories.
import { diskUse } from "../_disk_use.ts";
import { TestDir } from "../_testing.ts";

using dir = new TestDir();
const modes = [0, 0o400, 0o100];
for (const mode of modes) {
  const path = dir.file(`${mode}`);
  Deno.mkdirSync(path);
  Deno.writeFileSync(`${path}/big`, new Uint8Array(1 << 20).fill(1));
  Deno.chmodSync(path, mode);
}
const directories = modes.reduce(
  (sum, mode) => sum + (Deno.lstatSync(dir.file(`${mode}`)).blocks ?? 0) * 512,
  0,
);
const { bytes, inodes } = await diskUse(dir.path);
const left = modes.map((mode) => (Deno.lstatSync(dir.file(`${mode}`)).mode ?? 0) & 0o777);
for (const mode of modes) Deno.chmodSync(dir.file(`${mode}`), 0o700);
console.log(JSON.stringify({ uid: Deno.uid(), bytes: bytes - directories, inodes, modes: left }));
