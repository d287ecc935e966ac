// The page: one state, the views that follow it, and everything that may be done.
import { card, edgeLabel } from "./cards";
import { costsTable } from "./costs";
import type { Graph } from "./data";
import { html, replace, setText, shorten, type Child } from "./dom";
import { embed } from "./embed";
import { finder } from "./find";
import { Groups, Openness, type View } from "./groups";
import { readLink, writeLink } from "./link";
import { helpDialog } from "./keyboard";
import { layout } from "./layout";
import { width } from "./measure";
import { modulesView } from "./modules";
import { networkPicture } from "./network";
import { count, plural, show } from "./numbers";
import { panel } from "./panel";
import type { Path } from "./paths";
import { Picture, type Scene } from "./picture";
import { initial, type State } from "./state";
import { saveMenu } from "./save";
import { steps, type Step } from "./steps";
import { trainingStrip } from "./training";
import { transport } from "./transport";

const COMFORTABLE = 0.6; // the scale from which a first view is read without effort
const LABELLED = 150; // items up to which edges carry their derivative

export class App {
  readonly state: State = initial();
  readonly groups: Groups;
  readonly picture: Picture;
  openness: Openness;
  first: Openness; // the openness of the first view
  view!: View;
  steps: Step[] = [];
  output: number;
  private readonly stage = html("main", { class: "stage", id: "stage" });
  private readonly canvas = html("div", { class: "canvas" });
  private readonly other = html("div", { class: "other", hidden: true });
  private readonly side = html("aside", { class: "panel", "aria-label": "Explanation" });
  private readonly status = html("p", { class: "status" });
  private readonly live = html("div", { class: "live", role: "status", "aria-live": "polite" });
  private readonly help_ = helpDialog();
  private readonly find;
  private readonly bar;
  private readonly tabs: HTMLButtonElement[] = [];
  private readonly tell = embed(this);
  private timer = 0;
  private drawing = 0;

  constructor(readonly graph: Graph, root: HTMLElement) {
    this.groups = new Groups(graph);
    this.openness = this.first = new Openness();
    this.output = graph.data.outputs[0];
    this.picture = new Picture(graph, this.groups, { select: (i) => this.select(i), toggle: (g) => this.toggle(g) });
    this.find = finder(this);
    this.bar = transport(this);
    const { data } = graph;
    this.canvas.append(this.picture.root, this.corner(), html("div", { class: "caption" }, this.status, legend()));
    this.stage.append(this.canvas, this.other);
    root.className = "explorer";
    replace(
      root, this.header(), this.stage, this.side,
      html("footer", { class: "foot" }, data.training && data.training.steps.length ? trainingStrip(this) : null, this.bar.root),
      this.live, this.help_,
    );
    this.picture.root.addEventListener("click", () => this.state.selected !== null && this.select(null));
  }

  // -------------------------------------------------------------- parts of the page
  private header(): HTMLElement {
    const { data } = this.graph;
    const tab = (id: string, label: string): HTMLButtonElement => {
      const button = html("button", { type: "button", class: "tab", "aria-pressed": id === "graph", "data-tab": id, click: () => this.show(id) }, label);
      this.tabs.push(button);
      return button;
    };
    const many = Boolean(data.modules?.length || data.costs);
    return html(
      "header", { class: "bar" },
      html("h1", {}, html("span", { class: "brand" }, "chainrule"), " ", html("span", { class: "subject", title: shorten(data.title, 200) }, shorten(data.title, 80))),
      many ? html("nav", { "aria-label": "Views" }, tab("graph", "Graph"), data.modules?.length ? tab("modules", "Modules") : null, data.costs ? tab("costs", "Jacobians") : null) : null,
      this.find.root,
      html("div", { class: "tools" },
        data.network ? html("button", { type: "button", "aria-pressed": "false", class: "toggle", click: (e: Event) => this.toggleNetwork(e.currentTarget as HTMLElement) }, "Network") : null,
        html("button", { type: "button", class: "toggle predict", "aria-pressed": "false", title: "Predict each number before it is shown (p)", click: () => this.togglePredict() }, "Predict"),
        html("button", { type: "button", class: "icon", "aria-label": "Light or dark", title: "Light or dark (t)", click: () => this.theme() }, "◐"),
        saveMenu(this),
        html("button", { type: "button", class: "icon", "aria-label": "Keys and help", title: "Keys (?)", click: () => this.help() }, "?")),
    );
  }

