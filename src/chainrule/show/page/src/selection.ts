// What is known of one node.
import type { App } from "./app";
import { badges } from "./data";
import { brief, html, shorten, type Child } from "./dom";
import { names } from "./explain";
import { portrait } from "./heat";
import * as math from "./math";
import { exact, plural } from "./numbers";
import { pathList } from "./pathlist";

const LISTED = 8; // inputs and users named one by one

export function selectionCard(app: App): HTMLElement | null {
  const { graph, groups, state } = app;
  const i = state.selected;
  if (i === null) return null;
  const operation = graph.operation(i);
  const source = graph.source(i);
  const arrays = graph.arrays(i);
  const path = graph.path(i) || (graph.named(i) ? graph.label(i) : "");
  const fact = (name: string, ...value: Child[]): Child[] => [html("dt", {}, name), html("dd", {}, ...value)];
  const around = groups.around(i);
  return html(
    "section", { class: "selection", "aria-labelledby": "selection-title" },
    html("h2", { id: "selection-title" }, html("code", {}, shorten(graph.label(i), 200)),
      html("button", { type: "button", class: "close", "aria-label": "Close", click: () => app.select(null) }, "×")),
    badges(graph, i).length ? html("p", { class: "badges" }, ...badges(graph, i).map((b) => html("span", {}, b))) : null,
    graph.expression(i) ? math.line(math.name(graph.label(i)), "=", math.formula(graph.expression(i), names(graph, i))) : null,
    html("dl", {},
      ...fact("data", html("span", { class: "data" }, exact(graph.value(i)))),
      ...(graph.kind(i) === "constant" ? [] : fact("gradient", html("span", { class: "gradient" }, exact(graph.gradient(i))))),
      ...(operation ? fact("operation", operation.name) : fact("kind", graph.kind(i))),
      ...(graph.shape(i).length ? fact("shape", `${graph.shape(i).join(" × ")} ${graph.dtype(i)}`) : []),
      ...(graph.fired(i) === null ? [] : fact("fired", graph.fired(i) ? "yes" : "no")),
      ...(around.length ? fact("in", ...around.map((g, k) => html("span", {}, k ? " › " : "", groups.title(g)))) : []),
      ...(path ? fact("Python", html("code", {}, shorten(path, 200)), " ", html("button", { type: "button", class: "small", click: () => app.copy(path) }, "Copy")) : []),
      ...(source ? fact("line", html("span", { class: "where" }, `${source.file}:${source.line}`), html("pre", { tabindex: 0, "aria-label": "Source line" }, source.text.trim())) : []),
    ),
    arrays ? html("div", { class: "portraits" }, arrays.data && portrait(arrays.data, "data"), arrays.gradient && portrait(arrays.gradient, "gradient")) : null,
    links(app, "inputs", graph.inputs(i)),
    links(app, "used by", [...new Set(graph.uses(i).map((u) => u.result))]),
    pathList(app, i),
  );
}

function links(app: App, title: string, nodes: number[]): HTMLElement | null {
  if (!nodes.length) return null;
  return html(
    "div", { class: "links" }, html("h3", {}, `${title} `),
    ...nodes.slice(0, LISTED).map((x) => html("button", { type: "button", class: "chip", click: () => app.jump(x) }, brief(app.graph.label(x), 24))),
    nodes.length > LISTED ? html("span", { class: "more" }, `and ${plural(nodes.length - LISTED, "more", "more")}`) : null,
  );
}
