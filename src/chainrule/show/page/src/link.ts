// The address of what is shown: #step=12&node=7&tab=modules&open=1.2&all=3
import type { App } from "./app";

export function writeLink(app: App): void {
  const { state, openness } = app;
  const parts: string[] = [];
  if (state.step !== null) parts.push(`step=${state.step}`);
  if (state.selected !== null) parts.push(`node=${state.selected}`);
  if (state.tab !== "graph") parts.push(`tab=${state.tab}`);
  const open = [...openness.open].filter((g) => g > 0).sort((a, b) => a - b);
  // how many steps there are depends on what is open, and what is open at first on the room
  const first = [...app.first.open].filter((g) => g > 0).sort((a, b) => a - b);
  if (open.join() !== first.join() || (state.step !== null && first.length)) parts.push(`open=${open.join(".")}`);
  if (openness.unfolded.size) parts.push(`all=${[...openness.unfolded].join(".")}`);
  const hash = parts.length ? `#${parts.join("&")}` : "";
  if (hash === location.hash) return;
  try {
    history.replaceState(null, "", hash || location.pathname + location.search);
  } catch {
    // a frame without an address of its own: then there is no link to give
  }
}

export function readLink(app: App): void {
  const { state, graph, openness } = app;
  const given = new URLSearchParams(location.hash.slice(1));
  const whole = (key: string, most: number): number | null => {
    const n = Number(given.get(key) ?? NaN);
    return Number.isInteger(n) && n >= 0 && n < most ? n : null;
  };
  const list = (key: string): number[] =>
    (given.get(key) ?? "").split(".").map(Number).filter((g) => Number.isInteger(g) && g > 0 && g < graph.groups.length);
  state.step = whole("step", 2 * graph.size + 2);
  state.selected = whole("node", graph.size);
  const tab = given.get("tab");
  if ((tab === "modules" && graph.data.modules?.length) || (tab === "costs" && graph.data.costs)) state.tab = tab;
  if (given.has("open")) {
    openness.open.clear();
    for (const g of [0, ...list("open")]) openness.open.add(g);
  }
  for (const g of list("all")) openness.unfolded.add(g);
}
