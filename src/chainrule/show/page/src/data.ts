// What Python hands over (version 2 of the format), and the questions the page asks of it.
import { number, show, type Scalar } from "./numbers";

export interface Thumb {
  shape: [number, number]; low: Scalar; high: Scalar; pixels: string; bins: number[]; nan: number; inf: number; zero: number;
}
export interface Columns {
  kind: string; name: string[]; path?: Record<string, string>; op: number[]; inputs: number[][];
  data: Scalar[]; gradient: Scalar[]; shape: number[]; dtype: number[];
  local: Scalar[][]; formula: number[][]; expression: number[]; group: number[]; line: number[];
}
export interface Group { parent: number; kind: string; name: string; like: number; output: number | null }
export interface Pulled { text: string; after: string; norm: Scalar }
export interface Signal { text: string; shape: number[]; T?: Thumb }
export interface Module {
  group: number | null; path: string; type: string; inputs: Signal[]; outputs: Signal[];
  incoming: Signal[]; outgoing: Signal[]; parameters: number; parent: number;
}
export interface Network {
  layers: { name: string; values: Scalar[]; gradients: Scalar[] }[]; weights: number[][][]; activation: string;
}
export interface Training {
  steps: number[]; loss: Scalar[];
  frames: { data?: Record<string, Scalar>; gradient?: Record<string, Scalar> }[]; boundary?: string[];
}
export interface Data {
  chainrule: number; title: string; nodes: Columns;
  operations: { name: string; symbol: string }[]; formulas: string[]; expressions: string[];
  shapes: number[][]; dtypes: string[]; groups?: Group[];
  lines?: { file: number; line: number }[]; files?: { name: string; text: Record<string, string> }[];
  pulled?: Record<string, (Pulled | null)[]>; arrays?: Record<string, { data?: Thumb; gradient?: Thumb }>;
  outputs: number[]; left_out: number; modules?: Module[]; module_edges?: [number, number][]; network?: Network;
  costs?: { columns: string[]; rows: Scalar[][]; summary: string };
  paths?: Record<string, { nodes: number[]; text: string }[]>; training?: Training;
}

/** One use of a node: by which result, as which operand. */
export interface Use { result: number; position: number }

export class Graph {
  readonly size: number;
  readonly groups: Group[];
  /** The results that use a node stand in `users` from start[i] to start[i + 1], the newest first. */
  private readonly start: Int32Array;
  private readonly users: Int32Array;
  private readonly positions: Int32Array;
  private swept: Float64Array | undefined;

  constructor(readonly data: Data) {
    const inputs = data.nodes.inputs;
    this.size = inputs.length;
    this.groups = data.groups?.length ? data.groups : [{ parent: -1, kind: "root", name: "", like: -1, output: null }];
    this.start = new Int32Array(this.size + 1);
    for (const operands of inputs) for (const x of operands) this.start[x + 1]++;
    for (let i = 0; i < this.size; i++) this.start[i + 1] += this.start[i];
    const next = this.start.slice();
    this.users = new Int32Array(this.start[this.size]);
    this.positions = new Int32Array(this.start[this.size]);
    for (let r = this.size - 1; r >= 0; r--) {
      inputs[r].forEach((x, i) => {
        this.users[next[x]] = r;
        this.positions[next[x]++] = i;
      });
    }
  }

  kind(i: number): "leaf" | "result" | "constant" {
    const letter = this.data.nodes.kind[i];
    return letter === "l" ? "leaf" : letter === "c" ? "constant" : "result";
  }
  named(i: number): boolean {
    return this.data.nodes.name[i] !== "";
  }
  label(i: number): string {
    return this.data.nodes.name[i] || this.path(i) || (this.kind(i) === "constant" ? show(this.data.nodes.data[i]) : `v${i}`);
  }
  /** The Python path where there is one: model.layers[0].w */
  path(i: number): string {
    const paths = this.data.nodes.path;
    return paths && Object.hasOwn(paths, i) ? paths[i] : "";
  }
  /** A plain number stands in the formulas that use it; as a node of its own it would tell nothing more. */
  inFormulas(i: number): boolean {
    return this.kind(i) === "constant" && !this.named(i) && this.scalar(i);
  }
  operation(i: number): { name: string; symbol: string } | undefined {
    return this.data.operations[this.data.nodes.op[i]];
  }
  inputs(i: number): number[] {
    return this.data.nodes.inputs[i];
  }
  uses(i: number): Use[] {
    const out: Use[] = [];
    for (let k = this.start[i]; k < this.start[i + 1]; k++) out.push({ result: this.users[k], position: this.positions[k] });
    return out;
  }
  value(i: number): Scalar {
    return this.data.nodes.data[i];
  }
  gradient(i: number): Scalar {
    return this.data.nodes.gradient[i];
  }
  local(i: number, position: number): Scalar {
    return this.data.nodes.local[i]?.[position] ?? null;
  }
  /** The template of the local derivative; what begins with a colon is an operator in words. */
  formula(i: number, position: number): string {
    return this.data.formulas[this.data.nodes.formula[i]?.[position]] ?? "";
  }
  expression(i: number): string {
    return this.data.expressions[this.data.nodes.expression[i]] ?? "";
  }
  shape(i: number): number[] {
    return this.data.shapes[this.data.nodes.shape[i]] ?? [];
  }
  dtype(i: number): string {
    return this.data.dtypes[this.data.nodes.dtype[i]] ?? "";
  }
  scalar(i: number): boolean {
    return typeof number(this.value(i)) === "number";
  }
  source(i: number): { file: string; line: number; text: string } | null {
    const place = this.data.lines?.[this.data.nodes.line[i]];
    const file = place && this.data.files?.[place.file];
    return place && file ? { file: file.name, line: place.line, text: file.text[place.line] ?? "" } : null;
  }
  arrays(i: number): { data?: Thumb; gradient?: Thumb } | undefined {
    const arrays = this.data.arrays;
    return arrays && Object.hasOwn(arrays, i) ? arrays[i] : undefined;
  }
  pulled(result: number, position: number): Pulled | null {
    const pulled = this.data.pulled;
    return pulled && Object.hasOwn(pulled, result) ? (pulled[result][position] ?? null) : null;
  }

