// Training: loss, node values and boundary at one step, moved together.
import type { App } from "./app";
import { html, svg } from "./dom";
import { number, show } from "./numbers";

const WIDE = 300, TALL = 44;

export function trainingStrip(app: App): HTMLElement {
  const training = app.graph.data.training!;
  const loss = training.loss.map((l) => number(l));
  const finite = loss.filter((l): l is number => l !== null && Number.isFinite(l));
  const low = Math.min(...finite), high = Math.max(...finite);
  const end = Math.max(1, training.steps.length - 1);
  const x = (k: number): number => 3 + ((WIDE - 6) * k) / end;
  const y = (l: number): number => 4 + (TALL - 8) * (high === low ? 0.5 : (high - l) / (high - low));
  const points = loss.flatMap((l, k) => (l !== null && Number.isFinite(l) ? [`${x(k).toFixed(1)},${y(l).toFixed(1)}`] : []));
  const dot = svg("path", { class: "now" });
  const text = html("output", { for: "training" });
  const image = html("img", { class: "boundary", alt: "decision boundary" });
  const slider = html("input", { type: "range", id: "training", min: 0, max: training.steps.length - 1, value: training.steps.length - 1, "aria-label": "Step of the training" });
  const move = (k: number): void => {
    const l = loss[k];
    dot.setAttribute("d", `M${x(k)} ${l !== null && Number.isFinite(l) ? y(l) : TALL - 4}h0`); // a round cap, however the drawing is stretched
    text.textContent = `training step ${training.steps[k]}: loss ${show(training.loss[k])}`;
    slider.setAttribute("aria-valuetext", text.textContent);
    const picture = training.boundary?.[k];
    image.hidden = !picture?.startsWith("data:image/");
    if (picture && !image.hidden) image.src = picture;
  };
  slider.addEventListener("input", () => {
    const k = Number(slider.value);
    move(k);
    app.showFrame(k);
  });
  slider.addEventListener("keydown", (event) => event.stopPropagation());
  move(training.steps.length - 1);
  return html(
    "section", { class: "training", "aria-label": "Training" }, image,
    html("div", {}, svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, class: "loss", role: "img", "aria-label": "Loss over training", preserveAspectRatio: "none" }, svg("polyline", { points: points.join(" ") }), dot), slider, text),
  );
}
