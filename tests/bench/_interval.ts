/**
 * Confidence in a mean of pairs.
 *
 * @module
 */

/** The 97.5 % quantile of Student's t for so many degrees of freedom: exact for few, Cornish-Fisher's series beyond. */
function studentT(degrees: number): number {
  const few = [NaN, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
  if (degrees < few.length) return few[degrees];
  const z = 1.959964;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  return z + g1 / degrees + g2 / degrees ** 2;
}

/** The mean of some values, and between which bounds it lies with 95 % confidence (Student's t). */
export function meanInterval(
  values: readonly number[],
): { readonly mean: number; readonly low: number; readonly high: number } {
  const count = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / count;
  if (count < 2) return { mean, low: -Infinity, high: Infinity };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = studentT(count - 1) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half };
}