  private corner(): HTMLElement {
    const button = (label: string, text: string, act: () => void): HTMLElement =>
      html("button", { type: "button", "aria-label": label, title: label, click: act }, text);
    return html("div", { class: "corner" }, button("Larger", "+", () => this.picture.zoomBy(1.25)),
      button("Smaller", "−", () => this.picture.zoomBy(0.8)), button("All of it", "⤢", () => this.picture.fit(true)));
  }

  private toggleNetwork(button: HTMLElement): void {
    const there = this.stage.querySelector(".network");
    if (there) there.remove();
    else this.stage.append(networkPicture(this.graph.data.network!));
    button.setAttribute("aria-pressed", String(!there));
    this.stage.classList.toggle("split", !there);
  }

  // -------------------------------------------------------------- drawing
  async start(): Promise<void> {
    await this.chooseView();
    readLink(this);
    await this.redraw(null);
    const step = this.state.step === null ? undefined : this.steps[this.state.step];
    const node = this.state.selected ?? this.view.items[step?.item ?? -1]?.node;
    if (node !== undefined) this.picture.follow(node);
    if (this.state.tab !== "graph") this.show(this.state.tab);
    window.addEventListener("hashchange", () => {
      readLink(this);
      void this.redraw(null);
    });
  }

  /** The first view: the fullest that can be read in the room there is. */
  private async chooseView(): Promise<void> {
    let best = 0;
    for (const openness of this.groups.firstViews()) {
      const scale = this.picture.scaleOf((await this.arrange(openness)).placed);
      if (scale > best) {
        best = scale;
        this.first = openness;
      }
      if (scale >= COMFORTABLE) break;
    }
    this.openness = this.first.copy();
  }

  /** What is visible with these groups open, and where it stands. */
  private async arrange(openness: Openness): Promise<Scene> {
    const { graph, groups } = this;
    const view = groups.view(openness, this.state.selected ?? this.output);
    const cards = view.items.map((item) => card(graph, groups, item));
    const labels = view.items.length <= LABELLED ? view.edges.map((e) => edgeLabel(graph, cards, e)) : view.edges.map(() => "");
    const placed = await layout({
      boxes: cards.map(({ width, height, badges, item }) => ({ width: width + (item.times > 1 ? 16 : 0), height: height + (badges.length || item.times > 1 ? 18 : 0) })),
      within: view.items.map((i) => (i.within > 0 ? i.within : -1)),
      clusters: view.clusters.map((c) => ({ id: c.group, parent: c.parent > 0 ? c.parent : -1, label: width(`− ${groups.title(c.group)}  ×${c.times}`, 12, 650) + 20 })),
      edges: view.edges.map((e, k) => ({ from: e.from, to: e.to, label: labels[k] ? { width: width(labels[k], 11) + 10, height: 15 } : null })),
      room: { width: this.picture.size[0], height: this.picture.size[1] },
    });
    return { view, cards, placed, labels };
  }

  /** Choose what is visible, lay it out and draw it. */
  async redraw(anchor: string | null): Promise<void> {
    const turn = ++this.drawing;
    const at = this.state.step === null ? null : this.steps[this.state.step];
    const scene = await this.arrange(this.openness);
    if (turn !== this.drawing) return; // something newer is on its way
    const focus = document.activeElement?.closest<SVGElement>("[data-key]")?.dataset.key;
    this.view = scene.view;
    this.steps = steps(this.graph, this.view);
    if (at) this.state.step = this.stepAt(at);
    else if (this.state.step !== null) this.state.step = Math.min(this.state.step, this.steps.length - 1);
    this.picture.draw(scene, anchor);
    setText(this.status, this.counted());
    this.update();
    this.tabStop(focus ?? null);
  }

  /** The step of these steps that does what another list's step did. */
  private stepAt(old: Step): number {
    const same = this.steps.findIndex((s) => s.phase === old.phase && s.at >= old.at && (old.phase !== "backward" || s.at === old.at));
    return same >= 0 ? same : Math.max(0, this.steps.findIndex((s) => s.phase === old.phase && s.at <= old.at));
  }

