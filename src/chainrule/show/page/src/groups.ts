// What is visible: nodes, closed groups in their place, and one of several that are alike, standing for all of them.
import type { Graph } from "./data";

export interface Item {
  key: string;
  /** The node, or for a closed group the node that its numbers are of: its output. */
  node: number;
  group: number | null;
  /** How many nodes are inside, and how many groups like it this one stands for. */
  inside: number;
  times: number;
  /** The newest node of it: where it stands in the order of the program. */
  last: number;
  /** The innermost open group around it. */
  within: number;
}
export interface Edge { from: number; to: number; result: number; position: number; count: number }
export interface Cluster { group: number; parent: number; times: number }
export interface View {
  items: Item[];
  edges: Edge[];
  clusters: Cluster[];
  /** The item that shows a node, itself or what stands for it; -1 where it is left out. */
  itemOf: Int32Array;
  /** Nodes drawn each for itself; plain numbers that stand in formulas only. */
  drawn: number;
  inline: number;
  /** Items that were left out because they would have been too many. */
  leftOut: number;
}

/** Which groups are open, and which repeats are all drawn (by their first group). */
export class Openness {
  readonly open = new Set<number>([0]);
  readonly unfolded = new Set<number>();

  copy(): Openness {
    const other = new Openness();
    for (const g of this.open) other.open.add(g);
    for (const g of this.unfolded) other.unfolded.add(g);
    return other;
  }
}

const WHOLE = 45; // items that a first view may have when they are everything
const FEW = [20, 12, 6, 1]; // and when they are not: as many as there is room for
const MOST = 5000; // items that are laid out whole
const NEAR = 150; // items around the one looked at, when they are more

export class Groups {
  readonly order: number[] = []; // parents before children
  readonly children: number[][];
  /** The first of the siblings that are alike, for each group; itself where there is none before it. */
  readonly first: Int32Array;
  readonly alike: number[][];
  readonly sizes: Int32Array;
  private readonly last: Int32Array;
  private memberLists: number[][] | undefined;

  constructor(readonly graph: Graph) {
    const groups = graph.groups;
    this.children = groups.map(() => []);
    this.alike = groups.map(() => []);
    this.first = Int32Array.from(groups, (_, i) => i);
    this.sizes = new Int32Array(groups.length);
    this.last = new Int32Array(groups.length).fill(-1);
    groups.forEach((g, i) => g.parent >= 0 && this.children[g.parent].push(i));
    const queue = [0];
    for (let g = queue.shift(); g !== undefined; g = queue.shift()) {
      this.order.push(g);
      const seen = new Map<number, number>();
      for (const c of this.children[g]) {
        const like = groups[c].like;
        if (like >= 0) {
          this.first[c] = seen.get(like) ?? c;
          seen.set(like, this.first[c]);
        }
        this.alike[this.first[c]].push(c);
        queue.push(c);
      }
    }
    graph.data.nodes.group.forEach((g, i) => {
      for (let h = g; h >= 0; h = groups[h].parent) {
        this.sizes[h]++;
        this.last[h] = i;
      }
    });
  }

  /** The groups around a node, the outermost first, without the root. */
  around(node: number): number[] {
    const out: number[] = [];
    for (let g = this.graph.data.nodes.group[node]; g > 0; g = this.graph.groups[g].parent) out.unshift(g);
    return out;
  }

  title(g: number): string {
    const { name, kind } = this.graph.groups[g];
    return name || kind;
  }

  /** With the groups around it: row 0 › layers[0] › neurons[0]. */
  fullTitle(g: number): string {
    const parent = this.graph.groups[g].parent;
    return parent > 0 ? `${this.fullTitle(parent)} › ${this.title(g)}` : this.title(g);
  }

  private members(): number[][] {
    if (!this.memberLists) {
      const lists: number[][] = this.graph.groups.map(() => []);
      this.graph.data.nodes.group.forEach((g, i) => {
        for (let h = g; h >= 0; h = this.graph.groups[h].parent) lists[h].push(i);
      });
      this.memberLists = lists;
    }
    return this.memberLists;
  }

  /** What a first view may be, the fullest first: everything where that is little; else less and less of it. */
  firstViews(): Openness[] {
    const all = this.opened(WHOLE);
    const isAll = this.order.every((g) => this.first[g] !== g || all.open.has(g));
    const views = [...(isAll ? [all] : []), ...FEW.map((few) => this.opened(few))];
    return views.filter((v, k) => k === 0 || v.open.size < views[k - 1].open.size);
  }

  private opened(few: number): Openness {
    const openness = new Openness();
    const direct = new Int32Array(this.graph.groups.length);
    this.graph.data.nodes.group.forEach((g, i) => this.graph.inFormulas(i) || direct[g]++);
    const shown = (g: number): number => direct[g] + this.children[g].filter((c) => this.first[c] === c).length;
    let total = shown(0);
    const queue = this.children[0].filter((c) => this.first[c] === c);
    for (let g = queue.shift(); g !== undefined; g = queue.shift()) {
      if (total - 1 + shown(g) > few) continue;
      total += shown(g) - 1;
      openness.open.add(g);
      queue.push(...this.children[g].filter((c) => this.first[c] === c));
    }
    return openness;
  }

