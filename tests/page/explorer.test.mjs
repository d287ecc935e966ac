import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { axe, Browser, fixture, numbers, page, parse, press, where } from "./browser.mjs";

let browser;
const opened = [];
before(async () => { browser = await Browser.start(); });
after(() => browser.stop());

/** Open a page, of which at the end of its test nothing forbidden must have been seen. */
async function open(data, options) {
  const one = await browser.open(data, options);
  opened.push(one);
  return one;
}
afterEach(async () => {
  for (const one of opened.splice(0)) {
    await one.context().close();
    assert.deepEqual(one.faults, []);
  }
});

const near = (shown, exact, what) =>
  assert.ok(Math.abs(shown - exact) <= 6e-5 * Math.abs(exact) + 1e-12, `${what}: the page says ${shown}, the engine ${exact}`);

function agree(shown, { nodes }, which) {
  for (const [id, text] of Object.entries(shown)) near(parse(text[which]), nodes[which][id], `${which} of node ${id}`);
}

describe("numbers", () => {
  for (const name of ["readme", "diamond", "paths"]) {
    const data = fixture(name);
    const results = [...data.nodes.kind].filter((k) => k === "r").length;

    test(`${name}: untouched, every node has its data and gradient`, async () => {
      const one = await open(data);
      const shown = await numbers(one);
      const scalars = [...data.nodes.kind].filter((k) => k !== "c").length;
      assert.equal(Object.keys(shown).length, scalars);
      agree(shown, data, "data");
      agree(shown, data, "gradient");
    });

    test(`${name}: stepped through, the page's own sweep comes to the engine's gradients`, async () => {
      const one = await open(data);
      await press(one, "ArrowRight", results);
      agree(await numbers(one), data, "data");
      assert.match(await where(one), /forward/);
      await press(one, "ArrowRight", results + 1);
      agree(await numbers(one), data, "gradient");
      assert.match(await where(one), new RegExp(`backward · ${2 * results + 1} of`));
    });
  }

  test("a diamond: the gradient of the shared node grows in two steps", async () => {
    const data = fixture("diamond"); // y = x * 1, b = 3 * y, s = b + y
    const one = await open(data);
    const y = data.nodes.name.indexOf("y");
    await press(one, "ArrowRight", 5);
    assert.equal((await numbers(one))[y].gradient, "1");
    const steps = await one.locator(".accumulate").allTextContents();
    assert.deepEqual(steps, ["0 + 1 = 1", "0 + 1 = 1"]);
    await press(one, "ArrowRight", 1);
    assert.equal((await numbers(one))[y].gradient, "4");
    assert.deepEqual(await one.locator(".accumulate").allTextContents(), ["1 + 3 = 4"]);
    await press(one, "ArrowLeft", 1);
    assert.equal((await numbers(one))[y].gradient, "1");
  });

  test("paths: each product, and their sum is the gradient; a path lights up", async () => {
    const data = fixture("paths");
    const one = await open(data);
    const w1 = data.nodes.name.indexOf("W1");
    await one.click(`[data-key="n${w1}"]`);
    const products = await one.locator(".path b").allTextContents();
    assert.equal(products.length, 2);
    near(products.map(parse).reduce((a, b) => a + b), data.nodes.gradient[w1], "sum of the paths");
    near(parse(await one.textContent(".path-sum")), data.nodes.gradient[w1], "the sum shown");
    assert.match(await one.textContent(".sum"), /= gradient/);
    await one.click(".path >> nth=0");
    assert.equal(await one.locator(".card.lit").count(), 6);
    assert.equal(await one.locator(".edge.lit").count(), 5);
  });

  test("paths are counted without being walked", async () => {
    const one = await open(doublings(200), { hash: "#node=0" });
    const title = await one.textContent(".paths h3");
    assert.equal(title.split(" ")[0].replaceAll(",", ""), String(2n ** 200n));
  });
});

/** x + x, of that again, … : 2ⁿ paths. */
function doublings(n) {
  const of = (first, rest) => [first, ...Array(n).fill(rest)];
  return {
    chainrule: 2, title: "doublings", operations: [{ name: "add", symbol: "+" }], formulas: ["1"], expressions: ["$0 + $1"],
    shapes: [[]], dtypes: ["float64"], outputs: [n], left_out: 0,
    nodes: {
      kind: `l${"r".repeat(n)}`, name: of("x", ""), op: of(-1, 0), inputs: [[], ...Array.from({ length: n }, (_, i) => [i, i])],
      data: Array.from({ length: n + 1 }, (_, i) => 2 ** i), gradient: Array.from({ length: n + 1 }, (_, i) => 2 ** (n - i)),
      shape: of(0, 0), dtype: of(0, 0), local: of([], [1, 1]), formula: of([], [0, 0]), expression: of(-1, 0),
      group: of(0, 0), line: of(-1, -1),
    },
  };
}

