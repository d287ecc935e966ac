// Numbers as they are read: five significant digits, a true minus sign.

export type Scalar = number | string | null;

/** The number behind a scalar of the data, where nan and infinities are words. */
export function number(x: Scalar | undefined): number | null {
  if (typeof x === "number") return x;
  if (x === "nan") return NaN;
  if (x === "inf") return Infinity;
  if (x === "-inf") return -Infinity;
  return null;
}

export function show(x: Scalar | undefined, digits = 5): string {
  const value = number(x);
  if (value === null) return x === null || x === undefined ? "–" : String(x);
  return minus(digitsOf(value, digits));
}

/** Every digit that matters: what `repr` says in Python. */
export const exact = (x: Scalar | undefined): string => show(x, 17);

function digitsOf(value: number, digits: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (digits >= 17) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) {
    const [mantissa, exponent] = value.toExponential(digits - 2).split("e");
    return `${trim(mantissa)}e${Number(exponent)}`;
  }
  return size >= 10 ** digits ? String(Math.round(value)) : trim(value.toPrecision(digits));
}

const trim = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
export const minus = (text: string): string => text.replace(/-/g, "−");

export const count = (n: number | bigint): string => n.toLocaleString("en");
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
