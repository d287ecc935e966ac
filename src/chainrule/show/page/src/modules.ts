// Modules with their four signals: forward in one colour, backward in another. One level at a time; zooming goes
// into a module and out again.
import type { App } from "./app";
import type { Module, Signal } from "./data";
import { calm, html, replace, shorten, svg } from "./dom";
import { layout, type Point } from "./layout";
import { width } from "./measure";
import { plural } from "./numbers";

const CARD = { width: 250, height: 128 };
const ROWS: [keyof Module & ("inputs" | "outputs" | "incoming" | "outgoing"), string, string][] = [
  ["inputs", "in", "forward"], ["outputs", "out", "forward"], ["incoming", "incoming", "backward"], ["outgoing", "outgoing", "backward"],
];

export async function modulesView(app: App, host: HTMLElement): Promise<void> {
  const modules = app.graph.data.modules ?? [];
  const frame = app.state.module;
  const children = modules.flatMap((m, i) => (m.parent === frame ? [i] : []));
  const edges = liftedEdges(app, children);
  const placed = await layout({
    boxes: children.map(() => CARD), within: children.map(() => -1), clusters: [],
    edges: edges.map(([from, to]) => ({ from, to, label: null })),
  });
  if (app.state.module !== frame) return; // gone on meanwhile
  const picture = svg("svg", {
    class: "modules", viewBox: `-24 -24 ${placed.width + 48} ${placed.height + 48}`, role: "group", "aria-label": "Modules and their signals",
    width: placed.width + 48, height: placed.height + 48,
  });
  picture.style.minWidth = `${0.75 * placed.width}px`; // a long chain is scrolled rather than made too small to read
  edges.forEach((_, k) => picture.append(...pair(placed.edges[k])));
  children.forEach((m, k) => picture.append(card(app, m, placed.at[k], modules.some((other) => other.parent === m))));
  replace(host, crumbs(app), html("div", { class: "modules-scroll" }, picture), legend());
  if (!calm()) picture.animate([{ opacity: 0, transform: "scale(0.92)" }, { opacity: 1, transform: "none" }], { duration: 260, easing: "ease-out" });
}

/** The edges between the modules of one level: those between anything inside them. */
function liftedEdges({ graph }: App, level: number[]): [number, number][] {
  const modules = graph.data.modules!;
  const place = new Map(level.map((m, k) => [m, k]));
  const lift = (m: number): number | undefined => {
    while (m >= 0 && !place.has(m)) m = modules[m].parent;
    return place.get(m);
  };
  const found = new Map<string, [number, number]>();
  for (const [a, b] of graph.data.module_edges ?? []) {
    const from = lift(a), to = lift(b);
    if (from !== undefined && to !== undefined && from !== to) found.set(`${from} ${to}`, [from, to]);
  }
  return [...found.values()];
}

function crumbs(app: App): HTMLElement {
  const modules = app.graph.data.modules!;
  const chain: number[] = [];
  for (let m = app.state.module; m >= 0; m = modules[m].parent) chain.unshift(m);
  const go = (m: number) => () => app.zoomModule(m);
  return html(
    "nav", { class: "crumbs", "aria-label": "Where among the modules" },
    html("button", { type: "button", disabled: app.state.module < 0, click: go(chain.length > 1 ? chain.at(-2)! : -1) }, "Zoom out"),
    html("ol", {}, html("li", {}, html("button", { type: "button", class: "quiet", "aria-current": app.state.module < 0 ? "page" : null, click: go(-1) }, "all")),
      ...chain.map((m) => html("li", {}, html("button", {
        type: "button", class: "quiet", "aria-current": m === app.state.module ? "page" : null, click: go(m),
      }, shorten(last(modules[m].path) || modules[m].type, 40))))),
  );
}

const legend = (): HTMLElement => html(
  "p", { class: "modules-legend" }, html("span", { class: "forward" }, "→ forward: data"), " ",
  html("span", { class: "backward" }, "← backward: gradients of the same"),
);

const last = (path: string): string => path.split(".").at(-1) ?? path;

function card(app: App, index: number, [x, y]: Point, inside: boolean): SVGGElement {
  const m = app.graph.data.modules![index];
  const { width: w, height: h } = CARD;
  const left = -w / 2 + 12, right = w / 2 - 12, top = -h / 2;
  const act = (): void => (inside ? app.zoomModule(index) : void app.openModule(index));
  const g = svg(
    "g", {
      class: "module", transform: `translate(${x} ${y})`, role: "button", tabindex: 0, "aria-description": inside ? "zoom in" : "open in the graph",
      click: act, keydown: (e: KeyboardEvent) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), e.stopPropagation(), act()),
    },
    svg("rect", { class: "body", x: -w / 2, y: top, width: w, height: h, rx: 10 }),
    svg("text", { class: "title", x: left, y: top + 20 }, fit(last(m.path) || m.type, 120, 13)), " ",
    svg("text", { class: "note end", x: right, y: top + 20 }, `${fit(m.type, 80, 11)}${inside ? "  +" : ""}`), " ",
    svg("line", { class: "rule", x1: -w / 2, x2: w / 2, y1: top + 29, y2: top + 29 }),
  );
  ROWS.forEach(([key, name, way], k) => {
    const row = top + 47 + 17 * k + (k > 1 ? 5 : 0);
    g.append(
      svg("text", { class: `signal-name ${way}`, x: left, y: row }, `${way === "forward" ? "→" : "←"} ${name}`), " ",
      svg("text", { class: `signal ${way} end`, x: right, y: row }, fit(signals(m[key]), w - 108, 12)), " ",
    );
  });
  g.append(svg("text", { class: "note", x: left, y: h / 2 - 6 }, m.parameters ? plural(m.parameters, "parameter") : ""));
  return g;
}

const signals = (all: Signal[]): string => all.map((s) => s.text || `(${s.shape.join(", ")})`).join("; ") || "–";

function fit(text: string, room: number, size: number): string {
  text = shorten(text, 80);
  while (text.length > 2 && width(text, size, 600) > room) text = `${text.slice(0, -2)}…`;
  return text;
}

/** Two lines side by side: data one way, gradients the other. */
function pair(points: Point[]): SVGElement[] {
  const shifted = (dy: number): string => {
    const [a, ...rest] = points.map(([x, y]) => `${x} ${y + dy}`);
    return `M${a}C${rest.join(" ")}`;
  };
  if (points.length < 4) return [];
  const [x0, y0] = points[0], [x1, y1] = points[points.length - 1];
  return [
    svg("path", { class: "message forward", d: shifted(-5) }),
    svg("path", { class: "head forward", d: `M${x1} ${y1 - 5}l-9 -4v8z` }),
    svg("path", { class: "message backward", d: shifted(5) }),
    svg("path", { class: "head backward", d: `M${x0} ${y0 + 5}l9 -4v8z` }),
  ];
}
