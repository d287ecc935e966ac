// The whole page by keyboard.
import type { App } from "./app";
import { html } from "./dom";

export const KEYS: [string, string][] = [
  ["→  ←", "next step, previous step"], ["Home  End", "first step, last step"], ["Space", "play, pause"],
  ["Esc", "stop stepping, close, show everything"], ["/", "find a node"], ["Tab", "to the controls, the graph, the panel"],
  ["j  k", "next node, previous node"], ["i  u", "to the first input, to the first user"], ["Enter", "look at the node; open or close the group"],
  ["o", "close the group around the node"], ["+  −  0", "larger, smaller, all of it"], ["p", "predict first"], ["t", "light or dark"], ["?", "this list"],
];

export function listen(app: App): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target instanceof Element ? event.target : document.body;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (typing) return;
    const onControl = target.matches("button, summary, input, a") || target.getAttribute("role") === "button";
    const act = actions(app, event.key, onControl, target);
    if (act) {
      event.preventDefault();
      act();
    }
  });
}

function actions(app: App, key: string, onControl: boolean, target: Element): (() => void) | null {
  const card = target.closest<SVGGElement>("[data-key]");
  switch (key) {
    case "ArrowRight": return () => app.advance(1);
    case "ArrowLeft": return () => app.advance(-1);
    case "Home": return () => app.goTo(0);
    case "End": return () => app.goTo(app.steps.length - 1);
    case " ": return onControl && !card ? null : () => app.play();
    case "Enter": return card ? () => app.press(card.dataset.key!) : null;
    case "Escape": return () => app.escape();
    case "/": return () => app.focusFind();
    case "j": return () => app.walk(1);
    case "k": return () => app.walk(-1);
    case "i": return () => app.along("inputs");
    case "u": return () => app.along("users");
    case "o": return () => app.closeAround();
    case "+": case "=": return () => app.picture.zoomBy(1.25);
    case "-": return () => app.picture.zoomBy(0.8);
    case "0": return () => app.picture.fit(true);
    case "p": return () => app.togglePredict();
    case "t": return () => app.theme();
    case "?": return () => app.help();
    default: return null;
  }
}

export function helpDialog(): HTMLDialogElement {
  const dialog = html(
    "dialog", { class: "help", "aria-labelledby": "help-title" }, html("h2", { id: "help-title" }, "Keys"),
    html("dl", {}, ...KEYS.flatMap(([key, what]) => [html("dt", {}, ...key.split("  ").flatMap((k, i) => [i ? " " : null, html("kbd", {}, k)])), html("dd", {}, what)])),
    html("p", {}, "In the graph: click a node to look at it, a closed group to open it in place, the heading of an open one to close it. Drag to move, scroll to zoom."),
    html("form", { method: "dialog" }, html("button", {}, "Close")),
  );
  return dialog;
}
