// Elements. Whatever comes from the data passes through text nodes and attributes, never through markup.

export type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, unknown>;

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) continue;
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag) as SVGElementTagNameMap[K], attributes, children);
}

export function mathml(tag: string, attributes: Attributes = {}, ...children: Child[]): Element {
  return fill(document.createElementNS(MATHML, tag), attributes, children);
}

export function replace(element: Element, ...children: Child[]): void {
  element.textContent = "";
  append(element, children);
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A name as long as the room allows; the whole of it stands in the panel. */
export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A node's name in little room: of a Python path the end tells more than the beginning. */
export function brief(name: string, most: number): string {
  return name.length > most && /^[\w.[\]]+$/.test(name.slice(0, 300)) && name.length < 300 ? `…${name.slice(1 - most)}` : shorten(name, most);
}

const reduced = window.matchMedia("(prefers-reduced-motion: reduce)");
export const calm = (): boolean => reduced.matches;
