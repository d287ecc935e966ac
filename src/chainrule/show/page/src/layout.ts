// Where everything stands. A worker does it: Graphviz where there is time for it, our own layers where there is not.
import worker from "text:worker";
import { byLayers } from "./layers";

export interface Box { width: number; height: number }
export interface Wanted {
  boxes: Box[];
  /** The innermost cluster of each box, -1 for none. */
  within: number[];
  clusters: { id: number; parent: number; label: number }[];
  edges: { from: number; to: number; label: Box | null }[];
  /** The room there is for it: what is deep goes down the page, what is wide along it. */
  room?: Box;
}
export type Point = [number, number];
export interface Placed {
  width: number;
  height: number;
  /** The centres of boxes. */
  at: Point[];
  /** Cubic splines: a start, and then three points a piece. */
  edges: Point[][];
  labels: (Point | null)[];
  clusters: Record<number, { x: number; y: number; width: number; height: number }>;
}

let running: Worker | null | undefined;
let asked = 0;
const waiting = new Map<number, { resolve: (placed: Placed) => void; wanted: Wanted }>();

function start(): Worker | null {
  if (running !== undefined) return running;
  try {
    const url = URL.createObjectURL(new Blob([worker], { type: "text/javascript" }));
    running = new Worker(url);
    running.onmessage = ({ data }: MessageEvent<{ id: number; placed: Placed | null }>) => {
      const asker = waiting.get(data.id);
      waiting.delete(data.id);
      asker?.resolve(data.placed ?? byLayers(asker.wanted));
    };
    running.onerror = (event) => {
      event.preventDefault();
      running = null; // a frame that allows no workers: do it here
      for (const { resolve, wanted } of waiting.values()) resolve(byLayers(wanted));
      waiting.clear();
    };
  } catch {
    running = null;
  }
  return running;
}

export function layout(wanted: Wanted): Promise<Placed> {
  const worker = start();
  if (!worker) return Promise.resolve(byLayers(wanted));
  return new Promise((resolve) => {
    const id = ++asked;
    waiting.set(id, { resolve, wanted });
    worker.postMessage({ id, wanted });
  });
}