describe("keyboard alone", () => {
  test("step, play, find, select, walk, leave", async () => {
    const data = fixture("readme");
    const one = await open(data);
    await one.keyboard.press("End");
    assert.match(await where(one), /backward/);
    await one.keyboard.press("Home");
    assert.match(await where(one), /start/);
    await one.keyboard.press("Space");
    await one.waitForFunction(() => /forward · 2/.test(document.querySelector(".transport .where").textContent));
    await one.keyboard.press("Escape");
    assert.equal(await where(one), "everything filled in");
    await one.keyboard.press("/");
    await one.keyboard.type("relu");
    assert.equal(await one.locator("#found li").count(), 2);
    await one.keyboard.press("ArrowDown");
    await one.keyboard.press("Enter");
    assert.equal(await one.textContent(".selection dd >> nth=2"), "relu");
    await one.keyboard.press("Escape");
    const focused = () => one.evaluate(() => document.activeElement.dataset.key);
    await one.locator('.card[tabindex="0"]').focus();
    const first = await focused();
    await one.keyboard.press("u");
    assert.notEqual(await focused(), first);
    await one.keyboard.press("Enter");
    assert.equal(await one.locator(".selection").count(), 1);
    await one.keyboard.press("?");
    assert.ok(await one.locator("dialog.help").isVisible());
    await one.keyboard.press("Escape");
  });

  test("everything that can be pressed can be reached with Tab", async () => {
    const one = await open(fixture("mlp"));
    const reached = new Set();
    for (let k = 0; k < 60; k++) {
      await one.keyboard.press("Tab");
      reached.add(await one.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent));
    }
    for (const name of ["Find a node", "Step forward", "Step back", "Play", "Graph", "Modules", "Save", "Predict", "Speed", "Step of the training"]) {
      assert.ok(reached.has(name), `${name} is not reached`);
    }
    assert.ok([...reached].some((r) => /open it|data/.test(r)), "no card is reached");
  });
});

describe("groups", () => {
  test("closed groups open in place and close again; what is left out is counted", async () => {
    const one = await open(fixture("mlp"));
    const status = () => one.textContent(".status");
    const before = await status();
    assert.match(before, /of 112 nodes drawn.*closed group/);
    const key = await one.getAttribute(".card.group", "data-key");
    await one.locator(`[data-key="${key}"]`).focus();
    await one.keyboard.press("Enter");
    await one.waitForSelector(`.cluster[data-group="${key.slice(1)}"]`);
    assert.notEqual(await status(), before);
    await one.locator(`.cluster-head[data-key="h${key.slice(1)}"]`).dispatchEvent("click");
    await one.waitForSelector(`[data-key="${key}"]`);
    assert.equal(await status(), before);
  });

  test("jumping to a hidden node opens what hides it", async () => {
    const one = await open(fixture("mlp"));
    await one.keyboard.press("/");
    await one.keyboard.type("layers[1].neurons[2].b");
    await one.keyboard.press("Enter");
    await one.waitForSelector(".card.chosen");
    assert.match(await one.textContent(".selection"), /model\.layers\[1\]\.neurons\[2\]\.b/);
  });
});

describe("arrays, modules, costs, training", () => {
  test("arrays have heatmaps and histograms", async () => {
    const one = await open(fixture("arrays"));
    assert.ok(await one.locator(".card image").count() > 10);
    await one.click(".card image >> nth=0");
    assert.equal(await one.locator(".portrait").count(), 2);
  });

  test("the table of Jacobians", async () => {
    const one = await open(fixture("arrays"));
    await one.click("[data-tab=costs]");
    assert.match(await one.textContent(".costs"), /3710 numbers/);
  });

  test("modules: four signals, zoom in and out", async () => {
    const one = await open(fixture("mlp"));
    await one.click("[data-tab=modules]");
    await one.click(".module");
    await one.waitForFunction(() => document.querySelectorAll(".module").length === 3);
    assert.equal(await one.locator(".module >> nth=0 >> .signal").count(), 4);
    assert.equal(await one.locator("path.message.forward").count(), 2);
    assert.equal(await one.locator("path.message.backward").count(), 2);
    await one.click("text=Zoom out");
    await one.waitForFunction(() => document.querySelectorAll(".module").length === 1);
  });

  test("training: the numbers follow the slider", async () => {
    const data = fixture("mlp");
    const one = await open(data, { hash: "#open=18" });
    const image = await one.getAttribute(".boundary", "src");
    const slider = one.locator("#training");
    await slider.focus();
    await slider.press("Home");
    assert.match(await one.textContent(".training output"), /training step 0: loss/);
    assert.notEqual(await one.getAttribute(".boundary", "src"), image);
  });
});

describe("teaching", () => {
  test("predict, then reveal", async () => {
    const data = fixture("diamond");
    const one = await open(data);
    await one.keyboard.press("p");
    const y = data.nodes.name.indexOf("y");
    assert.equal((await numbers(one))[y].data, "?");
    await one.fill("#guess", "4");
    await one.keyboard.press("Enter");
    assert.match(await one.textContent(".verdict"), /Not yet/);
    await one.fill("#guess", "3");
    await one.keyboard.press("Enter");
    assert.equal((await numbers(one))[y].data, "3");
  });

  test("a link leads to a step", async () => {
    const data = fixture("readme");
    const one = await open(data);
    await press(one, "ArrowRight", 20);
    const text = await where(one);
    const other = await open(data, { hash: await one.evaluate(() => location.hash) });
    assert.equal(await where(other), text);
  });
});

