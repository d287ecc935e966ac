// Jacobian sizes against what the sweep stored.
import type { Data } from "./data";
import { html } from "./dom";
import { number, show } from "./numbers";

export function costsTable(costs: NonNullable<Data["costs"]>): HTMLElement {
  return html(
    "div", { class: "costs" }, html("h2", {}, "Jacobians"),
    html("p", {}, "The sizes of the Jacobians that the chain rule multiplies, and what the backward sweep stored instead."),
    html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of Jacobians" }, html("table", {},
      html("thead", {}, html("tr", {}, ...costs.columns.map((c) => html("th", { scope: "col" }, c)))),
      html("tbody", {}, ...costs.rows.map((row) => html("tr", {}, ...row.map((cell, k) =>
        k === 0 ? html("th", { scope: "row" }, show(cell)) : html("td", { class: number(cell) === null ? null : "number" }, typeof cell === "number" ? cell.toLocaleString("en") : show(cell)))))))),
    html("p", { class: "summary" }, costs.summary),
  );
}
