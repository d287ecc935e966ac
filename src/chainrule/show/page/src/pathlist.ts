// The paths from a node to the output: their number, the largest, and their sum.
import type { App } from "./app";
import { brief, html, shorten, type Child } from "./dom";
import { count, number, show } from "./numbers";
import { paths, type Path, type Paths } from "./paths";

const FEW = 4; // factors written out

export function pathList(app: App, from: number): HTMLElement | null {
  const { graph, state } = app;
  const outputs = graph.data.outputs;
  const to = outputs.includes(app.output) ? app.output : outputs[0];
  if (to === undefined || from === to || graph.kind(from) === "constant") return null;
  const found = paths(graph, from, to);
  if (found.count === 0n) return html("p", { class: "none" }, `No path leads from here to ${graph.label(to)}: the gradient is zero.`);
  const title = `${count(found.count)} ${found.count === 1n ? "path" : "paths"} to ${shorten(graph.label(to), 24)}`;
  const picker = outputs.length < 2 ? null : html(
    "select", { "aria-label": "Output", change: (event: Event) => app.setOutput(Number((event.target as HTMLSelectElement).value)) },
    ...outputs.map((o) => html("option", { value: o, selected: o === to }, graph.label(o))),
  );
  return html(
    "div", { class: "paths" }, html("h3", {}, title, picker),
    html("ol", {}, ...found.listed.map((p) => row(app, p))),
    ...sum(app, found),
    state.path ? html("button", { type: "button", class: "small", click: () => app.trace(null) }, "Show the whole graph again") : null,
  );
}

function row(app: App, path: Path): HTMLElement {
  const { graph, state } = app;
  const on = state.path !== null && state.path.nodes.join() === path.nodes.join() && same(state.path, path);
  const factors = path.steps.map((s) => show(graph.local(s.result, s.position), 3));
  const product = path.product === null ? path.text
    : `${factors.length <= FEW ? factors.map(bracket).join(" · ") : `${factors.slice(0, FEW - 1).map(bracket).join(" · ")} · … · ${bracket(factors.at(-1)!)}`} = `;
  const names = path.nodes.map((n) => brief(graph.label(n), 16));
  const route = names.length <= 7 ? names.join(" → ") : `${names.slice(0, 3).join(" → ")} → … → ${names.slice(-2).join(" → ")}`;
  return html("li", {}, html(
    "button", { type: "button", class: "path", "aria-pressed": on, click: () => app.trace(on ? null : path) },
    html("span", { class: "route" }, route),
    html("span", { class: "product" }, product, path.product === null ? null : html("b", {}, show(path.product))),
  ));
}

const bracket = (text: string): string => (text.startsWith("−") ? `(${text})` : text);
const same = (a: Path, b: Path): boolean => a.steps.every((s, k) => s.position === b.steps[k].position);

function sum({ graph }: App, found: Paths): Child[] {
  if (found.total === null) return [];
  const listed = found.listed.reduce((total, p) => total + (p.product ?? 0), 0);
  const rest = found.count - BigInt(found.listed.length);
  const gradient = number(graph.gradient(found.from));
  return [
    rest > 0n ? html("p", { class: "rest" }, `The ${found.listed.length} largest are listed. The other ${count(rest)} add ${show(found.total - listed)}.`) : null,
    html("p", { class: "sum" }, "sum of all products ", html("b", { class: "path-sum" }, show(found.total)),
      gradient === null ? null : html("span", {}, gradientAgrees(found.total, gradient) ? " = gradient " : "; gradient ", html("b", {}, show(gradient)))),
  ];
}

const gradientAgrees = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
