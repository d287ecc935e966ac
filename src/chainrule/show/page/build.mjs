// explorer.js and explorer.css, which the wheel carries, into the folder named, or where they are kept.
import { build } from "esbuild";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = process.argv[2] ?? ".";
const used = new Set(); // the packages that end up in the script

const shared = { bundle: true, minify: true, target: "es2022", legalComments: "none", charset: "utf8", metafile: true };

async function bundle(options) {
  const result = await build({ ...shared, ...options });
  for (const file of Object.keys(result.metafile.inputs)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1];
    if (name) used.add(name);
  }
  return result;
}
const built = async (entry) => (await bundle({ entryPoints: [entry], write: false, format: "iife" })).outputFiles[0].text;

// As strings in the script: the worker, because a page opened from the file system may start one from a Blob only,
// and the styles of the drawing, because every SVG that is saved takes them along.
const texts = { "text:worker": await built("src/worker.ts"), "text:picture.css": await built("src/picture.css") };

const strings = {
  name: "strings",
  setup(api) {
    api.onResolve({ filter: /^text:/ }, ({ path }) => ({ path, namespace: "strings" }));
    api.onLoad({ filter: /.*/, namespace: "strings" }, ({ path }) => ({ contents: texts[path], loader: "text" }));
  },
};

await bundle({
  entryPoints: [{ in: "src/main.ts", out: "explorer" }, { in: "src/style.css", out: "explorer" }],
  outdir: folder,
  format: "iife",
  plugins: [strings],
});

// Their licences go with them.
const licences = [...used].sort().map((name) => {
  const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const file = readdirSync(`node_modules/${name}`).find((f) => /^licen[sc]e/i.test(f));
  return `${name} ${version}, ${license}\n\n${file ? readFileSync(`node_modules/${name}/${file}`, "utf8").trim() : "The package brings no text of its licence."}\n`;
});
const graphviz = "Graphviz, inside @viz-js/viz, Eclipse Public License 2.0: its source is at graphviz.org; Expat, MIT\n";
writeFileSync(`${folder}/explorer.licences.txt`, [graphviz, ...licences].join(`\n${"-".repeat(72)}\n\n`));
