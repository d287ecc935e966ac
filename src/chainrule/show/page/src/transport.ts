// The bar of the steps: back, play, forward, where, how fast, and the keys for it.
import type { App } from "./app";
import { html, setText, svg } from "./dom";

const ICONS = {
  first: "M5 4v12M16 4L8 10l8 6z", back: "M14 4L6 10l8 6z", play: "M6 4l10 6-10 6z", pause: "M6 4v12M13 4v12",
  next: "M6 4l8 6-8 6z", last: "M15 4v12M4 4l8 6-8 6z",
};

export function transport(app: App): { root: HTMLElement; update(): void } {
  const button = (icon: keyof typeof ICONS, label: string, act: () => void): HTMLButtonElement =>
    html("button", { type: "button", "aria-label": label, title: label, click: act }, svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: ICONS[icon] })));
  const play = button("play", "Play", () => app.play());
  const slider = html("input", { type: "range", min: 0, value: 0, "aria-label": "Step", input: () => app.goTo(Number(slider.value)) });
  slider.addEventListener("keydown", (e) => ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(e.key) && e.stopPropagation());
  const where = html("output", { class: "where" });
  const speed = html(
    "select", { "aria-label": "Speed", change: () => (app.state.speed = Number(speed.value)) },
    ...[0.5, 1, 2, 4, 10].map((s) => html("option", { value: s, selected: s === 1 }, `${s} / s`)),
  );
  const root = html(
    "div", { class: "transport", role: "group", "aria-label": "Steps" },
    html("div", { class: "buttons" }, button("first", "To the start", () => app.goTo(0)), button("back", "Step back", () => app.advance(-1)), play,
      button("next", "Step forward", () => app.advance(1)), button("last", "To the end", () => app.goTo(app.steps.length - 1))),
    slider, where, speed,
    html("p", { class: "hint" }, html("kbd", {}, "←"), html("kbd", {}, "→"), " step  ", html("kbd", {}, "Space"), " play  ", html("kbd", {}, "/"), " find  ", html("kbd", {}, "?"), " keys"),
  );
  const update = (): void => {
    const { state, steps } = app;
    slider.max = String(steps.length - 1);
    slider.value = String(state.step ?? steps.length - 1);
    const step = state.step === null ? null : steps[state.step];
    const text = step ? `${step.phase === "seed" ? "backward" : step.phase} · ${state.step} of ${steps.length - 1}` : "everything filled in";
    setText(where, text);
    slider.setAttribute("aria-valuetext", text);
    slider.dataset.phase = step?.phase ?? "";
    slider.style.setProperty("--turn", `${(100 * steps.findIndex((s) => s.phase === "seed")) / Math.max(1, steps.length - 1)}%`);
    play.setAttribute("aria-label", state.playing ? "Pause" : "Play");
    play.title = state.playing ? "Pause" : "Play";
    play.querySelector("path")!.setAttribute("d", state.playing ? ICONS.pause : ICONS.play);
  };
  return { root, update };
}