describe("to take away", () => {
  for (const [label, begins] of [
    ["SVG", "<svg"], ["PNG", "\x89PNG"], ["GIF", "GIF89a"], ["LaTeX", "\\begin{align*}"], ["HTML", "<!doctype html>"],
  ]) {
    test(label, async () => {
      const one = await open(fixture("diamond"));
      await one.click(".menu summary");
      const [download] = await Promise.all([one.waitForEvent("download"), one.click(`.menu button:has-text("${label}")`)]);
      const bytes = readFileSync(await download.path());
      assert.equal(bytes.subarray(0, begins.length).toString("latin1"), begins);
      if (label === "HTML") {
        const again = await open(bytes.toString("utf8"));
        agree(await numbers(again), fixture("diamond"), "gradient");
      }
      if (label === "SVG") assert.ok(!bytes.toString("utf8").includes("var(--"));
    });
  }
});

describe("access", () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, act] of [
      ["readme", async () => {}],
      ["readme", async (one) => press(one, "ArrowRight", 30)],
      ["paths", async (one) => one.click(".card >> nth=1")],
      ["arrays", async (one) => one.click(".card image >> nth=0")],
      ["arrays", async (one) => one.click("[data-tab=costs]")],
      ["mlp", async (one) => one.click('button:has-text("Network")')],
      ["mlp", async (one) => { await one.click("[data-tab=modules]"); await one.waitForSelector(".module"); }],
      ["diamond", async (one) => one.keyboard.press("p")],
      ["diamond", async (one) => one.keyboard.press("?")],
    ]) {
      test(`${name}, ${colorScheme}: ${act.toString().slice(0, 70)}`, async () => {
        const one = await open(fixture(name), { colorScheme });
        await act(one);
        const { violations } = await one.evaluate(`${axe}; axe.run(document)`);
        assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`), []);
      });
    }
  }

  test("the theme can be switched", async () => {
    const one = await open(fixture("diamond"));
    const paper = () => one.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await paper();
    await one.keyboard.press("t");
    assert.notEqual(await paper(), before);
  });
});

describe("hostile names", () => {
  const script = "</script><img src=x onerror=alert(1)>";
  for (const [what, name] of [
    ["markup", script], ["a comment", "<!--<script>"], ["line separators", "a\u2028b\u2029c"], ["__proto__", "__proto__"],
    ["constructor", "constructor"], ["1 MB", "x".repeat(1 << 20)], ["LaTeX", "\\input{/etc/passwd}$%"], ["direction", "a\u202eb"],
  ]) {
    test(what, async () => {
      const data = fixture("readme");
      data.title = name;
      data.nodes.name = data.nodes.name.map((n) => (n ? name : n));
      data.nodes.path = { 0: name, __proto__: null };
      data.groups = [data.groups[0]];
      data.files = [{ name, text: Object.fromEntries(Object.keys(data.files[0].text).map((k) => [k, name])) }];
      data.operations = data.operations.map((o) => ({ ...o, symbol: name }));
      const one = await open(data);
      await press(one, "ArrowRight", 30);
      await one.locator(".card >> nth=0").dispatchEvent("click");
      assert.equal(await one.locator(".selection").count(), 1);
      await one.keyboard.press("/");
      await one.keyboard.type("x");
      assert.equal(await one.locator("#explorer img[src=x]").count(), 0);
      assert.ok((await one.evaluate(() => document.body.scrollWidth)) <= 1280);
    });
  }
});

describe("speed", () => {
  test("2,000 nodes are on screen within 2 s, and a step takes less than 50 ms", async () => {
    const one = await open(ladder(2000));
    assert.ok(one.took < 2000, `${one.took} ms`);
    const longest = await one.evaluate(() => {
      let most = 0;
      for (let k = 0; k < 20; k++) {
        const began = performance.now();
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
        most = Math.max(most, performance.now() - began);
      }
      return most;
    });
    assert.ok(longest < 50, `${longest} ms`);
  });

  test("a graph too large to draw shows a neighbourhood, and says what is left out", async () => {
    const one = await open(ladder(20_000));
    assert.match(await one.textContent(".status"), /left out/);
    assert.ok(await one.locator(".card").count() <= 150);
  });
});

/** Many scalars without groups: each the sum of two before it. */
function ladder(n) {
  const data = doublings(n - 1);
  data.nodes.inputs = data.nodes.inputs.map((_, i) => (i === 0 ? [] : [i - 1, Math.max(0, i - 7)]));
  data.nodes.data = data.nodes.data.map((_, i) => i);
  data.nodes.gradient = data.nodes.data.map(() => 1);
  return data;
}

test("an empty graph, and data of another version", async () => {
  const data = doublings(0);
  for (const key of Object.keys(data.nodes)) data.nodes[key] = key === "kind" ? "" : [];
  data.outputs = [];
  await open(data);
  assert.match(page({ ...data, chainrule: 2 }), /sha256-/);
});
