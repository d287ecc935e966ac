// How wide a text is, by the browser's own fonts.
const context = document.createElement("canvas").getContext("2d");
const known = new Map<string, number>();

export const FONT = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';

export function width(text: string, size: number, weight = 400): number {
  const key = `${weight} ${size} ${text}`;
  let w = known.get(key);
  if (w === undefined) {
    if (!context) return text.length * size * 0.6;
    context.font = `${weight} ${size}px ${FONT}`;
    w = context.measureText(text).width;
    if (known.size > 50_000) known.clear();
    known.set(key, w);
  }
  return w;
}
