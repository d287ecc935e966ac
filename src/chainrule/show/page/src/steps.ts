// The steps: forward node by node in the order of the program, then backward, newest first, as the engine goes.
import type { Graph } from "./data";
import type { View } from "./groups";
import { number, show, type Scalar } from "./numbers";

export interface Step {
  phase: "start" | "forward" | "seed" | "backward";
  /** The item the step is about, and the newest node of it: what has been done is decided by it. */
  item: number;
  at: number;
}

export function steps(graph: Graph, view: View): Step[] {
  const reached = graph.reached();
  const results = view.items
    .map((it, item) => ({ item, at: it.last, on: it.group !== null || graph.kind(it.node) === "result", reached: reached[it.node] }))
    .filter((s) => s.on)
    .sort((a, b) => a.at - b.at);
  const out: Step[] = [{ phase: "start", item: -1, at: -1 }];
  for (const { item, at } of results) out.push({ phase: "forward", item, at });
  const output = graph.data.outputs[0];
  if (output === undefined) return out;
  out.push({ phase: "seed", item: view.itemOf[output], at: graph.size });
  for (const { item, at, reached: on } of results.reverse()) if (on) out.push({ phase: "backward", item, at });
  return out;
}

/** What a node shows of itself after a step: its data, its gradient; empty where it has none yet. */
export function shown(graph: Graph, i: number, step: Step | null): { data: string; gradient: string } {
  if (!step) return { data: show(graph.value(i)), gradient: show(graph.gradient(i)) };
  const there = graph.kind(i) !== "result" || step.phase === "seed" || step.phase === "backward" || i <= step.at;
  const data = there && (step.phase !== "start" || graph.kind(i) !== "result") ? show(graph.value(i)) : "";
  return { data, gradient: gradientAfter(graph, i, step) };
}

function gradientAfter(graph: Graph, i: number, step: Step): string {
  if (step.phase !== "seed" && step.phase !== "backward") return "";
  if (graph.scalar(i)) return show(graph.accumulated(i, step.at));
  const isOutput = graph.data.outputs.includes(i);
  let after = isOutput ? "1" : "0";
  for (const { result, position } of graph.uses(i)) {
    if (result < step.at) break;
    after = graph.pulled(result, position)?.after ?? after;
  }
  return after;
}

/** One operand's share of a backward step. */
export interface Share {
  operand: number;
  position: number;
  local: Scalar;
  before: string;
  added: string;
  after: string;
  upstream: string;
}

export function shares(graph: Graph, result: number): Share[] {
  return graph.inputs(result).flatMap((operand, position) => {
    if (graph.kind(operand) === "constant") return [];
    const local = graph.local(result, position);
    const pulled = graph.pulled(result, position);
    if (pulled) {
      return [{ operand, position, local, before: before(graph, operand, result, position), added: pulled.text, after: pulled.after, upstream: show(graph.gradient(result)) }];
    }
    const added = graph.contribution(result, position);
    if (added === null || number(graph.value(operand)) === null) return [{ operand, position, local, before: "", added: "", after: "", upstream: "" }];
    const after = graph.accumulated(operand, result, position);
    const earlier = position > 0 ? graph.accumulated(operand, result, position - 1) : graph.accumulated(operand, result + 1);
    return [{
      operand, position, local, before: show(earlier), added: show(added), after: show(after), upstream: show(graph.sweep()[result]),
    }];
  });
}

function before(graph: Graph, operand: number, result: number, position: number): string {
  let last = graph.data.outputs.includes(operand) ? "1" : "0";
  for (const use of graph.uses(operand)) {
    if (use.result < result || (use.result === result && use.position >= position)) break;
    last = graph.pulled(use.result, use.position)?.after ?? last;
  }
  return last;
}
