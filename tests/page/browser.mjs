// Pages as Python wrote them, opened from the file system in Debian's Chromium, with everything watched that must not
// happen.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = fileURLToPath(new URL("../../src/chainrule/show/page/", import.meta.url));
const require = createRequire(folder);
const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

const pages = fileURLToPath(new URL("../../build/test-page/", import.meta.url));

/** A page of pages.py: its text, the data in it, and what the engine says. */
export function load(name) {
  const html = readFileSync(join(pages, `${name}.html`), "utf8");
  const json = /<script type="application\/json" id="graph">(.*?)<\/script>/s.exec(html)[1];
  const expected = JSON.parse(readFileSync(join(pages, `${name}.json`), "utf8"));
  const data = JSON.parse(json);
  const ids = [...data.nodes.kind].flatMap((kind, i) => (kind === "c" ? [] : [i])); // Values in the engine's order
  return { html, json, data, expected, ids, id: (variable) => ids[expected.names[variable]] };
}

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.folder = mkdtempSync(join(tmpdir(), "explorer-"));
    browser.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    return browser;
  }

  /** A page that is drawn; `page.faults` gathers errors, dialogs and requests. */
  async open(text, { hash: address = "", ready = "[data-ready]", ...options } = {}) {
    const file = join(this.folder, `${Math.random().toString(36).slice(2)}.html`);
    writeFileSync(file, text);
    const context = await this.chromium.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
    const opened = await context.newPage();
    opened.faults = [];
    opened.on("console", (message) => message.type() === "error" && opened.faults.push(message.text()));
    opened.on("pageerror", (error) => opened.faults.push(String(error)));
    opened.on("dialog", (dialog) => {
      opened.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    opened.on("request", (request) => {
      if (!/^(data:|blob:)/.test(request.url()) && request.url() !== opened.address) opened.faults.push(`request: ${request.url()}`);
    });
    opened.address = pathToFileURL(file).href;
    opened.began = Date.now();
    await opened.goto(opened.address + address);
    await opened.waitForSelector(ready, { timeout: 30_000 });
    opened.took = Date.now() - opened.began;
    return opened;
  }

  async stop() {
    await this.chromium.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** A number as the page writes it. */
export const parse = (text) => Number(text.replace(/−/g, "-").replace("∞", "Infinity").replace("nan", "NaN"));

/** What every node's card says, by id. */
export const numbers = (opened) => opened.evaluate(() => Object.fromEntries(
  [...document.querySelectorAll('.card[data-key^="n"]')].flatMap((card) => {
    const text = (which) => card.querySelector(`text.${which}`)?.textContent;
    return text("data") === undefined ? [] : [[card.dataset.key.slice(1), { data: text("data"), gradient: text("gradient") }]];
  })));

export const press = async (opened, key, times) => {
  for (let k = 0; k < times; k++) await opened.keyboard.press(key);
};
export const where = (opened) => opened.textContent(".transport .where");