  private counted(): string {
    const { view, graph } = this;
    const closed = view.items.filter((i) => i.group !== null).length;
    const parts = [`${count(view.drawn)} of ${plural(graph.size, "node")} drawn`];
    if (view.inline) parts.push(`${plural(view.inline, "number")} in formulas`);
    const rest = graph.size - view.drawn - view.inline;
    if (rest > 0) parts.push(`${count(rest)} in ${closed ? `${plural(closed, "closed group")} or ` : ""}what repeats`);
    if (view.leftOut) parts.push(`${plural(view.leftOut, "item")} farther away left out`);
    if (graph.data.left_out) parts.push(`${plural(graph.data.left_out, "node")} of the graph are not in this page`);
    return parts.join(" · ");
  }

  /** Everything but the layout follows the state. */
  update(): void {
    const { state, picture } = this;
    const step = state.step === null ? null : this.steps[state.step];
    picture.paint(step, state.predict && !state.revealed, state.path);
    picture.choose(state.selected);
    this.bar.update();
    panel(this, this.side);
    writeLink(this);
    this.tell();
  }

  // -------------------------------------------------------------- stepping
  goTo(step: number | null): void {
    this.state.step = step === null ? null : Math.max(0, Math.min(this.steps.length - 1, step));
    this.state.revealed = false;
    this.state.path = null;
    this.update();
    const now = this.state.step === null ? null : this.steps[this.state.step];
    if (now && now.item >= 0) this.picture.follow(this.view.items[now.item].node);
  }

  advance(by: number): void {
    const { step } = this.state;
    if (step === null) this.goTo(by > 0 ? 1 : this.steps.length - 1);
    else if (this.state.predict && !this.state.revealed && by > 0 && this.covers()) this.reveal();
    else if (by > 0 && step === this.steps.length - 1) this.pause();
    else this.goTo(step + by);
  }

  private covers(): boolean {
    const step = this.steps[this.state.step!];
    return (step.phase === "forward" || step.phase === "backward") && this.view.items[step.item].group === null;
  }

  play(): void {
    if (this.state.playing) return this.pause();
    if (this.state.step === null || this.state.step === this.steps.length - 1) this.goTo(0);
    this.state.playing = true;
    this.bar.update();
    const tick = (): void => {
      this.timer = window.setTimeout(() => {
        this.advance(1);
        if (this.state.playing) tick();
      }, 1000 / this.state.speed);
    };
    tick();
  }

  pause(): void {
    window.clearTimeout(this.timer);
    this.state.playing = false;
    this.bar.update();
  }

  togglePredict(): void {
    this.state.predict = !this.state.predict;
    this.state.revealed = false;
    this.find.root.parentElement?.querySelector(".predict")?.setAttribute("aria-pressed", String(this.state.predict));
    if (this.state.predict && this.state.step === null) this.goTo(1);
    else this.update();
  }

  reveal(): void {
    this.state.revealed = true;
    this.update();
  }

  // -------------------------------------------------------------- nodes and groups
  select(node: number | null): void {
    this.state.selected = node;
    this.state.path = null;
    this.update();
    this.tabStop(null);
  }

  /** Select a node, opening what hides it, and bring it into sight. */
  async jump(node: number): Promise<void> {
    this.show("graph");
    this.state.path = null;
    this.state.selected = node;
    const near = this.view.itemOf[node] < 0 && !this.graph.inFormulas(node);
    if (this.groups.reveal(this.openness, node) || near) await this.redraw(null);
    else this.update();
    this.picture.follow(node, true);
    const item = this.view.items[this.view.itemOf[node]];
    if (item) this.tabStop(item.key);
  }

  toggle(group: number): void {
    const { open } = this.openness;
    if (open.has(group)) open.delete(group);
    else open.add(group);
    this.state.path = null;
    void this.redraw(`g${group}`);
  }

  /** Draw all of what repeats, or the first one only. */
  unfold(group: number): void {
    const { unfolded } = this.openness;
    const first = this.groups.first[group];
    if (unfolded.has(first)) unfolded.delete(first);
    else unfolded.add(first);
    void this.redraw(`g${first}`);
  }

  closeAround(): void {
    const node = this.state.selected ?? this.focused()?.node;
    const around = node === undefined ? [] : this.groups.around(node).filter((g) => this.openness.open.has(g));
    if (around.length) this.toggle(around.at(-1)!);
  }

  trace(path: Path | null): void {
    this.state.path = path;
    this.state.step = null;
    this.update();
  }

  setOutput(output: number): void {
    this.output = output;
    this.state.path = null;
    this.update();
  }

  copy(text: string): void {
    const fallback = (): void => {
      const area = html("textarea", {});
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    };
    const done = navigator.clipboard ? navigator.clipboard.writeText(text).catch(fallback) : Promise.resolve(fallback());
    void done.then(() => this.announce("Copied"));
  }

