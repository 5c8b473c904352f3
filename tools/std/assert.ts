// The build machines cannot reach jsr.io, so `@std/assert` resolves to the npm package that carries the same code
// without types; the declarations beside this file name what the tests use. Moving to jsr is one line in deno.json.
// @ts-types="./assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
