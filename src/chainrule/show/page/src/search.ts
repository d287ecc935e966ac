// Find by name, operation, shape, or nan.
import type { Graph } from "./data";
import { number } from "./numbers";

const MOST = 50;

export interface Found { nodes: number[]; total: number }

/** Words must all be met: part of a name or path, of an operation, a shape such as 3x4, `nan`, `inf`, `leaf`. */
export function search(graph: Graph, query: string): Found {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const nodes: number[] = [];
  let total = 0;
  if (!words.length) return { nodes, total };
  for (let i = 0; i < graph.size; i++) {
    if (!words.every((w) => matches(graph, i, w))) continue;
    total++;
    if (nodes.length < MOST) nodes.push(i);
  }
  return { nodes, total };
}

function matches(graph: Graph, i: number, word: string): boolean {
  if (word === "nan" || word === "inf") return wild(graph, i, word);
  if (/^[\d,x×*()]+$/.test(word) && /[x×,]/.test(word)) return graph.shape(i).join("x") === word.replace(/[()]/g, "").replace(/[,×*]+/g, "x").replace(/x$/, "");
  return graph.label(i).slice(0, 300).toLowerCase().includes(word) || graph.path(i).slice(0, 300).toLowerCase().includes(word)
    || (graph.operation(i)?.name.toLowerCase().includes(word) ?? false) || graph.operation(i)?.symbol === word || graph.kind(i) === word;
}

function wild(graph: Graph, i: number, word: "nan" | "inf"): boolean {
  const is = (x: number | null): boolean => x !== null && (word === "nan" ? Number.isNaN(x) : Math.abs(x) === Infinity);
  const arrays = graph.arrays(i);
  return is(number(graph.value(i))) || is(number(graph.gradient(i))) || Boolean(arrays?.data?.[word]) || Boolean(arrays?.gradient?.[word]);
}
