// Predict, then reveal.
import type { App } from "./app";
import { html } from "./dom";
import { number, show } from "./numbers";
import { shares, type Step } from "./steps";

export function question(app: App, step: Step): HTMLElement {
  const { graph, view } = app;
  const node = view.items[step.item].node;
  const share = step.phase === "backward" ? shares(graph, node).find((s) => s.after) : undefined;
  const name = graph.label(share ? share.operand : node);
  const answer = share ? graph.scalar(share.operand) ? graph.accumulated(share.operand, node, share.position) : null : number(graph.value(node));
  const input = html("input", { type: "text", inputmode: "decimal", id: "guess", autocomplete: "off", size: 10 });
  const verdict = html("p", { class: "verdict", role: "status" });
  const check = (): void => {
    const guess = Number(input.value.replace("−", "-").replace(",", "."));
    if (answer === null || input.value.trim() === "" || Number.isNaN(guess)) {
      verdict.textContent = "A number, please.";
    } else if (close(guess, answer)) {
      app.announce(`Right: ${show(answer)}`);
      app.reveal();
    } else verdict.textContent = "Not yet. Put the numbers into the rule, or reveal.";
  };
  return html(
    "form", { class: "guess", submit: (event: Event) => { event.preventDefault(); check(); } },
    html("label", { for: "guess" }, share ? `The gradient of ${name} after this step?` : `What is ${name}?`),
    html("div", {}, answer === null ? null : input, answer === null ? null : html("button", { type: "submit" }, "Check"),
      html("button", { type: "button", class: "quiet", click: () => app.reveal() }, "Reveal")),
    verdict,
  );
}

/** Right to two significant digits is right. */
const close = (guess: number, answer: number): boolean =>
  Object.is(guess, answer) || Math.abs(guess - answer) <= 0.01 * Math.abs(answer) + 1e-9;
