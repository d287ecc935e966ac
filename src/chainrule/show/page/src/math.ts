// Formulas: a template such as "sech²($0) * $1" becomes a tree, and the tree MathML or LaTeX. Operands are numbered
// in it, so that no name of a user's is ever parsed.
import { html, mathml, shorten } from "./dom";

type Tree =
  | { is: "atom"; text: string; kind: "mi" | "mn" | "mtext" }
  | { is: "operand"; key: string }
  | { is: "call"; name: string; power: string; args: Tree[] }
  | { is: "binary"; op: string; a: Tree; b: Tree }
  | { is: "unary"; op: string; a: Tree }
  | { is: "power"; a: Tree; b: Tree }
  | { is: "group"; a: Tree };

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
const PLAIN = "0123456789-";
const POWER: Record<string, number> = {
  "+": 1, "-": 1, "−": 1, "*": 2, "×": 2, "·": 2, "/": 2, "÷": 2, "@": 2, "//": 2, "%": 2, "↦": 0, "=": 0, "<": 0, ">": 0, ",": -1,
};
const TOKEN = /\s*(\$\w+|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ]+|\*\*|\/\/|[\p{L}_][\p{L}\p{N}_.]*|\S)/uy;

const cache = new Map<string, Tree | null>();

/** The tree of a template, or null for what is no formula. */
function parse(template: string): Tree | null {
  if (!cache.has(template)) {
    try {
      cache.set(template, read(template));
    } catch {
      cache.set(template, null);
    }
  }
  return cache.get(template)!;
}

function read(text: string): Tree {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let m = TOKEN.exec(text); m; m = TOKEN.exec(text)) tokens.push(m[1]);
  let at = 0;
  const fail = (): never => {
    throw new Error("no formula");
  };
  const expect = (token: string): void => {
    if (tokens[at++] !== token) fail();
  };
  const list = (close: string): Tree[] => {
    const out: Tree[] = [];
    while (tokens[at] !== close) {
      out.push(sum(0));
      if (tokens[at] === ",") at++;
      else if (tokens[at] !== close) fail();
    }
    at++;
    return out;
  };
  const primary = (): Tree => {
    const token = tokens[at++] ?? fail();
    if (token === "-" || token === "−") return { is: "unary", op: "−", a: sum(2) };
    if (token === "(") {
      const a = sum(0);
      expect(")");
      return { is: "group", a };
    }
    if (token === "|") {
      const a = sum(0);
      expect("|");
      return { is: "call", name: "abs", power: "", args: [a] };
    }
    if (token[0] === "$") return { is: "operand", key: token.slice(1) };
    if (/^[\d.]/.test(token)) return { is: "atom", text: token, kind: "mn" };
    if (/^[\p{L}_∂∇]/u.test(token)) {
      const power = isPower(tokens[at]) && tokens[at + 1] === "(" ? tokens[at++] : "";
      if (tokens[at] === "(") {
        at++;
        return { is: "call", name: token, power, args: list(")") };
      }
      return { is: "atom", text: token, kind: "mi" };
    }
    return fail();
  };
  const postfix = (): Tree => {
    let tree = primary();
    for (;;) {
      const token = tokens[at];
      if (isPower(token)) {
        at++;
        const text = [...token].map((c) => (c === "ᵀ" ? "T" : PLAIN[SUPERSCRIPT.indexOf(c)])).join("");
        tree = { is: "power", a: tree, b: { is: "atom", text, kind: text === "T" ? "mi" : "mn" } };
      } else if (token === "**" || token === "^") {
        at++;
        tree = { is: "power", a: tree, b: unary() };
      } else return tree;
    }
  };
  const unary = (): Tree => {
    if (tokens[at] !== "-" && tokens[at] !== "−") return postfix();
    at++;
    return { is: "unary", op: "−", a: unary() };
  };
  const sum = (least: number): Tree => {
    let a = unary();
    for (;;) {
      const op = tokens[at];
      const power = op === undefined ? undefined : POWER[op];
      if (power === undefined || power < least) return a;
      at++;
      a = { is: "binary", op, a, b: sum(power + 1) };
    }
  };
  const tree = sum(0);
  if (at < tokens.length) fail();
  return tree;
}

const isPower = (token: string | undefined): boolean => token !== undefined && /^[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ]+$/.test(token);
const plain = (power: string): string => [...power].map((c) => PLAIN[SUPERSCRIPT.indexOf(c)] ?? "").join("");

/** How an operand is written: a name, or a number; negative numbers stand in parentheses. */
export type Operand = (key: string) => string;

const mi = (text: string): Element => mathml(/^[−\d.]/.test(text) ? "mn" : "mi", text.length > 1 ? { mathvariant: "normal" } : {}, text);
const mo = (text: string, attributes = {}): Element => mathml("mo", attributes, text);
const SHOWN: Record<string, string> = { "*": "·", "-": "−", "@": "@", "÷": "/" };

