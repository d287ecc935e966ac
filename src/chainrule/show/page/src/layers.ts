// Our own layout, for graphs too large for Graphviz: layers by the longest way, their order by barycentres.
import type { Placed, Point, Wanted } from "./layout";

const GAP = 18;
const BETWEEN = 60;
const TALLEST = 60; // boxes in one column; a longer layer is broken into several

export function byLayers({ boxes, edges }: Wanted): Placed {
  const n = boxes.length;
  const inputs: number[][] = boxes.map(() => []);
  const users: number[][] = boxes.map(() => []);
  for (const e of edges) {
    inputs[e.to].push(e.from);
    users[e.from].push(e.to);
  }
  const layer = longest(n, inputs, users);
  const columns: number[][] = [];
  for (let i = 0; i < n; i++) (columns[layer[i]] ??= []).push(i);
  const full = columns.filter(Boolean);
  order(full, inputs, users);
  const broken = full.flatMap((column) =>
    Array.from({ length: Math.ceil(column.length / TALLEST) }, (_, k, parts = Math.ceil(column.length / TALLEST)) =>
      column.slice(Math.floor((k * column.length) / parts), Math.floor(((k + 1) * column.length) / parts))));

  const at: Point[] = boxes.map(() => [0, 0]);
  let x = 0;
  let height = 0;
  for (const column of broken) {
    const width = Math.max(...column.map((i) => boxes[i].width));
    let y = 0;
    for (const i of column) {
      at[i] = [x + width / 2, y + boxes[i].height / 2];
      y += boxes[i].height + GAP;
    }
    height = Math.max(height, y - GAP);
    x += width + BETWEEN;
  }
  straighten(broken, at, boxes, inputs, users);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i++) {
    low = Math.min(low, at[i][1] - boxes[i].height / 2);
    high = Math.max(high, at[i][1] + boxes[i].height / 2);
  }
  for (const p of at) p[1] -= low;
  return {
    width: Math.max(0, x - BETWEEN), height: n ? high - low : 0, at, labels: edges.map(() => null), clusters: {},
    edges: edges.map((e) => {
      const a: Point = [at[e.from][0] + boxes[e.from].width / 2, at[e.from][1]];
      const b: Point = [at[e.to][0] - boxes[e.to].width / 2, at[e.to][1]];
      const bend = Math.max(20, Math.abs(b[0] - a[0]) / 2);
      return [a, [a[0] + bend, a[1]], [b[0] - bend, b[1]], b];
    }),
  };
}

/** The longest way from a leaf; leaves stand just before what first uses them. Cycles among closed groups are cut. */
function longest(n: number, inputs: number[][], users: number[][]): Int32Array {
  const layer = new Int32Array(n);
  const left = Int32Array.from(inputs, (x) => x.length);
  const queue: number[] = [];
  const done = new Uint8Array(n);
  for (let i = 0; i < n; i++) if (!left[i]) queue.push(i);
  let rest = 0;
  for (let k = 0; ; k++) {
    if (k === queue.length) {
      while (rest < n && done[rest]) rest++;
      if (rest === n) break;
      if (!queue.includes(rest, k)) queue.push(rest);
    }
    const i = queue[k];
    if (done[i]) continue;
    done[i] = 1;
    for (const u of users[i]) {
      if (done[u]) continue;
      layer[u] = Math.max(layer[u], layer[i] + 1);
      if (--left[u] === 0) queue.push(u);
    }
  }
  for (let i = 0; i < n; i++) {
    if (inputs[i].length || !users[i].length) continue;
    let first = Infinity;
    for (const u of users[i]) first = Math.min(first, layer[u]);
    layer[i] = Math.max(0, first - 1);
  }
  return layer;
}

function order(columns: number[][], inputs: number[][], users: number[][]): void {
  const place: number[] = [];
  const settle = (column: number[]): void => column.forEach((i, k) => (place[i] = k / column.length));
  columns.forEach(settle);
  for (let sweep = 0; sweep < 6; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : [...columns].reverse()) {
      const middle = new Map(column.map((i) => {
        const others = forward ? inputs[i] : users[i];
        return [i, others.length ? others.reduce((s, o) => s + place[o], 0) / others.length : place[i]];
      }));
      column.sort((a, b) => middle.get(a)! - middle.get(b)!);
      settle(column);
    }
  }
}

/** Move boxes towards their neighbours as far as the order allows. */
function straighten(columns: number[][], at: Point[], boxes: { height: number }[], inputs: number[][], users: number[][]): void {
  for (let sweep = 0; sweep < 8; sweep++) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const wish = column.map((i) => {
        const others = sweep % 2 ? users[i] : inputs[i];
        return others.length ? others.reduce((s, o) => s + at[o][1], 0) / others.length : at[i][1];
      });
      // Boxes that push each other form blocks; a block stands where its wishes meet on average.
      const blocks: { ids: number[]; sum: number; offset: number[]; height: number }[] = [];
      column.forEach((i, k) => {
        let block = { ids: [i], sum: wish[k], offset: [0], height: boxes[i].height };
        for (let last = blocks.at(-1); last; last = blocks.at(-1)) {
          const top = last.sum / last.ids.length - boxes[last.ids[0]].height / 2;
          if (top + last.height + GAP <= block.sum / block.ids.length - boxes[block.ids[0]].height / 2) break;
          blocks.pop();
          const shift = last.height + GAP + boxes[block.ids[0]].height / 2 - boxes[last.ids[0]].height / 2;
          block = {
            ids: [...last.ids, ...block.ids], offset: [...last.offset, ...block.offset.map((o) => o + shift)],
            sum: last.sum + block.sum - shift * block.ids.length, height: last.height + GAP + block.height,
          };
        }
        blocks.push(block);
      });
      for (const b of blocks) b.ids.forEach((i, k) => (at[i][1] = b.sum / b.ids.length + b.offset[k]));
    }
  }
}
