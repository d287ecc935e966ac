// Layout by Graphviz's dot.
import { instance, type Graph as Dot, type Viz } from "@viz-js/viz";
import type { Placed, Point, Wanted } from "./layout";

let viz: Promise<Viz> | undefined;
const INCH = 72;
const ROOMY = 0.8; // the scale at which nobody would ask for another direction
const MANY = 150; // items; two layouts of more take too long

export async function byGraphviz(wanted: Wanted): Promise<Placed> {
  viz ??= instance();
  const engine = await viz;
  const laid = (direction: string): Placed => read(engine.renderJSON(dot(wanted, direction)) as Answer, wanted);
  const along = laid("LR");
  const { room } = wanted;
  const fits = (placed: Placed): number => (room ? Math.min(room.width / placed.width, room.height / placed.height) : 1);
  if (!room || fits(along) > ROOMY || wanted.boxes.length > MANY) return along;
  const down = laid("TB");
  return fits(down) > 1.15 * fits(along) ? down : along;
}

interface Thing { name?: string; pos?: string; lp?: string; bb?: string; tag?: string }
interface Answer { bb: string; objects?: Thing[]; edges?: Thing[] }

function dot(wanted: Wanted, rankdir: string): Dot {
  const root: Dot = {
    directed: true,
    graphAttributes: { rankdir, nodesep: 0.32, ranksep: rankdir === "LR" ? 0.5 : 0.34, splines: true },
    nodeAttributes: { shape: "box", fixedsize: true, label: "" },
    edgeAttributes: { dir: "none", fontsize: 10 },
    nodes: [], subgraphs: [],
  };
  const graphs = new Map<number, Dot>([[-1, root]]);
  for (const c of wanted.clusters) {
    const graph = {
      name: `cluster_${c.id}`,
      // an empty table stands for the cluster's title and leaves room for it
      graphAttributes: { margin: 14, label: { html: table(c.label, 22) }, labeljust: "l", labelloc: "t" },
      nodes: [], subgraphs: [],
    };
    graphs.set(c.id, graph);
    (graphs.get(c.parent) ?? root).subgraphs!.push(graph as never);
  }
  wanted.boxes.forEach((box, i) => {
    const graph = graphs.get(wanted.within[i]) ?? root;
    graph.nodes!.push({ name: `n${i}`, attributes: { width: box.width / INCH, height: box.height / INCH } });
  });
  root.edges = wanted.edges.map((e, i) => ({
    tail: `n${e.from}`, head: `n${e.to}`,
    attributes: { id: `e${i}`, tag: String(i), ...(e.label ? { label: { html: table(e.label.width, e.label.height) } } : {}) },
  }));
  return root;
}

const table = (width: number, height: number): string =>
  `<table border="0" cellborder="0" cellspacing="0" cellpadding="0" fixedsize="true" width="${Math.ceil(width)}" height="${Math.ceil(height)}"><tr><td></td></tr></table>`;

function read(answer: Answer, wanted: Wanted): Placed {
  const [, , right, top] = answer.bb.split(",").map(Number);
  const point = (text: string): Point => {
    const [x, y] = text.split(",").map(Number);
    return [x, top - y];
  };
  const at: Point[] = wanted.boxes.map(() => [0, 0]);
  const clusters: Placed["clusters"] = {};
  for (const o of answer.objects ?? []) {
    if (o.name?.startsWith("cluster_") && o.bb) {
      const [x0, y0, x1, y1] = o.bb.split(",").map(Number);
      clusters[Number(o.name.slice(8))] = { x: x0, y: top - y1, width: x1 - x0, height: y1 - y0 };
    } else if (o.name?.startsWith("n") && o.pos) at[Number(o.name.slice(1))] = point(o.pos);
  }
  const edges: Point[][] = wanted.edges.map(() => []);
  const labels: (Point | null)[] = wanted.edges.map(() => null);
  for (const e of answer.edges ?? []) {
    const i = Number(e.tag);
    edges[i] = (e.pos ?? "").split(" ").filter((p) => !/^[es],/.test(p)).map(point);
    if (e.lp) labels[i] = point(e.lp);
  }
  return { width: right, height: top, at, edges, labels, clusters };
}