function draw(tree: Tree, operand: Operand): Element {
  switch (tree.is) {
    case "atom": return mathml(tree.kind, tree.text.length > 1 && tree.kind === "mi" ? { mathvariant: "normal" } : {}, tree.text.replace(/-/g, "−"));
    case "operand": {
      const text = shorten(operand(tree.key), 40);
      return text.startsWith("−") ? mathml("mrow", {}, mo("("), mi(text), mo(")")) : mi(text);
    }
    case "group": return mathml("mrow", {}, mo("("), draw(tree.a, operand), mo(")"));
    case "unary": return mathml("mrow", {}, mo(tree.op, { form: "prefix" }), draw(tree.a, operand));
    case "power": return mathml("msup", {}, mathml("mrow", {}, draw(tree.a, operand)), draw(tree.b, operand));
    case "binary":
      if (tree.op === "/" || tree.op === "÷") {
        return mathml("mfrac", {}, mathml("mrow", {}, draw(bare(tree.a), operand)), mathml("mrow", {}, draw(bare(tree.b), operand)));
      }
      return mathml("mrow", {}, draw(tree.a, operand), mo(SHOWN[tree.op] ?? tree.op), draw(tree.b, operand));
    case "call": {
      if (tree.name === "sqrt" && tree.args.length === 1) return mathml("msqrt", {}, draw(tree.args[0], operand));
      if (tree.name === "abs") return mathml("mrow", {}, mo("|", { form: "prefix", stretchy: "false" }), draw(tree.args[0], operand), mo("|", { form: "postfix", stretchy: "false" }));
      const args = tree.args.flatMap((a, i) => (i ? [mo(","), draw(a, operand)] : [draw(a, operand)]));
      const name = tree.power ? mathml("msup", {}, mi(tree.name), mathml("mn", {}, plain(tree.power).replace("-", "−"))) : mi(tree.name);
      return mathml("mrow", {}, name, mo("("), ...args, mo(")"));
    }
  }
}

const bare = (tree: Tree): Tree => (tree.is === "group" ? tree.a : tree);

/** A template as MathML; what cannot be read as a formula stays words. */
export function formula(template: string, operand: Operand): Element {
  const tree = parse(template);
  return tree ? draw(tree, operand) : mathml("mtext", {}, fillIn(template, operand));
}

/** One line of mathematics out of parts: strings are operators and words, elements stay. */
export function line(...parts: (Element | string)[]): Element {
  const row = parts.map((p) => (typeof p === "string" ? mo(p) : p));
  return html("div", { class: "math" }, mathml("math", { display: "block" }, mathml("mrow", {}, ...row)));
}

export const name = (text: string): Element => mi(shorten(text, 40));
export const value = (text: string): Element => (text.startsWith("−") ? mathml("mrow", {}, mo("("), mi(text), mo(")")) : mi(text));
export const plainValue = (text: string): Element => mathml("mn", {}, text);
export const partial = (y: string, x: string): Element =>
  mathml("mfrac", {}, mathml("mrow", {}, mo("∂", { rspace: "0" }), name(shorten(y, 16))), mathml("mrow", {}, mo("∂", { rspace: "0" }), name(shorten(x, 16))));

/** A template as plain text. */
export function fillIn(template: string, operand: Operand): string {
  return template.replace(/^:\s*/, "").replace(/\$(\w+)/g, (_, key: string) => {
    const text = operand(key);
    return text.startsWith("−") ? `(${text})` : text;
  });
}

// ------------------------------------------------------------------ LaTeX
const FUNCTIONS = new Set(["tanh", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "min", "max"]);
const ESCAPES: Record<string, string> = {
  "\\": "\\backslash{}", "{": "\\{", "}": "\\}", _: "\\_", "^": "\\hat{}", "#": "\\#", "%": "\\%", "&": "\\&", $: "\\$", "~": "\\sim{}",
};

/** A name in LaTeX: one letter stays italic, longer ones stand upright; nothing in it is a command. */
export function latexName(text: string): string {
  if (/^−?[\d.]+(e−?\d+)?$/.test(text)) return text.replace(/−/g, "-").replace(/e(-?\d+)$/, "\\cdot 10^{$1}");
  const safe = shorten(text, 60).replace(/[\\{}_^#%&$~]/g, (c) => ESCAPES[c]).replace(/[\r\n\u2028\u2029]/g, " ");
  return [...safe].length === 1 ? safe : /^\p{L}\d+$/u.test(safe) ? `${safe[0]}_{${safe.slice(1)}}` : `\\mathrm{${safe}}`;
}

export function latex(template: string, operand: Operand): string {
  const tree = parse(template);
  if (!tree) return `\\text{${fillIn(template, operand).replace(/[\\{}_^#%&$~]/g, (c) => ESCAPES[c])}}`;
  const write = (t: Tree): string => {
    switch (t.is) {
      case "atom": return t.kind === "mn" ? latexName(t.text) : latexName(t.text);
      case "operand": {
        const text = operand(t.key);
        return text.startsWith("−") ? `\\left(${latexName(text)}\\right)` : latexName(text);
      }
      case "group": return `\\left(${write(t.a)}\\right)`;
      case "unary": return `-${write(t.a)}`;
      case "power": return `{${write(t.a)}}^{${write(t.b)}}`;
      case "binary":
        return t.op === "/" || t.op === "÷" ? `\\frac{${write(bare(t.a))}}{${write(bare(t.b))}}`
          : `${write(t.a)} ${{ "*": "\\cdot", "×": "\\cdot", "·": "\\cdot", "−": "-", "↦": "\\mapsto" }[t.op] ?? t.op} ${write(t.b)}`;
      case "call": {
        if (t.name === "sqrt") return `\\sqrt{${write(t.args[0])}}`;
        if (t.name === "abs") return `\\left|${write(t.args[0])}\\right|`;
        const head = FUNCTIONS.has(t.name) ? `\\${t.name}` : `\\operatorname{${t.name.replace(/[\\{}_^#%&$~]/g, (c) => ESCAPES[c])}}`;
        return `${head}${t.power ? `^{${plain(t.power)}}` : ""}\\left(${t.args.map(write).join(", ")}\\right)`;
      }
    }
  };
  return write(tree);
}
