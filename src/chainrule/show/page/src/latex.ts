// The derivation in LaTeX: every step forward, every step backward.
import type { Graph } from "./data";
import { names } from "./explain";
import { latex, latexName } from "./math";
import { number, show } from "./numbers";
import { shares, type Step } from "./steps";
import type { View } from "./groups";

export function derivation(graph: Graph, view: View, steps: Step[]): string {
  const output = latexName(graph.label(graph.data.outputs[0]));
  const d = (y: string, x: string): string => `\\frac{\\partial ${y}}{\\partial ${x}}`;
  const rows: string[] = [];
  for (const step of steps) {
    const item = view.items[step.item];
    if (!item || item.group !== null) continue;
    const i = item.node;
    const name = latexName(graph.label(i));
    if (step.phase === "forward") {
      const result = graph.scalar(i) ? ` = ${latexName(show(graph.value(i)))}` : "";
      rows.push(`${name} &= ${graph.expression(i) ? latex(graph.expression(i), names(graph, i)) : "\\cdots"}${result}`);
    } else if (step.phase === "seed") rows.push(`${d(output, output)} &= 1`);
    else if (step.phase === "backward") {
      for (const s of shares(graph, i)) {
        const x = latexName(graph.label(s.operand));
        const formula = graph.formula(i, s.position);
        const local = formula && !formula.startsWith(":") ? latex(formula, names(graph, i)) : d(name, x);
        const numbers = s.after && number(s.local) !== null ? ` = ${latexName(s.before)} + ${latexName(s.added).replace(/^-.*/, "($&)")} = ${latexName(s.after)}` : "";
        rows.push(`${d(output, x)} &\\mathrel{+}= ${local} \\cdot ${d(output, name)}${numbers}`);
      }
    }
  }
  return `\\begin{align*}\n${rows.map((r) => `  ${r}`).join(" \\\\\n")}\n\\end{align*}\n`;
}
