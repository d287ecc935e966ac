// explorer.js and explorer.css, which the wheel carries.
import { build } from "esbuild";

const shared = { bundle: true, minify: true, target: "es2022", legalComments: "none", charset: "utf8" };
const built = async (entry) =>
  (await build({ ...shared, entryPoints: [entry], write: false, format: "iife" })).outputFiles[0].text;

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

await build({
  ...shared,
  entryPoints: [{ in: "src/main.ts", out: "explorer" }, { in: "src/style.css", out: "explorer" }],
  outdir: ".",
  format: "iife",
  plugins: [strings],
});
