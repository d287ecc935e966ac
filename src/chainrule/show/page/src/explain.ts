// One step in symbols, in numbers and in words.
import type { App } from "./app";
import type { Graph } from "./data";
import { html, type Child } from "./dom";
import * as math from "./math";
import { number, show } from "./numbers";
import { question } from "./teach";
import { shares, type Share, type Step } from "./steps";

/** What an operation does to gradients, in a sentence. */
const RULES: Record<string, string> = {
  add: "Addition routes: every operand receives the gradient unchanged.",
  subtract: "Subtraction routes: the first operand receives the gradient, the second its negative.",
  negative: "A change of sign changes the sign of the gradient.",
  multiply: "Multiplication swaps: each operand receives the gradient times the other one.",
  divide: "Division: the numerator receives the gradient over the denominator.",
  power: "A power: the exponent comes down, and the power falls by one.",
  relu: "The rectifier is a gate: open where its operand is positive, shut elsewhere.",
  tanh: "tanh lets through 1 − tanh²: all of it near zero, almost nothing where it is saturated.",
  sigmoid: "The sigmoid lets through σ · (1 − σ): at most a quarter.",
  exp: "The exponential is its own derivative.",
  log: "The logarithm divides by its operand.",
  matmul: "A matrix product: each operand receives the gradient times the other one, transposed.",
  sum: "A sum: every entry receives the same gradient.",
  mean: "A mean: every entry receives an equal part of the gradient.",
  maximum: "The larger one receives the gradient, the other one nothing.",
  minimum: "The smaller one receives the gradient, the other one nothing.",
};

export const names = (graph: Graph, result: number): math.Operand =>
  (key) => graph.label(key === "y" ? result : (graph.inputs(result)[Number(key)] ?? result));
export const numbers = (graph: Graph, result: number): math.Operand =>
  (key) => show(graph.value(key === "y" ? result : (graph.inputs(result)[Number(key)] ?? result)));

export function stepCard(app: App): HTMLElement | null {
  const { graph, state, steps, view } = app;
  if (state.step === null) return null;
  const step = steps[state.step];
  const item = view.items[step.item];
  const heading = { start: "Start", forward: "Forward", seed: "Backward begins", backward: "Backward" }[step.phase];
  const covered = state.predict && !state.revealed && (step.phase === "forward" || step.phase === "backward");
  const body = ((): Child[] => {
    if (step.phase === "start") return [html("p", {}, "Only the leaves have a value. Each step forward computes one more node.")];
    if (step.phase === "seed") return seed(app);
    if (item.group !== null) return closed(app, step);
    return step.phase === "forward" ? forward(graph, item.node, covered) : backward(graph, item.node, covered);
  })();
  return html(
    "section", { class: `step ${step.phase}`, "aria-labelledby": "step-title" },
    html("h2", { id: "step-title" }, heading, item && step.phase !== "start" ? html("code", {}, item.group !== null ? app.groups.title(item.group) : graph.label(item.node)) : null),
    covered && item.group === null ? question(app, step) : null,
    ...body,
  );
}

function seed({ graph }: App): Child[] {
  const output = graph.data.outputs[0];
  const name = graph.label(output);
  return [
    math.line(math.partial(name, name), "=", math.plainValue(graph.scalar(output) ? show(graph.seed(output)) : "1")),
    html("p", {}, "The output's gradient with respect to itself is one. From here every node hands its gradient to its operands, the newest node first; all other gradients begin at zero."),
  ];
}

function closed(app: App, step: Step): Child[] {
  const item = app.view.items[step.item];
  const group = item.group!;
  return [
    html("p", {}, `${step.phase === "forward" ? "Computes" : "Passes the gradient back through"} its ${item.inside} nodes`,
      item.times > 1 ? `, and so do the ${item.times - 1} others like it.` : "."),
    html("p", {}, html("button", { type: "button", click: () => app.toggle(group) }, "Open it"), " to step through them."),
  ];
}

function forward(graph: Graph, i: number, covered: boolean): Child[] {
  const template = graph.expression(i);
  const out: Child[] = [];
  if (template) out.push(math.line(math.name(graph.label(i)), "=", math.formula(template, names(graph, i))));
  if (template && graph.inputs(i).every((x) => number(graph.value(x)) !== null)) {
    out.push(math.line("=", math.formula(template, numbers(graph, i))));
  }
  out.push(math.line("=", math.plainValue(covered ? "?" : show(graph.value(i)))));
  const fired = graph.fired(i);
  if (fired !== null && !covered) out.push(html("p", { class: "fact" }, fired ? "It fires: the operand is positive and passes." : "It does not fire: the operand is not positive, so nothing passes, and no gradient will pass back."));
  return out;
}

function backward(graph: Graph, i: number, covered: boolean): Child[] {
  const output = graph.label(graph.data.outputs[0]);
  const rule = RULES[graph.operation(i)?.name ?? ""];
  return [
    rule ? html("p", { class: "rule" }, rule) : null,
    ...shares(graph, i).map((share) => html("div", { class: "share" }, ...local(graph, i, share), ...accumulation(graph, output, i, share, covered))),
  ];
}

function local(graph: Graph, i: number, { operand, position, local: d }: Share): Child[] {
  const template = graph.formula(i, position);
  const value = number(d) !== null ? show(d) : typeof d === "string" ? d : "";
  const left = math.partial(graph.label(i), graph.label(operand));
  if (template.startsWith(":")) {
    return [math.line(left, ":", math.formula(template, names(graph, i)))];
  }
  const symbols = template ? math.formula(template, names(graph, i)) : null;
  const constant = /^-?[\d.]+$/.test(template);
  if (!symbols || constant) return [math.line(left, "=", math.plainValue(value || template))];
  return [math.line(left, "=", symbols, ...(value ? ["=", math.plainValue(value.length > 40 ? `${value.slice(0, 39)}…` : value)] : []))];
}

function accumulation(graph: Graph, output: string, i: number, s: Share, covered: boolean): Child[] {
  if (!s.after) return [];
  const target = math.partial(output, graph.label(s.operand));
  const scalar = number(s.local) !== null && graph.scalar(i);
  const rows: Child[] = [
    math.line(target, "+=", math.partial(graph.label(i), graph.label(s.operand)), scalar ? "·" : "↤", math.partial(output, graph.label(i))),
  ];
  if (scalar) rows.push(math.line("+=", math.value(show(s.local)), "·", math.value(s.upstream), "=", math.plainValue(covered ? "?" : s.added)));
  rows.push(html(
    "p", { class: "accumulate" },
    html("span", { class: "before" }, s.before), " + ", html("span", { class: "added" }, covered ? "?" : s.added), " = ",
    html("b", { class: "after" }, covered ? "?" : s.after),
  ));
  return rows;
}
