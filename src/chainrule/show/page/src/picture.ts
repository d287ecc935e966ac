// The drawing: cards, edges and open groups in one SVG that can be moved and zoomed.
import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior } from "d3-zoom";
import { HEAD, ROW, type Card } from "./cards";
import type { Graph } from "./data";
import { calm, setText, svg } from "./dom";
import type { Groups, View } from "./groups";
import { heatmap } from "./heat";
import type { Placed, Point } from "./layout";
import { width } from "./measure";
import { count, number } from "./numbers";
import type { Path } from "./paths";
import { shown, type Step } from "./steps";

const ANIMATED = 500; // items up to which changes are shown as movements
const FULL = 150; // cards with all their text at once; of more only those in sight have it, as a browser lays all text
// of a drawing out again whenever anything in it changes
const READABLE = 0.44; // the scale at which one node is followed, at least
const SMALLEST = 0.15; // the scale below which a first view shows a part only
const EDGE = 28; // pixels left free around a drawing
const LEGIBLE = 0.35; // the scale from which text is filled in, where it was left out

export interface Scene { view: View; cards: Card[]; placed: Placed; labels: string[] }
export interface Actions {
  select(node: number): void;
  toggle(group: number): void;
}
interface Drawn { card: Card; g: SVGGElement; at: Point; data?: SVGTextElement; gradient?: SVGTextElement; full: boolean; said: string; stale: boolean; away: DocumentFragment | null }

export class Picture {
  readonly root: SVGSVGElement;
  private readonly viewport = svg("g", { class: "viewport" });
  private readonly layers = {
    clusters: svg("g"), edges: svg("g", { class: "edges" }), labels: svg("g", { class: "labels" }), cards: svg("g"),
  };
  private readonly zoom: ZoomBehavior<SVGSVGElement, unknown>;
  private transform = zoomIdentity;
  private drawn: Drawn[] = [];
  private edgeGroups: SVGGElement[] = [];
  private scene: Scene | null = null;
  private lit: Element[] = [];
  private room: Point | null = null;
  private chosen: Element | null = null;
  private untouched = true; // nobody has moved it since it was fitted

  constructor(readonly graph: Graph, readonly groups: Groups, readonly actions: Actions) {
    this.viewport.append(this.layers.clusters, this.layers.edges, this.layers.labels, this.layers.cards);
    this.root = svg("svg", { class: "picture", role: "group", "aria-label": "Graph of the computation" }, this.viewport);
    this.zoom = zoom<SVGSVGElement, unknown>()
      .scaleExtent([0.02, 4])
      .extent(() => [[0, 0], this.size])
      .filter((event: Event) => !(event instanceof MouseEvent && event.type === "mousedown" && event.button !== 0))
      .on("zoom", (event: D3ZoomEvent<SVGSVGElement, unknown>) => {
        if (event.sourceEvent) this.untouched = false;
        this.transform = event.transform;
        this.viewport.setAttribute("transform", event.transform.toString());
        this.lookAround();
      });
    select(this.root).call(this.zoom).on("dblclick.zoom", null);
    new ResizeObserver(() => {
      this.room = null;
      if (this.untouched && this.root.clientWidth && !this.root.hasAttribute("viewBox")) this.fit();
    }).observe(this.root);
    window.addEventListener("beforeprint", () => this.layOut());
    window.addEventListener("afterprint", () => this.takeBack());
    // a focused card that stands outside would make the browser scroll the frame
    this.root.addEventListener("focusin", () => { this.root.parentElement!.scrollTo(0, 0); });
  }

  /** Read when it changes only: reading it would have the browser lay everything out. */
  get size(): Point {
    if (!this.room) this.room = [this.root.clientWidth || 800, this.root.clientHeight || 600];
    return this.room;
  }
  get current(): Scene | null {
    return this.scene;
  }

  /** Draw a scene; what was there before moves to its new place. The anchor, a key, stays where it is on screen. */
  draw(scene: Scene, anchor: string | null = null): void {
    const before = new Map(this.drawn.map((d) => [d.card.item.key, d.at]));
    const held = anchor ? this.place(anchor) : null;
    this.scene = scene;
    const moving = before.size > 0 && scene.cards.length <= ANIMATED && !calm();
    this.drawClusters(scene);
    this.drawEdges(scene, moving);
    const fragment = document.createDocumentFragment();
    this.drawn = scene.cards.map((card, k) => {
      const at = scene.placed.at[k];
      const g = this.drawCard(card, at);
      fragment.append(g);
      const d: Drawn = { card, g, at, full: false, said: "", stale: false, away: null };
      if (scene.cards.length <= FULL) this.fill(d);
      return d;
    });
    this.layers.cards.replaceChildren(fragment);
    if (moving) this.animate(before);
    const now = anchor ? this.place(anchor) : null;
    if (held && now) this.hold(held, now);
    else this.fit();
  }

