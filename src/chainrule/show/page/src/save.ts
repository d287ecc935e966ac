// What can be taken away: SVG, PNG, a GIF of the stepping, LaTeX, the page itself.
import { applyPalette, GIFEncoder, quantize } from "gifenc";
import type { App } from "./app";
import { html } from "./dom";
import { derivation } from "./latex";
import pictureStyle from "text:picture.css";

const LARGEST = 4096; // pixels on the longer side
const GIF_WIDTH = 1000;
const GIF_FRAMES = 160;

/** The whole drawing, by itself: styles inside, colours of the present theme resolved. */
export function standalone(app: App): { text: string; width: number; height: number } {
  const { width, height } = app.picture.current!.placed;
  app.picture.settle();
  const margin = 28;
  const copy = app.picture.root.cloneNode(true) as SVGSVGElement;
  app.picture.lookAround();
  const w = Math.ceil(width + 2 * margin), h = Math.ceil(height + 2 * margin);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `${-margin} ${-margin} ${w} ${h}`);
  copy.setAttribute("width", String(w));
  copy.setAttribute("height", String(h));
  copy.querySelector(".viewport")!.removeAttribute("transform");
  for (const e of copy.querySelectorAll("[tabindex]")) e.removeAttribute("tabindex");
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = resolved(`${pictureStyle} .picture { background: var(--paper); }`);
  copy.prepend(style);
  return { text: new XMLSerializer().serializeToString(copy), width: w, height: h };
}

/** Custom properties replaced by the colours they have now. */
function resolved(css: string): string {
  const probe = html("span");
  document.body.append(probe);
  const known = new Map<string, string>();
  const out = css.replace(/var\((--[\w-]+)\)/g, (_, name: string) => {
    if (!known.has(name)) {
      probe.style.color = `var(${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    return known.get(name)!;
  });
  probe.remove();
  return out;
}

async function raster(text: string, width: number, height: number): Promise<HTMLCanvasElement> {
  const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = html("canvas", { width: Math.round(width), height: Math.round(height) });
  canvas.getContext("2d", { willReadFrequently: true })!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

export async function png(app: App): Promise<Blob> {
  const { text, width, height } = standalone(app);
  const scale = Math.min(2, LARGEST / Math.max(width, height));
  const canvas = await raster(text, width * scale, height * scale);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no PNG"))), "image/png"));
}

export async function gif(app: App, progress: (done: number) => void): Promise<Blob> {
  const encoder = GIFEncoder();
  const { steps, state } = app;
  const before = state.step;
  const stride = Math.max(1, Math.ceil(steps.length / GIF_FRAMES));
  for (let k = 0; k < steps.length; k += stride) {
    app.goTo(k);
    const { text, width, height } = standalone(app);
    const scale = Math.min(1, GIF_WIDTH / width);
    const canvas = await raster(text, width * scale, height * scale);
    const pixels = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height).data;
    const palette = quantize(pixels, 64);
    const last = k + stride >= steps.length;
    encoder.writeFrame(applyPalette(pixels, palette), canvas.width, canvas.height, { palette, delay: last ? 3000 : 900, repeat: 0 });
    progress(k / steps.length);
  }
  encoder.finish();
  app.goTo(before);
  return new Blob([encoder.bytes()], { type: "image/gif" });
}

/** The page as it came, without what this script has drawn into it. */
export function page(): string {
  const copy = document.documentElement.cloneNode(true) as HTMLElement;
  const explorer = copy.querySelector("#explorer");
  if (explorer) explorer.textContent = "";
  copy.removeAttribute("data-theme");
  return `<!doctype html>\n${copy.outerHTML}\n`;
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = html("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function saveMenu(app: App): HTMLElement {
  const stem = (): string => app.graph.data.title.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 40) || "graph";
  const text = (content: string, type: string): Blob => new Blob([content], { type: `${type};charset=utf-8` });
  const kinds: [string, string, () => Blob | Promise<Blob>][] = [
    ["Picture (SVG)", "svg", () => text(standalone(app).text, "image/svg+xml")],
    ["Picture (PNG)", "png", () => png(app)],
    ["The steps (animated GIF)", "gif", () => gif(app, (done) => app.announce(`GIF: ${Math.round(done * 100)} %`))],
    ["The derivation (LaTeX)", "tex", () => text(derivation(app.graph, app.view, app.steps), "text/x-tex")],
    ["This page (HTML)", "html", () => text(page(), "text/html")],
  ];
  const menu = html("details", { class: "menu" }, html("summary", {}, "Save"), html("div", {}, ...kinds.map(([label, ending, make]) => html(
    "button", {
      type: "button",
      click: async () => {
        menu.open = false;
        try {
          const blob = await make();
          download(blob, `${stem()}.${ending}`);
          app.announce(`Saved ${stem()}.${ending}`);
        } catch {
          app.announce(`${label}: it could not be made; the drawing may be too large for the browser`);
        }
      },
    }, label,
  ))));
  return menu;
}
