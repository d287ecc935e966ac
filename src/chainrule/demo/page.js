"use strict";
// Each film is one sheet of frames behind a window; a frame is shown by moving the sheet.
const PLAY = "M3 2v12l11-6z";
const PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";
const FRAME = 140; // milliseconds
const REST = 14; // frames for which the last one stays

for (const film of document.querySelectorAll(".film")) {
  const count = Number(film.dataset.count);
  const columns = Number(film.dataset.columns);
  const rows = Number(film.dataset.rows);
  const sheet = film.querySelector("img");
  const slider = film.querySelector("input");
  const button = film.querySelector("button");
  const icon = button.querySelector("path");
  let at = count - 1;
  let rest = 0;
  let timer = 0;

  const show = (frame) => {
    at = frame;
    slider.value = String(frame);
    const x = (-100 * (frame % columns)) / columns;
    const y = (-100 * Math.floor(frame / columns)) / rows;
    sheet.style.transform = `translate(${x}%, ${y}%)`;
  };
  const step = () => {
    if (at < count - 1) {
      rest = 0;
      show(at + 1);
    } else if (++rest > REST) {
      rest = 0;
      show(0);
    }
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    icon.setAttribute("d", PLAY);
  };
  const play = () => {
    if (timer === 0) {
      timer = setInterval(step, FRAME);
      rest = REST; // at the end: begin again at once
      icon.setAttribute("d", PAUSE);
    }
  };

  film.querySelector(".controls").hidden = false;
  button.addEventListener("click", () => (timer === 0 ? play() : stop()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    play();
  }
}
