// Paths from a node to the output. How many there are is counted, not walked; the largest are listed.
import type { Graph, Use } from "./data";
import { number } from "./numbers";

export interface Path {
  nodes: number[];
  /** By which operand each step enters the next node. */
  steps: Use[];
  product: number | null;
  text: string;
}
export interface Paths {
  from: number;
  to: number;
  count: bigint;
  listed: Path[];
  /** The sum over all of them: the gradient. */
  total: number | null;
}

const MOST = 12;

interface Tail { size: number; product: number; use: Use | null; next: Tail | null }

export function paths(graph: Graph, from: number, to: number): Paths {
  const given = graph.data.paths && Object.hasOwn(graph.data.paths, from) ? graph.data.paths[from] : null;
  const counts = new Map<number, bigint>([[to, 1n]]);
  const tails = new Map<number, Tail[]>([[to, [{ size: 1, product: 1, use: null, next: null }]]]);
  const gradient = new Map<number, number>([[to, 1]]);
  const leads = upwards(graph, from, to);
  for (let i = to - 1; i >= from; i--) {
    if (!leads[i]) continue;
    let sum = 0n;
    let total = 0;
    const found: Tail[] = [];
    for (const use of graph.uses(i)) {
      const more = counts.get(use.result);
      if (more === undefined) continue;
      sum += more;
      const local = number(graph.local(use.result, use.position));
      if (local !== null) total += local * (gradient.get(use.result) ?? 0);
      for (const next of tails.get(use.result)!) {
        const product = (local ?? 1) * next.product;
        found.push({ size: Math.abs(product), product, use, next });
      }
    }
    if (sum === 0n) continue;
    counts.set(i, sum);
    gradient.set(i, total);
    tails.set(i, found.sort((a, b) => (Number.isNaN(a.size) ? -1 : b.size - a.size)).slice(0, MOST));
  }
  const scalars = graph.scalar(from) && graph.scalar(to);
  const listed = given
    ? given.map((p) => ({ nodes: p.nodes, steps: uses(graph, p.nodes), product: null, text: p.text }))
    : (tails.get(from) ?? []).map((tail) => walk(from, tail, scalars));
  return { from, to, count: counts.get(from) ?? 0n, listed, total: scalars ? (gradient.get(from) ?? 0) : null };
}

/** Which nodes can be come by on the way from one to the other. */
function upwards(graph: Graph, from: number, to: number): Uint8Array {
  const leads = new Uint8Array(graph.size);
  leads[from] = 1;
  for (let i = from + 1; i <= to; i++) if (graph.inputs(i).some((x) => leads[x])) leads[i] = 1;
  return leads;
}

function walk(from: number, tail: Tail, scalars: boolean): Path {
  const nodes = [from];
  const steps: Use[] = [];
  for (let at: Tail | null = tail; at?.use; at = at.next) {
    nodes.push(at.use.result);
    steps.push(at.use);
  }
  return { nodes, steps, product: scalars ? tail.product : null, text: "" };
}

function uses(graph: Graph, nodes: number[]): Use[] {
  return nodes.slice(1).map((result, k) => ({ result, position: graph.inputs(result).indexOf(nodes[k]) }));
}