  /** Gradients of scalars by our own sweep, in the engine's order: results newest first, operands by position. */
  sweep(): Float64Array {
    if (this.swept) return this.swept;
    const gradient = new Float64Array(this.size);
    for (const o of this.data.outputs) gradient[o] = this.seed(o);
    for (let r = this.size - 1; r >= 0; r--) {
      if (gradient[r] === 0) continue;
      this.inputs(r).forEach((x, i) => {
        const d = number(this.local(r, i));
        if (d !== null && !(d === 0 && this.formula(r, i) === "0")) gradient[x] += d * gradient[r];
      });
    }
    return (this.swept = gradient);
  }
  /** What a result adds to an operand, as a number; null between arrays. */
  contribution(result: number, position: number): number | null {
    const d = number(this.local(result, position));
    if (d === 0 && this.formula(result, position) === "0") return 0; // nothing is sent at all, whatever the gradient
    return d === null || !this.scalar(result) ? null : d * this.sweep()[result];
  }
  /** An operand's gradient when the backward sweep has come to this result, and to this operand of it. */
  accumulated(x: number, result: number, position = Infinity): number {
    let sum = this.data.outputs.includes(x) ? this.seed(x) : 0;
    for (let k = this.start[x]; k < this.start[x + 1]; k++) {
      const r = this.users[k];
      if (r < result || (r === result && this.positions[k] > position)) break;
      sum += this.contribution(r, this.positions[k]) ?? 0;
    }
    return sum;
  }
  /** What backward starts with: one, unless the output was given another gradient. */
  seed(output: number): number {
    const given = number(this.gradient(output));
    return given && Number.isFinite(given) && this.start[output] === this.start[output + 1] ? given : 1;
  }
  /** Whether the backward sweep comes by: there is a way from it to an output. */
  reached(): Uint8Array {
    const seen = new Uint8Array(this.size);
    for (const o of this.data.outputs) seen[o] = 1;
    for (let r = this.size - 1; r >= 0; r--) if (seen[r]) for (const x of this.inputs(r)) seen[x] = 1;
    return seen;
  }
  /** A rectifier's lamp: lit, dark, or no rectifier at all. */
  fired(i: number): boolean | null {
    if (!/relu/i.test(this.operation(i)?.name ?? "")) return null;
    const value = number(this.value(i));
    return value === null ? null : value > 0;
  }
}

const VANISHING = 1e-6;
const EXPLODING = 1e4;

/** What is wrong with a node, in a word or two. */
export function badges(graph: Graph, i: number): string[] {
  const out: string[] = [];
  const data = number(graph.value(i));
  const gradient = number(graph.gradient(i));
  const arrays = graph.arrays(i);
  const bad = (x: number | null): boolean => x !== null && !Number.isFinite(x);
  if (bad(data) || bad(gradient) || arrays?.data?.nan || arrays?.gradient?.nan) {
    out.push(data !== null && Math.abs(data) === Infinity ? "inf" : "nan");
  }
  if (/relu|maximum/i.test(graph.operation(i)?.name ?? "") && arrays?.data && arrays.data.zero >= 0.95) out.push("dead relu");
  const low = number(arrays?.gradient?.low), high = number(arrays?.gradient?.high);
  const size = low !== null && high !== null ? Math.max(Math.abs(low), Math.abs(high)) : Math.abs(gradient ?? 0);
  if (size > 0 && size < VANISHING) out.push("vanishing gradient");
  if (size > EXPLODING && size < Infinity) out.push("exploding gradient");
  return out;
}
