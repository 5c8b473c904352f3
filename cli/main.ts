/**
 * The entry of `brokk`.
 *
 * @module
 */

import { main } from "./program.ts";

// Everything has been written by now. Ending here saves the time of closing connections one by one.
Deno.exit(await main(Deno.args));
