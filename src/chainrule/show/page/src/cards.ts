// What stands in each card, and how large it is.
import { badges, type Graph } from "./data";
import { brief, shorten } from "./dom";
import type { Edge, Groups, Item } from "./groups";
import type { Box } from "./layout";
import { fillIn } from "./math";
import { width } from "./measure";
import { count, plural, show } from "./numbers";

export interface Card extends Box {
  item: Item;
  kind: "leaf" | "result" | "constant" | "group";
  title: string;
  /** Small and grey beside the title: how it was computed, or what is inside. */
  note: string;
  symbol: string;
  badges: string[];
  thumbs: boolean;
  /** Of a rectifier: whether it let anything pass. */
  fired: boolean | null;
}

export const ROW = 17;
export const HEAD = 25;
const PAD = 11;

export function card(graph: Graph, groups: Groups, item: Item): Card {
  const i = item.node;
  const numbers = Math.max(width(data(graph, i), 12), width(gradient(graph, i), 12), 52) + 50;
  if (item.group !== null) {
    const title = shorten(groups.title(item.group), 28);
    const note = plural(item.inside, "node");
    const wide = width(title, 13, 650) + (item.times > 1 ? width(`×${item.times}`, 12, 650) + 22 : 0);
    return {
      item, kind: "group", title, note, symbol: "", badges: [], thumbs: false, fired: null,
      width: Math.ceil(Math.max(132, wide + 3 * PAD, width(note, 11) + 60, numbers + 2 * PAD)), height: HEAD + 3 * ROW + 6,
    };
  }
  const kind = graph.kind(i);
  if (kind === "constant") {
    const title = shorten(graph.named(i) ? graph.label(i) : show(graph.value(i)), 18);
    return {
      item, kind, title, note: "", symbol: "", badges: [], thumbs: false, fired: null,
      width: Math.ceil(Math.max(34, width(title, 12) + 20)), height: 26,
    };
  }
  const symbol = shorten(graph.operation(i)?.symbol || graph.operation(i)?.name || "", 9);
  const title = brief(graph.label(i), 22);
  const note = kind === "result" ? expression(graph, i) : graph.shape(i).length ? graph.shape(i).join("×") : "";
  const thumbs = graph.arrays(i) !== undefined;
  const glyph = symbol ? Math.max(20, width(symbol, 11, 600) + 12) + 7 : 0;
  const rows = thumbs ? 0 : numbers;
  const head = glyph + width(title, 13, 650) + (note ? width(note, 11) + 12 : 0);
  return {
    item, kind, title, note, symbol, thumbs, badges: badges(graph, i), fired: graph.fired(i),
    width: Math.ceil(Math.max(112, head + 2 * PAD, rows + 2 * PAD, thumbs ? 178 : 0)),
    height: HEAD + (thumbs ? 74 : 2 * ROW + 6),
  };
}

function expression(graph: Graph, i: number): string {
  const text = fillIn(graph.expression(i), (key) => brief(graph.label(graph.inputs(i)[Number(key)] ?? i), 12));
  return text.length > 24 ? "" : text;
}

export const data = (graph: Graph, i: number): string => shorten(show(graph.value(i)), 20);
export const gradient = (graph: Graph, i: number): string => shorten(show(graph.gradient(i)), 20);

/** The local derivative that stands on an edge. */
export function edgeLabel(graph: Graph, cards: Card[], edge: Edge): string {
  const to = cards[edge.to];
  if (to.kind === "group" || cards[edge.from].kind === "group" || cards[edge.from].kind === "constant") {
    return edge.count > 1 ? `${count(edge.count)} edges` : "";
  }
  const local = graph.local(edge.result, edge.position);
  if (typeof local === "number" || local === "nan" || local === "inf" || local === "-inf") return show(local, 4);
  const words = fillIn(graph.formula(edge.result, edge.position), (key) => graph.label(key === "y" ? edge.result : graph.inputs(edge.result)[Number(key)]));
  return words.length > 22 ? "" : words;
}