  private animate(before: Map<string, Point>): void {
    for (const { card, g, at } of this.drawn) {
      const from = before.get(card.item.key);
      if (!from) g.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 320 });
      else if (Math.hypot(from[0] - at[0], from[1] - at[1]) > 1) {
        g.animate(
          [{ transform: `translate(${from[0]}px, ${from[1]}px)` }, { transform: `translate(${at[0]}px, ${at[1]}px)` }],
          { duration: 320, easing: "ease-out" },
        );
      }
    }
  }

  // -------------------------------------------------------------- cards
  private drawCard(card: Card, [x, y]: Point): SVGGElement {
    const { width: w, height: h, item } = card;
    const g = svg("g", {
      class: `card ${card.kind}${card.fired === false ? " silent" : ""}${card.badges.length ? " ill" : ""}`,
      transform: `translate(${x} ${y})`, role: "button", tabindex: -1, "data-key": item.key, "aria-label": card.title,
      "aria-expanded": item.group === null ? null : false,
      click: (event: MouseEvent) => {
        event.stopPropagation();
        if (item.group !== null) this.actions.toggle(item.group);
        else this.actions.select(item.node);
      },
    });
    if (item.times > 1) {
      for (const k of [8, 4]) g.append(svg("rect", { class: "body behind", x: -w / 2 + k, y: -h / 2 - k, width: w, height: h, rx: 9 }));
    }
    g.append(svg("rect", { class: "body", x: -w / 2, y: -h / 2, width: w, height: h, rx: card.kind === "constant" ? 13 : 9 }));
    return g;
  }

  private fill(d: Drawn): void {
    if (d.full) return;
    d.full = true;
    const { card, g } = d;
    g.removeAttribute("aria-label"); // its own text says more, and follows the steps
    const about = [card.fired === null ? "" : card.fired ? "fired" : "did not fire", ...card.badges].filter(Boolean).join(", ");
    if (about) g.setAttribute("aria-description", about);
    const { width: w, height: h, item } = card;
    const left = -w / 2 + 11, right = w / 2 - 11, top = -h / 2;
    const text = (cls: string, x: number, y: number, content: string): SVGTextElement => {
      const t = svg("text", { class: cls, x, y }, content);
      g.append(t, " ");
      return t;
    };
    if (card.kind === "constant") {
      text("value middle", 0, 4, card.title);
      return;
    }
    let from = left;
    if (card.symbol) {
      const wide = Math.max(20, width(card.symbol, 11, 600) + 12);
      g.append(svg("rect", { class: "glyph", x: left - 4, y: top + 5, width: wide, height: 18, rx: 9 }));
      text("symbol middle", left - 4 + wide / 2, top + 18, card.symbol);
      from = left + wide + 3;
    }
    text(card.item.group === null && !this.graph.named(item.node) ? "title made-up" : "title", from, top + 18, card.title);
    g.append(svg("line", { class: "rule", x1: -w / 2, x2: w / 2, y1: top + HEAD + 2, y2: top + HEAD + 2 }));
    if (card.kind === "group") {
      if (item.times > 1) text("times end", right, top + 18, `×${count(item.times)}`);
      text("note", left, top + HEAD + 2 + 3 * ROW - 3, card.note);
      text("open end", right, top + HEAD + 2 + 3 * ROW - 3, "open +");
    } else text("note end", right, top + 17, card.note);
    const row = (k: number): number => top + HEAD + 2 + k * ROW - 3;
    if (card.thumbs) this.fillThumbs(card, g, left, top);
    else {
      text("label", left, row(1), "data");
      text("label", left, row(2), "grad");
      d.data = text("value data end", right, row(1), "");
      d.gradient = text("value gradient end", right, row(2), "");
      d.said = "";
      this.paintCard(d, this.step);
    }
    let end = w / 2 - 4;
    for (const badge of card.badges) {
      const wide = width(badge, 10, 650) + 12;
      g.append(svg("rect", { class: "badge", x: end - wide, y: top - 9, width: wide, height: 16, rx: 8 }));
      text("badge-text middle", end - wide / 2, top + 2.5, badge);
      end -= wide + 4;
    }
  }

  private fillThumbs(card: Card, g: SVGGElement, left: number, top: number): void {
    const thumbs = this.graph.arrays(card.item.node)!;
    const half = (card.width - 22 - 10) / 2;
    (["data", "gradient"] as const).forEach((which, k) => {
      const x = left + k * (half + 10);
      const thumb = thumbs[which];
      g.append(svg("text", { class: "label", x, y: top + HEAD + ROW - 2 }, which === "data" ? "data" : "grad"), " ");
      g.append(svg("rect", { class: "frame", x, y: top + HEAD + ROW + 5, width: half, height: 46, rx: 2 }));
      if (thumb) {
        const url = heatmap(thumb);
        if (url) {
          g.append(svg("image", {
            class: `thumb ${which}`, href: url, x, y: top + HEAD + ROW + 5, width: half, height: 46, preserveAspectRatio: "none",
          }));
        }
      }
    });
  }

  private inSight(d: Drawn): boolean {
    if (this.drawn.length <= FULL) return true;
    const [w, h] = this.size;
    const [x, y] = this.transform.apply(d.at);
    return x > -200 && y > -100 && x < w + 200 && y < h + 100 && this.transform.k >= LEGIBLE;
  }

  /** Cards in sight are there with all they say, the others as outlines. */
  lookAround(): void {
    for (const d of this.drawn) this.inSight(d) ? this.bring(d) : this.empty(d);
  }

  /** Bring every card up to date, those out of sight too. */
  /** For paper: the whole drawing, as large as the sheet allows. */
  private layOut(): void {
    this.settle();
    if (!this.scene) return;
    const { width, height } = this.scene.placed;
    this.root.setAttribute("viewBox", `${-EDGE} ${-EDGE} ${width + 2 * EDGE} ${height + 2 * EDGE}`);
    this.viewport.removeAttribute("transform");
  }
  private takeBack(): void {
    this.root.removeAttribute("viewBox");
    this.viewport.setAttribute("transform", this.transform.toString());
    this.lookAround();
  }

  settle(): void {
    for (const d of this.drawn) this.bring(d);
  }

  private bring(d: Drawn): void {
    if (d.away) {
      d.g.append(d.away);
      d.g.removeAttribute("aria-label");
      d.away = null;
    }
    this.fill(d);
    if (d.stale) this.paintCard(d, this.step);
    d.stale = false;
  }

  private empty(d: Drawn): void {
    if (!d.full || d.away) return;
    d.away = document.createDocumentFragment();
    d.away.append(...[...d.g.children].filter((e) => !e.classList.contains("body")));
    d.g.setAttribute("aria-label", d.card.title);
  }

  // -------------------------------------------------------------- edges and groups
  private drawEdges(scene: Scene, moving: boolean): void {
    const { view, placed } = scene;
    const strength = view.edges.map((e) => {
      if (scene.cards[e.to].kind === "group") return null;
      const pulled = this.graph.pulled(e.result, e.position);
      return pulled ? number(pulled.norm) : this.graph.contribution(e.result, e.position);
    });
    const most = Math.max(...strength.map((s) => (s !== null && Number.isFinite(s) ? Math.abs(s) : 0)), 1e-300);
    const edges = document.createDocumentFragment();
    const labels = document.createDocumentFragment();
    this.edgeGroups = view.edges.map((e, k) => {
      const points = placed.edges[k];
      const local = number(this.graph.local(e.result, e.position));
      const single = scene.cards[e.to].kind !== "group" && scene.cards[e.from].kind !== "group";
      const sign = !single || local === null ? "plain" : local < 0 ? "negative" : local > 0 ? "positive" : "nothing";
      const thick = strength[k] === null || !Number.isFinite(strength[k]) ? 1.5 : 1 + 2.8 * Math.sqrt(Math.abs(strength[k]!) / most);
      const g = svg("g", { class: `edge ${sign}` });
      if (points.length > 1) {
        g.append(svg("path", { class: "line", d: spline(points), "stroke-width": thick.toFixed(2) }));
        g.append(svg("path", { class: "arrow", d: arrow(points, 5 + thick) }));
      }
      edges.append(g);
      const at = placed.labels[k];
      if (at && scene.labels[k]) {
        labels.append(svg("text", { class: `edge-label ${sign}`, x: at[0], y: at[1] + 3.5 }, scene.labels[k]));
      }
      return g;
    });
    this.layers.edges.replaceChildren(edges);
    this.layers.labels.replaceChildren(labels);
    if (moving) for (const layer of [this.layers.edges, this.layers.labels]) layer.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 450 });
  }

  private drawClusters(scene: Scene): void {
    this.layers.clusters.replaceChildren();
    for (const c of scene.view.clusters) {
      const box = scene.placed.clusters[c.group];
      if (!box) continue;
      const title = this.groups.title(c.group) + (c.times > 1 ? `  ×${count(c.times)}` : "");
      const g = svg("g", { class: "cluster", "data-group": c.group });
      g.append(svg("rect", { class: "cluster-body", x: box.x, y: box.y, width: box.width, height: box.height, rx: 12 }));
      const button = svg(
        "g", {
          class: "cluster-head", role: "button", tabindex: -1, "data-key": `h${c.group}`, "aria-expanded": true,
          click: (event: MouseEvent) => {
            event.stopPropagation();
            this.actions.toggle(c.group);
          },
        },
        svg("rect", { class: "cluster-hit", x: box.x + 6, y: box.y + 5, width: width(`− ${title}`, 12, 650) + 14, height: 22, rx: 6 }),
        svg("text", { class: "cluster-title", x: box.x + 12, y: box.y + 20 }, `− ${title}`),
      );
      g.append(button);
      this.layers.clusters.append(g);
    }
  }

  // -------------------------------------------------------------- what a step changes
  private step: Step | null = null;
  private covered = false;

  paint(step: Step | null, covered: boolean, path: Path | null): void {
    this.step = step;
    this.covered = covered;
    for (const d of this.drawn) {
      d.stale = !this.inSight(d); // it follows when it comes into sight
      if (!d.stale) this.paintCard(d, step);
    }
    for (const e of this.lit) e.classList.remove("now", "flows-forward", "flows-backward", "lit");
    this.lit = [];
    this.root.classList.toggle("tracing", path !== null);
    this.root.classList.toggle("stepping", step !== null);
    if (path) this.light(path);
    if (step && step.item >= 0 && this.drawn[step.item]) this.mark(step);
  }

  private paintCard(d: Drawn, step: Step | null): void {
    const now = step !== null && this.scene !== null && this.drawn[step.item] === d;
    const { data, gradient } = shown(this.graph, d.card.item.node, step);
    const coversData = this.covered && now && step?.phase === "forward";
    const coversGradient = this.covered && step?.phase === "backward" && this.isOperand(d, step);
    const said = `${data} ${gradient} ${coversData} ${coversGradient}`;
    if (said === d.said) return;
    d.said = said;
    d.g.classList.toggle("waiting", data === "");
    if (d.data) setText(d.data, coversData ? "?" : short(data));
    if (d.gradient) setText(d.gradient, coversGradient ? "?" : short(gradient));
    if (d.card.thumbs) {
      d.g.classList.toggle("no-gradient", gradient === "");
    }
  }

  private isOperand(d: Drawn, step: Step): boolean {
    const result = this.drawn[step.item]?.card.item;
    return !!result && result.group === null && d.card.item.group === null && this.graph.inputs(result.node).includes(d.card.item.node);
  }

  private mark(step: Step): void {
    const flow = step.phase === "backward" ? "flows-backward" : "flows-forward";
    this.set(this.drawn[step.item].g, "now", step.phase === "forward" ? "flows-forward" : "flows-backward");
    if (step.phase === "seed") return;
    this.scene!.view.edges.forEach((e, k) => e.to === step.item && this.set(this.edgeGroups[k], flow));
  }

  private set(element: Element, ...names: string[]): void {
    element.classList.add(...names);
    this.lit.push(element);
  }

  private light(path: Path): void {
    const { view } = this.scene!;
    const items = path.nodes.map((i) => view.itemOf[i]);
    for (const k of items) if (k >= 0) this.set(this.drawn[k].g, "lit");
    const wanted = new Set(path.steps.map((s, k) => `${items[k]} ${items[k + 1]} ${this.drawn[items[k + 1]]?.card.kind === "group" || this.drawn[items[k]]?.card.kind === "group" ? "" : s.position}`));
    view.edges.forEach((e, k) => {
      if (wanted.has(`${e.from} ${e.to} ${e.position}`) || wanted.has(`${e.from} ${e.to} `)) this.set(this.edgeGroups[k], "lit");
    });
  }

  choose(node: number | null): void {
    const k = node === null ? -1 : (this.scene?.view.itemOf[node] ?? -1);
    this.chosen?.classList.remove("chosen");
    this.chosen = this.drawn[k]?.g ?? null;
    this.chosen?.classList.add("chosen");
  }

  /** New numbers, as training goes on, over those of the graph. */
  overlay(node: number, data: string | null, gradient: string | null): void {
    const k = this.scene?.view.itemOf[node] ?? -1;
    const d = this.drawn[k];
    if (!d || d.card.item.node !== node) return;
    if (d.data && data !== null) setText(d.data, data);
    if (d.gradient && gradient !== null) setText(d.gradient, gradient);
  }

  // -------------------------------------------------------------- moving about
  element(key: string): SVGGElement | null {
    return this.drawn.find((d) => d.card.item.key === key)?.g ?? null;
  }

  private place(key: string): Point | null {
    const d = this.drawn.find((one) => one.card.item.key === key);
    if (d) return this.transform.apply(d.at) as Point;
    const box = this.scene?.placed.clusters[Number(key.slice(1))];
    return key[0] === "g" && box ? (this.transform.apply([box.x + box.width / 2, box.y + box.height / 2]) as Point) : null;
  }

  private hold(held: Point, now: Point): void {
    this.untouched = false;
    const t = this.transform;
    this.go(zoomIdentity.translate(t.x + held[0] - now[0], t.y + held[1] - now[1]).scale(t.k));
  }

  private go(to: typeof zoomIdentity): void {
    select(this.root).call(this.zoom.transform, to);
  }

  zoomBy(factor: number): void {
    select(this.root).call(this.zoom.scaleBy, factor);
  }

  /** The scale at which all of a drawing is seen. */
  scaleOf(placed: Placed): number {
    const [W, H] = this.size;
    return Math.min(1.3, (W - 2 * EDGE) / Math.max(placed.width, 1), (H - 2 * EDGE) / Math.max(placed.height, 1));
  }

  /** All of it; but never so small that not even its shape is seen, unless asked. */
  fit(everything = false): void {
    if (!this.scene) return;
    const { width: w, height: h } = this.scene.placed;
    const [W, H] = this.size;
    this.untouched = true;
    const whole = this.scaleOf(this.scene.placed);
    const k = everything ? whole : Math.max(whole, SMALLEST);
    const output = this.scene.view.itemOf[this.graph.data.outputs[0]] ?? -1;
    const [x, y] = this.scene.placed.at[output] ?? [w, h / 2];
    this.go(zoomIdentity.translate(beside(W, w * k, x * k), beside(H, h * k, y * k)).scale(k));
  }

  /** Bring a node into sight, if it is not. */
  follow(node: number, always = false): void {
    const item = this.scene?.view.itemOf[node] ?? -1;
    if (item < 0) return;
    const [W, H] = this.size;
    const at = this.drawn[item].at;
    const [x, y] = this.transform.apply(at);
    if (!always && x > 90 && y > 60 && x < W - 90 && y < H - 60) return;
    this.untouched = false;
    const k = Math.max(this.transform.k, READABLE);
    const { width: w, height: h } = this.scene!.placed;
    this.go(zoomIdentity.translate(beside(W, w * k, at[0] * k), beside(H, h * k, at[1] * k)).scale(k));
  }
}

/** Where a drawing begins: in the middle if there is room for it, else so that a point of it is seen, and no gap. */
function beside(room: number, size: number, point: number): number {
  if (size <= room - 2 * EDGE + 1) return (room - size) / 2;
  return Math.min(EDGE, Math.max(room - EDGE - size, room / 2 - point));
}

const short = (text: string): string => (text.length > 20 ? `${text.slice(0, 19)}…` : text);

function spline(points: Point[]): string {
  const [first, ...rest] = points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
  return `M${first}C${rest.join(" ")}`;
}

function arrow(points: Point[], size: number): string {
  const [x, y] = points[points.length - 1];
  let k = points.length - 2;
  while (k > 0 && Math.hypot(points[k][0] - x, points[k][1] - y) < 0.5) k--;
  const a = Math.atan2(y - points[k][1], x - points[k][0]);
  const at = (turn: number): string =>
    `${(x - size * Math.cos(a + turn)).toFixed(1)} ${(y - size * Math.sin(a + turn)).toFixed(1)}`;
  return `M${x.toFixed(1)} ${y.toFixed(1)}L${at(0.42)}L${at(-0.42)}Z`;
}

