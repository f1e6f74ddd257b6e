// A JSON value as a tree to fold, search and copy from.
import { append, copyButton, el, fill } from "./dom.js";
import { LONGEST_AT_ONCE, rawText } from "./markdown.js";
import { counted, oneLine, visible } from "./text.js";

/** The entries that are shown at once; a button shows more. */
const PORTION = 100;
/** A value of fewer characters is read without a search. */
const SHORT = 150;
/** The results of a search. */
const MOST_FOUND = 50;

/** @typedef {(string | number)[]} Place */

/** @param {Place} place */
function pathOf(place) {
  return place
    .map((key) => (typeof key === "number" ? `[${key}]` : /^[A-Za-z_]\w*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`))
    .join("");
}

/**
 * @param {any} value
 * @returns {[string | number, any][]}
 */
function entriesOf(value) {
  return Array.isArray(value) ? value.map((item, index) => [index, item]) : Object.entries(value);
}

/** @param {any} value */
function isNested(value) {
  return typeof value === "object" && value !== null && entriesOf(value).length > 0;
}

/** @param {any} value */
function leaf(value) {
  if (typeof value === "string") {
    if (value.length > LONGEST_AT_ONCE) return rawText(value);
    return el("span", { class: "string" }, visible(value));
  }
  const text = JSON.stringify(value);
  return el("span", { class: value === null ? "null" : typeof value }, text);
}

/** @param {any} value */
function inShort(value) {
  const count = entriesOf(value).length;
  return Array.isArray(value) ? `[${counted(count, "item")}]` : `{${counted(count, "field")}}`;
}

/**
 * @param {string} prefix
 * @param {Place} place
 * @param {any} value
 * @param {number} open the levels that are open at first
 * @returns {HTMLElement}
 */
function node(prefix, place, value, open) {
  const key = place.length > 0 ? el("span", { class: "key" }, visible(place[place.length - 1])) : null;
  const path = prefix + pathOf(place);
  const copyPath = copyButton(path, `Copy the path ${visible(path)}`, "path");
  if (!isNested(value)) return el("div", { class: "json-leaf" }, key, leaf(value), copyPath);
  const summary = el("summary", {}, key, el("span", { class: "dim" }, inShort(value)));
  const details = /** @type {HTMLDetailsElement} */ (el("details", { class: "json-node" }, summary));
  const inner = el("div", { class: "json-inner" });
  details.append(inner);
  // What is folded has no elements, so that the page of a great value is small.
  const show = () => inner.childElementCount === 0 && more(inner, prefix, place, entriesOf(value), 0, open - 1);
  details.addEventListener("toggle", () => details.open && show());
  if (open > 0) {
    details.open = true;
    show();
  }
  return el("div", { class: "json-box" }, details, copyPath);
}

/**
 * @param {Element} inner
 * @param {string} prefix
 * @param {Place} place
 * @param {[string | number, any][]} entries
 * @param {number} from
 * @param {number} open
 */
function more(inner, prefix, place, entries, from, open) {
  const shown = entries.slice(from, from + PORTION);
  append(inner, shown.map(([key, value]) => node(prefix, [...place, key], value, open)));
  const left = entries.length - from - shown.length;
  if (left === 0) return;
  const button = el("button", { type: "button", class: "quiet" }, `show more (${counted(left, "entry").replace("entrys", "entries")})`);
  button.addEventListener("click", () => {
    button.remove();
    more(inner, prefix, place, entries, from + PORTION, open);
  });
  inner.append(button);
}

/**
 * The places whose key or value holds a text.
 * @param {any} root
 * @param {string} wanted in lower case
 * @returns {{ place: Place, value: any }[]}
 */
export function findInJson(root, wanted) {
  const found = [];
  /** @type {{ place: Place, value: any }[]} */
  const open = [{ place: [], value: root }];
  while (open.length > 0 && found.length < MOST_FOUND) {
    const { place, value } = /** @type {{ place: Place, value: any }} */ (open.pop());
    const key = place.length > 0 ? String(place[place.length - 1]).toLowerCase() : "";
    const text = isNested(value) ? "" : String(typeof value === "string" ? value : JSON.stringify(value)).toLowerCase();
    if (key.includes(wanted) || text.includes(wanted)) found.push({ place, value });
    if (isNested(value)) {
      for (const [inner, item] of entriesOf(value).reverse()) open.push({ place: [...place, inner], value: item });
    }
  }
  return found;
}

/**
 * @param {any} value
 * @param {string} prefix the beginning of the paths that are copied
 * @param {string} name of the value, for screen readers
 */
export function jsonTree(value, prefix, name) {
  const tree = el("div", { class: "json" });
  const all = () => fill(tree, node(prefix, [], value, 2));
  const search = /** @type {HTMLInputElement} */ (el("input", { type: "search", placeholder: "Search", "aria-label": `Search in ${name}` }));
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    if (wanted === "") return all();
    const found = findInJson(value, wanted);
    const lines = found.map(({ place, value }) => {
      const path = prefix + pathOf(place);
      const text = isNested(value) ? inShort(value) : oneLine(typeof value === "string" ? value : JSON.stringify(value), 200);
      return el("div", { class: "json-found" }, el("span", { class: "key" }, visible(path)), el("span", {}, text), copyButton(path, `Copy the path ${visible(path)}`, "path"));
    });
    const most = found.length === MOST_FOUND && el("p", { class: "dim" }, `the first ${MOST_FOUND} places; a longer text finds fewer`);
    fill(tree, lines.length > 0 ? lines : el("p", { class: "dim" }, "Nothing here has this text."), most);
  });
  all();
  const isShort = isNested(value) && JSON.stringify(value).length < SHORT;
  const tools = el("div", { class: "tools" }, !isShort && search, copyButton(() => JSON.stringify(value, null, 2), `Copy JSON of ${name}`, "copy JSON"));
  return el("div", {}, isNested(value) && tools, tree);
}
