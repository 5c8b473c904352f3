/**
 * Which seeds a run takes: `BROKKR_CHAOS_SEED=n` that one, and otherwise as many new ones as a variable says.
 *
 * @module
 */

/** The seeds of this run. */
export function seedsOf(variable: string, count: number): number[] {
  const one = Deno.env.get("BROKKR_CHAOS_SEED");
  if (one !== undefined) return [numberOf("BROKKR_CHAOS_SEED", one)];
  const wanted = Deno.env.get(variable);
  const many = wanted === undefined ? count : numberOf(variable, wanted);
  return Array.from(crypto.getRandomValues(new Uint32Array(many)));
}

function numberOf(variable: string, value: string): number {
  const number = Number(value);
  if (!(Number.isInteger(number) && number >= 0 && number < 2 ** 32)) {
    throw new Error(`${variable} is ${JSON.stringify(value)}, not a whole number below 2^32`);
  }
  return number;
}
