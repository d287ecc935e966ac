// The beginning: read the data out of the page, and draw.
import { App } from "./app";
import { Graph, type Data } from "./data";
import { html } from "./dom";
import { listen } from "./keyboard";

function begin(): void {
  const text = document.getElementById("graph")?.textContent;
  const root = html("div", { id: "explorer" }); // the page has its landmarks inside
  const place = document.getElementById("explorer");
  if (place) place.replaceWith(root);
  else document.body.append(root);
  try {
    if (!text) throw new Error("this page has no data");
    const data = JSON.parse(text) as Data;
    if (data.chainrule !== 2) throw new Error(`this page reads data of version 2, not ${String(data.chainrule)}`);
    const app = new App(new Graph(data), root);
    listen(app);
    void app.start().then(() => root.setAttribute("data-ready", ""));
  } catch (error) {
    root.replaceChildren(html("p", { role: "alert" }, `The graph cannot be shown: ${(error as Error).message}`));
    throw error;
  }
}

begin();
