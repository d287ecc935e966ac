// Arrays as pictures: a heatmap, blue below zero and orange above, and a histogram.
import type { Thumb } from "./data";
import { html, svg } from "./dom";
import { number, show } from "./numbers";

const made = new WeakMap<Thumb, string>();

/** The heatmap as the address of a PNG, one pixel an entry. */
export function heatmap(thumb: Thumb): string {
  const known = made.get(thumb);
  if (known) return known;
  const [rows, columns] = thumb.shape;
  const canvas = html("canvas", { width: Math.max(1, columns), height: Math.max(1, rows) });
  const context = canvas.getContext("2d");
  if (!context || rows * columns === 0) return "";
  const image = context.createImageData(columns, rows);
  const bytes = Uint8Array.from(atob(thumb.pixels), (c) => c.charCodeAt(0));
  const low = number(thumb.low) ?? 0, high = number(thumb.high) ?? 1;
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  for (let i = 0; i < rows * columns; i++) {
    const x = (low + (bytes[i] / 255) * (high - low)) / most; // -1 … 1
    const far = x < 0 ? [0, 114, 178] : [213, 94, 0];
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 247 + (far[c] - 247) * Math.min(1, Math.abs(x));
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  const url = canvas.toDataURL("image/png");
  made.set(thumb, url);
  return url;
}

/** A heatmap with its histogram and what stands out in it. */
export function portrait(thumb: Thumb, title: string): HTMLElement {
  const most = Math.max(1, ...thumb.bins);
  const bars = thumb.bins.map((n, i) => svg("rect", { x: i * 6, y: 36 - (34 * n) / most, width: 5, height: (34 * n) / most + 0.5 }));
  const notes = [`${show(thumb.low)} … ${show(thumb.high)}`];
  if (thumb.zero > 0) notes.push(`${Math.round(thumb.zero * 100)} % zeros`);
  if (thumb.nan) notes.push(`${thumb.nan} nan`);
  if (thumb.inf) notes.push(`${thumb.inf} inf`);
  return html(
    "figure", { class: "portrait" },
    html("img", { src: heatmap(thumb), alt: `heatmap of the ${title}`, class: "heat" }),
    svg("svg", { viewBox: "0 0 120 38", class: "bins", role: "img", "aria-label": `histogram of the ${title}` }, ...bars),
    html("figcaption", {}, html("b", {}, title), ` ${notes.join(" · ")}`),
  );
}