  // -------------------------------------------------------------- by keyboard
  press(key: string): void {
    const group = Number(key.slice(1));
    if (key[0] === "n") this.select(group);
    else this.toggle(group);
  }

  private focused(): { index: number; node: number } | null {
    const key = document.activeElement?.closest<SVGElement>("[data-key]")?.dataset.key;
    const index = this.view.items.findIndex((i) => i.key === key);
    return index < 0 ? null : { index, node: this.view.items[index].node };
  }

  /** One card can be reached with Tab: the focused one, the selected one, or the first. */
  private tabStop(key: string | null): void {
    const { selected } = this.state;
    const item = selected === null ? undefined : this.view.items[this.view.itemOf[selected]];
    const element = this.picture.element(key ?? item?.key ?? this.view.items[0]?.key ?? "");
    for (const e of this.picture.root.querySelectorAll('.card[tabindex="0"]')) e.setAttribute("tabindex", "-1");
    element?.setAttribute("tabindex", "0");
    if (key) element?.focus({ preventScroll: true });
  }

  private focusItem(index: number): void {
    const item = this.view.items[index];
    if (!item) return;
    this.tabStop(item.key);
    this.picture.follow(item.node);
  }

  walk(by: number): void {
    const n = this.view.items.length;
    const now = this.focused();
    this.focusItem(now ? (now.index + by + n) % n : 0);
  }

  along(way: "inputs" | "users"): void {
    const node = this.focused()?.node ?? this.state.selected;
    if (node === null || node === undefined) return;
    const next = (way === "inputs" ? this.graph.inputs(node) : this.graph.uses(node).map((u) => u.result)).find((i) => this.view.itemOf[i] >= 0);
    if (next !== undefined) this.focusItem(this.view.itemOf[next]);
  }

  focusFind(): void {
    this.find.input.focus();
    this.find.input.select();
  }

  escape(): void {
    this.pause();
    if (this.state.path) this.trace(null);
    else if (this.state.selected !== null) this.select(null);
    else this.goTo(null);
  }

  // -------------------------------------------------------------- views
  show(tab: string): void {
    this.state.tab = tab;
    for (const t of this.tabs) t.setAttribute("aria-pressed", String(t.dataset.tab === tab));
    this.canvas.hidden = tab !== "graph";
    this.other.hidden = tab === "graph";
    if (tab === "modules") void modulesView(this, this.other);
    if (tab === "costs") replace(this.other, costsTable(this.graph.data.costs!));
    writeLink(this);
  }

  zoomModule(module: number): void {
    this.state.module = module;
    void modulesView(this, this.other);
    this.announce(module < 0 ? "All modules" : this.graph.data.modules![module].path);
  }

  /** From a module to its part of the graph. */
  async openModule(module: number): Promise<void> {
    const { group } = this.graph.data.modules![module];
    if (group === null) return this.announce("This module has no part of the graph to itself");
    this.show("graph");
    for (let g = group; g > 0; g = this.graph.groups[g].parent) {
      if (this.groups.first[g] !== g) this.openness.unfolded.add(this.groups.first[g]);
      this.openness.open.add(g);
    }
    await this.redraw(null);
    const inside = this.view.items.find((i) => i.within === group);
    if (inside) this.picture.follow(inside.node, true);
  }

  showFrame(k: number): void {
    const frame = this.graph.data.training!.frames[k];
    this.state.frame = k;
    for (const [id, value] of Object.entries(frame?.data ?? {})) this.picture.overlay(Number(id), show(value), null);
    for (const [id, value] of Object.entries(frame?.gradient ?? {})) this.picture.overlay(Number(id), null, show(value));
  }

  theme(): void {
    const page = document.documentElement;
    const dark = page.dataset.theme ? page.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    page.dataset.theme = dark ? "light" : "dark";
    this.announce(dark ? "Light" : "Dark");
  }

  help(): void {
    this.help_.showModal();
  }

  announce(text: string): void {
    this.live.textContent = text;
    this.live.classList.remove("seen");
    void this.live.offsetWidth;
    this.live.classList.add("seen");
  }
}

function legend(): HTMLElement {
  const entry = (cls: string, text: Child): HTMLElement => html("span", { class: cls }, text);
  return html("p", { class: "legend" }, entry("positive", "derivative above 0"), entry("negative", "below 0"), entry("thick", "thicker: contributes more"));
}
