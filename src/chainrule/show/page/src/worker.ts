// In the worker: a graph comes in, its layout goes out.
import { byGraphviz } from "./graphviz";
import { byLayers } from "./layers";
import type { Placed, Wanted } from "./layout";

const MANY = 400; // items; Graphviz takes seconds beyond

self.onmessage = async ({ data: { id, wanted } }: MessageEvent<{ id: number; wanted: Wanted }>) => {
  let placed: Placed | null = null;
  try {
    placed = wanted.boxes.length <= MANY ? await byGraphviz(wanted) : byLayers(wanted);
  } catch {
    placed = null; // the page has its own layers
  }
  self.postMessage({ id, placed });
};