  view(openness: Openness, focus: number): View {
    const { graph } = this;
    const groups = graph.groups;
    const n = graph.size;

    // Which groups are folded away behind the first of their like, and which node stands for each of their nodes.
    const folded = new Uint8Array(groups.length);
    const stand = Int32Array.from({ length: n }, (_, i) => i);
    for (const g of this.order) {
      const parent = groups[g].parent;
      if (parent >= 0 && folded[parent]) folded[g] = 1;
      const first = this.first[g];
      if (first === g || openness.unfolded.has(first)) continue;
      folded[g] = 1;
      const from = this.members()[g], to = this.members()[first];
      from.forEach((node, k) => {
        if (stand[node] === node && to.length) stand[node] = to[Math.min(k, to.length - 1)];
      });
    }
    const standing = (i: number): number => {
      while (stand[i] !== i) i = stand[i];
      return i;
    };

    // The outermost closed group around each group.
    const closed = new Int32Array(groups.length).fill(-1);
    for (const g of this.order) {
      const parent = groups[g].parent;
      closed[g] = parent >= 0 && closed[parent] >= 0 ? closed[parent] : openness.open.has(g) ? -1 : g;
    }

    const items: Item[] = [];
    const itemOf = new Int32Array(n).fill(-1);
    const itemOfGroup = new Map<number, number>();
    const times = (g: number): number => (openness.unfolded.has(this.first[g]) ? 1 : this.alike[this.first[g]].length || 1);
    let drawn = 0;
    let inline = 0;
    for (let i = 0; i < n; i++) {
      const group = graph.data.nodes.group[i];
      if (folded[group]) continue;
      const g = closed[group];
      if (g < 0) {
        if (graph.inFormulas(i)) {
          inline++;
          continue;
        }
        itemOf[i] = items.length;
        items.push({ key: `n${i}`, node: i, group: null, inside: 1, times: 1, last: i, within: group });
        drawn++;
      } else {
        if (!itemOfGroup.has(g)) {
          itemOfGroup.set(g, items.length);
          items.push({
            key: `g${g}`, node: groups[g].output ?? this.last[g], group: g, inside: this.sizes[g], times: times(g),
            last: this.last[g], within: groups[g].parent,
          });
        }
        itemOf[i] = itemOfGroup.get(g)!;
      }
    }
    for (let i = 0; i < n; i++) if (itemOf[i] < 0) itemOf[i] = itemOf[standing(i)];

    // Between two nodes every operand is an edge; what touches a group, or a repeat, is one edge for each two ends.
    const edges: Edge[] = [];
    const known = new Map<number, Edge>();
    for (let r = 0; r < n; r++) {
      const to = itemOf[r];
      graph.inputs(r).forEach((x, position) => {
        const from = itemOf[x];
        if (from < 0 || to < 0 || from === to) return;
        const pair = from * items.length + to;
        const single = stand[r] === r && items[to].group === null && items[from].group === null;
        const edge = single ? undefined : known.get(pair);
        if (edge) edge.count++;
        else {
          const fresh = { from, to, result: r, position, count: 1 };
          known.set(pair, fresh);
          edges.push(fresh);
        }
      });
    }

    const clusters: Cluster[] = [];
    for (const g of this.order) {
      if (g === 0 || folded[g] || !openness.open.has(g) || closed[g] >= 0) continue;
      clusters.push({ group: g, parent: groups[g].parent, times: times(g) });
    }
    const view = { items, edges, clusters, itemOf, drawn, inline, leftOut: 0 };
    return items.length > MOST ? near(view, itemOf[focus]) : view;
  }

  /** Open whatever hides a node. */
  reveal(openness: Openness, node: number): boolean {
    let changed = false;
    for (const g of this.around(node)) {
      if (this.first[g] !== g && !openness.unfolded.has(this.first[g])) {
        openness.unfolded.add(this.first[g]);
        changed = true;
      }
      if (!openness.open.has(g)) {
        openness.open.add(g);
        changed = true;
      }
    }
    return changed;
  }
}

/** The neighbourhood of one item, where all of them would be too many. */
function near(view: View, focus: number): View {
  const neighbours: number[][] = view.items.map(() => []);
  for (const e of view.edges) {
    neighbours[e.from].push(e.to);
    neighbours[e.to].push(e.from);
  }
  const kept = new Set([focus]);
  for (const at of kept) {
    if (kept.size >= NEAR) break;
    for (const next of neighbours[at]) if (kept.size < NEAR) kept.add(next);
  }
  const place = new Map([...kept].sort((a, b) => a - b).map((old, i) => [old, i]));
  const items = [...place.keys()].map((old) => view.items[old]);
  const within = new Set(items.map((i) => i.within));
  return {
    items,
    edges: view.edges.filter((e) => place.has(e.from) && place.has(e.to))
      .map((e) => ({ ...e, from: place.get(e.from)!, to: place.get(e.to)! })),
    clusters: view.clusters.filter((c) => within.has(c.group)),
    itemOf: view.itemOf.map((i) => place.get(i) ?? -1),
    inline: view.inline,
    drawn: items.filter((i) => i.group === null).length,
    leftOut: view.items.length - items.length,
  };
}
