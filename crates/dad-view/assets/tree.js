// The tree of a run: components to fold, steps to open.
import { announce, el } from "./dom.js";
import { RowList } from "./list.js";
import { SIGNS, isLoop, isReused, isStep, worst } from "./run.js";
import { counted, duration, oneLine, visible } from "./text.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").RunNode} RunNode */

const TREE_ROW = 28;
/** The cells of a loop within its row. */
const CELLS_IN_ROW = 20;

/**
 * The sign of a status.
 * @param {string} status
 * @param {boolean} [reused]
 */
export function sign(status, reused = false) {
  const name = reused && status === "completed" ? "reused" : status;
  return el("span", { class: `sign ${SIGNS[name] ? name : "pending"}`, title: name, "aria-hidden": "true" }, SIGNS[name] ?? "·");
}

/**
 * Some nodes in at most so many parts.
 * @param {RunNode[]} nodes
 * @param {number} most
 * @returns {RunNode[][]}
 */
export function inParts(nodes, most) {
  const length = Math.max(1, Math.ceil(nodes.length / most));
  const parts = [];
  for (let from = 0; from < nodes.length; from += length) parts.push(nodes.slice(from, from + length));
  return parts;
}

/** @param {RunNode} node */
function summary(node) {
  if (isLoop(node)) return counted(node.children.length, "iteration") + (node.failed > 0 ? `, ${node.failed} failed` : "");
  if (!isStep(node)) return "";
  if (node.status === "waiting") return `waits for ${node.entry?.asks_for ?? "an answer"}`;
  const text = node.status === "failed" ? (node.entry?.error?.message ?? node.entry?.summary) : node.entry?.summary;
  return text ? oneLine(text, 120) : "";
}

export class Tree {
  /**
   * @param {Run} run
   * @param {(node: RunNode) => void} onOpen
   */
  constructor(run, onOpen) {
    this.run = run;
    this.onOpen = onOpen;
    this.wanted = "";
    /** @type {RunNode | null} */
    this.current = run.roots[0] ?? null;
    /** @type {RowList<RunNode>} */
    this.list = new RowList({
      rowHeight: TREE_ROW,
      row: (node, index) => this.row(node, index),
      attributes: { class: "tree", role: "tree", tabindex: 0, "aria-label": "Components and steps", id: "tree", keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
    });
    this.refresh();
  }

  get element() {
    return this.list.element;
  }

  /**
   * Shows only what has a text in its path, with what is around it.
   * @param {string} wanted
   */
  filter(wanted) {
    this.wanted = wanted.trim().toLowerCase();
    this.refresh();
    this.element.scrollTop = 0;
  }

  refresh() {
    /** @type {Set<RunNode> | null} */
    let kept = null;
    if (this.wanted !== "") {
      kept = new Set();
      for (const node of this.run.byPath.values()) {
        const isFound = this.wanted === "failed" ? node.status === "failed" : node.path.toLowerCase().includes(this.wanted);
        for (let around = isFound ? node : null; around && !kept.has(around); around = around.parent) kept.add(around);
      }
    }
    /** @type {RunNode[]} */
    const shown = [];
    const open = [...this.run.roots].reverse();
    while (open.length > 0) {
      const node = /** @type {RunNode} */ (open.pop());
      if (kept && !kept.has(node)) continue;
      shown.push(node);
      if (kept || node.open) {
        for (let index = node.children.length - 1; index >= 0; index -= 1) open.push(node.children[index]);
      }
    }
    this.list.show(shown);
    return shown.length;
  }

  /**
   * @param {RunNode} node
   * @param {number} index
   */
  row(node, index) {
    const isCurrent = node === this.current;
    const hasInner = node.children.length > 0;
    const twisty = el("span", { class: `twisty${hasInner ? "" : " none"}`, "aria-hidden": "true" }, hasInner ? (node.open ? "▾" : "▸") : "");
    twisty.addEventListener("click", (event) => {
      event.stopPropagation();
      this.fold(node, !node.open);
    });
    const strip = isLoop(node) && el("span", { class: "strip small", "aria-hidden": "true" }, inParts(node.children, CELLS_IN_ROW).map((part) => el("i", { class: worst(part) })));
    const time = node.entry?.duration_ms === undefined ? "" : duration(node.entry.duration_ms);
    const status = el("span", { class: "hidden" }, `, ${isReused(node) ? "reused, " : ""}${node.status}, `);
    const siblings = node.parent ? node.parent.children : this.run.roots;
    const row = el(
      "div",
      {
        class: `row${isCurrent ? " current" : ""}${isStep(node) ? "" : " component"}`,
        role: "treeitem", id: `row-${index}`, "aria-level": node.depth + 1, "aria-selected": isCurrent,
        "aria-expanded": hasInner ? String(node.open) : undefined,
        "aria-setsize": siblings.length, "aria-posinset": siblings.length < 1000 ? siblings.indexOf(node) + 1 : undefined, title: visible(node.path),
      },
      twisty, sign(node.status, isReused(node)), el("span", { class: "name" }, visible(node.name)), status, strip,
      el("span", { class: "summary" }, summary(node)), el("span", { class: "time" }, time),
    );
    row.style.paddingInlineStart = `${8 + Math.min(node.depth, 12) * 14}px`;
    if (isCurrent) this.element.setAttribute("aria-activedescendant", `row-${index}`);
    row.addEventListener("click", () => {
      this.select(node);
      this.onOpen(node);
    });
    return row;
  }

  /**
   * @param {RunNode} node
   * @param {boolean} open
   */
  fold(node, open) {
    node.open = open;
    this.refresh();
  }

  /**
   * Makes a node the current one, and unfolds what is around it.
   * @param {RunNode} node
   */
  select(node) {
    this.current = node;
    let wasFolded = false;
    for (let around = node.parent; around; around = around.parent) {
      wasFolded ||= !around.open;
      around.open = true;
    }
    if (wasFolded) this.refresh();
    if (this.wanted !== "" && !this.list.items.includes(node)) this.filter("");
    this.list.reveal(this.list.items.indexOf(node));
  }

  /**
   * The next failed step, from the current one on.
   * @param {1 | -1} direction
   */
  failure(direction) {
    const { failures } = this.run;
    if (failures.length === 0) return announce("No step failed.");
    const index = this.current?.index ?? -1;
    const next = direction > 0 ? failures.find((node) => node.index > index) : failures.filter((node) => node.index < index).pop();
    const node = next ?? failures[direction > 0 ? 0 : failures.length - 1];
    this.select(node);
    this.onOpen(node);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { items } = this.list;
    const at = this.current ? items.indexOf(this.current) : -1;
    const node = this.current;
    const page = Math.max(1, Math.floor(this.element.clientHeight / TREE_ROW) - 1);
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1, PageDown: at + page, PageUp: at - page });
    if (event.ctrlKey || event.metaKey || event.altKey || !node) return;
    if (event.key in to) this.select(items[Math.min(Math.max(to[event.key], 0), items.length - 1)]);
    else if (event.key === "ArrowRight" && node.children.length > 0) node.open ? this.select(node.children[0]) : this.fold(node, true);
    else if (event.key === "ArrowLeft" && node.open && node.children.length > 0) this.fold(node, false);
    else if (event.key === "ArrowLeft") node.parent && this.select(node.parent);
    else if (event.key === "Enter" || event.key === " ") this.onOpen(node);
    else return;
    event.preventDefault();
  }
}
