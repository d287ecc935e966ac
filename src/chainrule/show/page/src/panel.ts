// The side panel: the step, the selected node, the open repeats; a word of welcome where there is none of them.
import type { App } from "./app";
import { html, replace, type Child } from "./dom";
import { stepCard } from "./explain";
import { count, plural } from "./numbers";
import { selectionCard } from "./selection";

export function panel(app: App, side: HTMLElement): void {
  const cards = [stepCard(app), selectionCard(app)].filter((c) => c !== null);
  const focused = side.contains(document.activeElement) ? [...side.querySelectorAll("button, input")].indexOf(document.activeElement!) : -1;
  replace(side, ...(cards.length ? cards : [welcome(app)]), repeats(app));
  if (focused >= 0) side.querySelectorAll<HTMLElement>("button, input")[focused]?.focus();
}

function welcome(app: App): HTMLElement {
  const { graph } = app;
  const output = graph.data.outputs[0];
  const text: Child[] = [
    html("p", {}, "Every card is one value: its name, how it was computed, its data, and its gradient, which says how the output changes with it."),
    html("p", {}, "Edges carry the local derivative. A gradient is the product along a path, added up over all paths."),
  ];
  return html(
    "section", { class: "welcome" }, html("h2", {}, output === undefined ? "An empty graph" : "Why is this gradient what it is?"), ...text,
    html("p", {}, html("button", { type: "button", class: "primary", click: () => app.advance(1) }, "Step through it"), " or press ", html("kbd", {}, "→"), "."),
    html("p", {}, "Click a value to see its paths to the output."),
  );
}

function repeats(app: App): HTMLElement | null {
  const { groups, view, openness } = app;
  const shown = new Set<number>();
  for (const i of view.items) if (i.group !== null && groups.alike[groups.first[i.group]].length > 1) shown.add(groups.first[i.group]);
  for (const c of view.clusters) if (groups.alike[groups.first[c.group]].length > 1) shown.add(groups.first[c.group]);
  if (!shown.size) return null;
  return html(
    "section", { class: "repeats", "aria-labelledby": "repeats-title" }, html("h2", { id: "repeats-title" }, "What repeats"),
    html("ul", {}, ...[...shown].slice(0, 12).map((g) => {
      const n = groups.alike[g].length;
      const all = openness.unfolded.has(g);
      return html("li", {}, html("span", {}, html("b", {}, groups.fullTitle(g)), all ? ` and ${plural(n - 1, "other")} like it` : `: one of ${count(n)} is drawn`),
        html("button", { type: "button", class: "small", click: () => app.unfold(g) }, all ? "One" : `All ${count(n)}`));
    })),
  );
}
