// The classic picture of a network: a circle a unit, a line a weight.
import type { Network } from "./data";
import { html, shorten, svg } from "./dom";
import { number, plural, show } from "./numbers";

const MOST = 12; // units of a layer that are drawn
const STEP = { x: 92, y: 34 };

export function networkPicture(network: Network): HTMLElement {
  const layers = network.layers.map((l) => Math.min(l.values.length, MOST));
  const tallest = Math.max(...layers, 1);
  const height = tallest * STEP.y + 54, wide = layers.length * STEP.x + 8;
  const at = (layer: number, unit: number): [number, number] =>
    [STEP.x * (layer + 0.5) + 4, 34 + STEP.y * ((tallest - layers[layer]) / 2 + unit + 0.5)];
  const lines: SVGElement[] = [];
  const most = Math.max(...network.weights.flat(2).map(Math.abs), 1e-300);
  network.weights.forEach((rows, layer) => rows.slice(0, MOST).forEach((row, from) => row.slice(0, MOST).forEach((w, to) => {
    if (layer + 1 >= layers.length) return;
    const [x1, y1] = at(layer, from), [x2, y2] = at(layer + 1, to);
    lines.push(svg("line", { class: w < 0 ? "weight negative" : "weight positive", x1, y1, x2, y2, "stroke-width": (0.4 + 2.6 * Math.abs(w) / most).toFixed(2) }));
  })));
  const units: SVGElement[] = [];
  network.layers.forEach((layer, l) => {
    units.push(svg("text", { class: "layer-name middle", x: STEP.x * (l + 0.5) + 4, y: 16 }, shorten(layer.name, 13)));
    layer.values.slice(0, MOST).forEach((v, k) => {
      const [x, y] = at(l, k);
      const value = number(v) ?? 0;
      const gated = l > 0 && l < network.layers.length - 1 && /relu/i.test(network.activation);
      const fired = !gated || value > 0;
      units.push(svg("g", { class: fired ? "unit fired" : "unit" },
        svg("title", {}, `${layer.name}[${k}]: ${show(v)}, gradient ${show(layer.gradients[k])}${gated ? fired ? ", fired" : ", did not fire" : ""}`),
        svg("circle", { cx: x, cy: y, r: 13 }),
        svg("text", { class: "middle", x, y: y + 3.5 }, show(v, 2))));
    });
    if (layer.values.length > MOST) units.push(svg("text", { class: "layer-name middle", x: at(l, 0)[0], y: height - 4 }, `+${layer.values.length - MOST}`));
  });
  const total = network.layers.reduce((n, l) => n + l.values.length, 0);
  return html(
    "figure", { class: "network" },
    svg("svg", { viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-label": `The network as circles and lines: ${plural(total, "unit")} in ${plural(layers.length, "layer")}` }, ...lines, ...units),
    html("figcaption", {}, "Filled: fired. Hollow: did not. Lines are weights, dashed where negative."),
  );
}
