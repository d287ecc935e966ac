// The search field with its list: a combobox.
import type { App } from "./app";
import { html, replace, shorten } from "./dom";
import { count } from "./numbers";
import { search } from "./search";

export function finder(app: App): { root: HTMLElement; input: HTMLInputElement } {
  const list = html("ul", { id: "found", role: "listbox", "aria-label": "Found", hidden: true });
  const more = html("p", { class: "found-more", role: "status" });
  const input = html("input", {
    type: "search", id: "find", placeholder: "Find: name, operation, 3x4, nan", role: "combobox", "aria-label": "Find a node",
    "aria-expanded": "false", "aria-controls": "found", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  });
  let nodes: number[] = [];
  let at = -1;

  const close = (): void => {
    list.hidden = true;
    more.textContent = "";
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (k: number): void => {
    if (nodes[k] === undefined) return;
    close();
    app.jump(nodes[k]);
  };
  const mark = (k: number): void => {
    at = k;
    [...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === k)));
    if (list.children[k]) {
      input.setAttribute("aria-activedescendant", `found-${k}`);
      list.children[k].scrollIntoView({ block: "nearest" });
    }
  };
  const update = (): void => {
    const found = search(app.graph, input.value);
    nodes = found.nodes;
    if (!input.value.trim()) return close();
    replace(list, ...nodes.map((i, k) => html(
      "li", { id: `found-${k}`, role: "option", "aria-selected": "false", mousedown: (e: Event) => { e.preventDefault(); choose(k); } },
      html("span", {}, shorten(app.graph.path(i) || app.graph.label(i), 40)),
      html("small", {}, [app.graph.operation(i)?.name ?? app.graph.kind(i), app.graph.shape(i).join("×")].filter(Boolean).join(" · ")),
    )));
    list.hidden = nodes.length === 0;
    input.setAttribute("aria-expanded", String(nodes.length > 0));
    more.textContent = found.total === 0 ? "Nothing found" : found.total > nodes.length ? `${count(found.total)} found; the first ${nodes.length} listed` : "";
    mark(nodes.length ? 0 : -1);
  };
  input.addEventListener("input", update);
  input.addEventListener("focus", update);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (nodes.length) mark((at + (event.key === "ArrowDown" ? 1 : -1) + nodes.length) % nodes.length);
    } else if (event.key === "Enter") choose(at);
    else if (event.key === "Escape") {
      input.value = "";
      close();
      input.blur();
    }
    event.stopPropagation();
  });
  return { root: html("div", { class: "find" }, input, list, more), input };
}
