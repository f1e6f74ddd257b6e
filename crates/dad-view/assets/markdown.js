// Markdown as elements: headings, lists, quotations, tables, code and emphasis. What it does not know stays text.
import { append, copyButton, el } from "./dom.js";
import { size, visible } from "./text.js";

/** The longest text that is read as Markdown; a longer one is shown raw. */
export const LONGEST_MARKDOWN = 200_000;
/** The beginning of a long text that is shown at first. */
export const LONGEST_AT_ONCE = 100_000;

const DEEPEST = 8;

const INLINE = /(`+)(.+?)\1(?!`)|\*\*([^*\n]+)\*\*|__([^_\n]+)__|(?<![\w*])\*([^*\s][^*\n]*)\*(?!\w)|(?<!\w)_([^_\s][^_\n]*)_(?!\w)|\[([^\]\n]{1,400})\]\(([^()\s]{1,2000})\)|(https?:\/\/[^\s<>()"'`]{1,2000})/gu;

/**
 * The parts of a line. A link is an address of the web, shown as such, and never opened by the page itself.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > from) parts.push(visible(text.slice(from, found.index)));
    from = found.index + found[0].length;
    const [whole, , code, bold, bold2, italic, italic2, label, target, address] = found;
    if (code !== undefined) parts.push(el("code", {}, visible(code)));
    else if (bold ?? bold2) parts.push(el("strong", {}, visible(bold ?? bold2)));
    else if (italic ?? italic2) parts.push(el("em", {}, visible(italic ?? italic2)));
    else parts.push(link(label ?? address, target ?? address) ?? visible(whole));
  }
  if (from < text.length) parts.push(visible(text.slice(from)));
  return parts;
}

/**
 * @param {string} label
 * @param {string} target
 */
function link(label, target) {
  if (!/^https?:\/\//u.test(target)) return null;
  const address = visible(target);
  return el("a", { href: target, rel: "noopener noreferrer", target: "_blank", title: address }, visible(label));
}

/**
 * @param {string} text
 * @param {string} language
 */
function codeBlock(text, language) {
  const code = el("pre", { tabindex: 0, role: "region", "aria-label": "Code" }, el("code", {}, visible(text)));
  return el("div", { class: "code" }, el("div", { class: "code-head" }, visible(language), copyButton(text, "Copy the code")), code);
}

/** @param {string} line */
function cells(line) {
  return line.trim().replace(/^\||\|$/gu, "").split("|").map((cell) => cell.trim());
}

/** @param {string[]} lines */
function markdownTable(lines) {
  const head = el("tr", {}, ...cells(lines[0]).map((cell) => el("th", { scope: "col" }, inline(cell))));
  const rows = lines.slice(2).map((line) => el("tr", {}, ...cells(line).map((cell) => el("td", {}, inline(cell)))));
  const body = el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
  return el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Table" }, body);
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/u;
const BREAKS = /^(#{1,6}\s|```|~~~|>|\s*([-*+]|\d{1,9}[.)])\s)/u;

/**
 * A list, from the line `at` on; with the number of its lines.
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {[Node, number]}
 */
function list(lines, at, depth) {
  const first = /** @type {RegExpMatchArray} */ (lines[at].match(ITEM));
  const indent = first[1].length;
  const made = el(/\d/u.test(first[2]) ? "ol" : "ul", /\d/u.test(first[2]) ? { start: Number.parseInt(first[2], 10) } : {});
  let end = at;
  while (end < lines.length) {
    const found = lines[end].match(ITEM);
    if (!found || found[1].length !== indent) break;
    const inner = [];
    end += 1;
    while (end < lines.length && (/^\s*$/u.test(lines[end]) ? ITEM.test(lines[end + 1] ?? "") || /^\s/u.test(lines[end + 1] ?? "") : !(lines[end].match(ITEM) && /** @type {RegExpMatchArray} */ (lines[end].match(ITEM))[1].length <= indent) && (/^\s/u.test(lines[end])))) {
      inner.push(lines[end].replace(new RegExp(`^\\s{0,${indent + found[2].length + 1}}`, "u"), ""));
      end += 1;
    }
    made.append(el("li", {}, inline(found[3]), inner.some((line) => line.trim() !== "") ? blocks(inner, depth + 1) : null));
  }
  return [made, end - at];
}

/**
 * @param {string[]} lines
 * @param {number} depth
 * @returns {DocumentFragment}
 */
function blocks(lines, depth) {
  const made = document.createDocumentFragment();
  if (depth > DEEPEST) {
    made.append(visible(lines.join("\n")));
    return made;
  }
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const heading = line.match(/^(#{1,6})\s+(.*?)\s*#*$/u);
    const fence = line.match(/^\s{0,3}(```+|~~~+)\s*(.*)$/u);
    if (line.trim() === "") at += 1;
    else if (fence) {
      let end = at + 1;
      while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end += 1;
      made.append(codeBlock(lines.slice(at + 1, end).join("\n"), fence[2].trim()));
      at = end + 1;
    } else if (heading) {
      // The page has its own headings above those of a text.
      made.append(el("p", { class: `heading h${heading[1].length}` }, inline(heading[2])));
      at += 1;
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/u.test(line)) {
      made.append(el("hr"));
      at += 1;
    } else if (line.startsWith(">")) {
      let end = at;
      while (end < lines.length && lines[end].startsWith(">")) end += 1;
      const inner = lines.slice(at, end).map((quoted) => quoted.replace(/^> ?/u, ""));
      made.append(el("blockquote", {}, blocks(inner, depth + 1)));
      at = end;
    } else if (ITEM.test(line)) {
      const [made_list, length] = list(lines, at, depth);
      made.append(made_list);
      at += length;
    } else if (line.includes("|") && /^[\s|:-]*-[\s|:-]*$/u.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("|")) {
      let end = at;
      while (end < lines.length && lines[end].includes("|")) end += 1;
      made.append(markdownTable(lines.slice(at, end)));
      at = end;
    } else {
      let end = at + 1;
      while (end < lines.length && lines[end].trim() !== "" && !BREAKS.test(lines[end])) end += 1;
      const paragraph = el("p");
      lines.slice(at, end).forEach((text, index) => append(paragraph, [index > 0 && "\n", inline(text)]));
      made.append(paragraph);
      at = end;
    }
  }
  return made;
}

/**
 * A text as it was written, its beginning at first.
 * @param {string} text
 */
export function rawText(text) {
  const block = el("pre", { class: "raw", tabindex: 0, role: "region", "aria-label": "Text" }, visible(text.slice(0, LONGEST_AT_ONCE)));
  if (text.length <= LONGEST_AT_ONCE) return block;
  const button = el("button", { type: "button", class: "quiet" }, `show all of it (${size(text.length)})`);
  button.addEventListener("click", () => {
    button.remove();
    block.append(visible(text.slice(LONGEST_AT_ONCE)));
  });
  return el("div", {}, block, button);
}

/**
 * A text with a switch between its Markdown and itself.
 * @param {string} text
 */
export function prose(text) {
  if (text.length > LONGEST_MARKDOWN) return rawText(text);
  const rendered = () => el("div", { class: "prose" }, blocks(visible(text).split("\n"), 0));
  const box = el("div", { class: "text-box" }, rendered());
  const button = el("button", { type: "button", class: "quiet raw-switch", "aria-pressed": "false", title: "Show the text as it was written" }, "raw");
  button.addEventListener("click", () => {
    const isRaw = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isRaw));
    /** @type {Element} */ (box.firstElementChild).replaceWith(isRaw ? rendered() : rawText(text));
  });
  box.append(button);
  return box;
}
