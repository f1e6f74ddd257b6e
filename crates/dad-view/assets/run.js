// The run as the page holds it: its documents, and the tree of its components and steps.
import { jsonOf } from "./dom.js";
import { quoted } from "./text.js";

/**
 * @typedef {object} RunNode
 * @property {string} path
 * @property {string} name
 * @property {number} depth
 * @property {RunNode | null} parent
 * @property {RunNode[]} children
 * @property {any} entry what the journal says of it; null of an iteration or branch
 * @property {number} index of its entry; -1 without one
 * @property {string} status
 * @property {number} failed the failed steps in it
 * @property {boolean} open
 */

/** How bad a status is: that of an iteration is the worst in it. */
const WORST = ["skipped", "completed", "pending", "cancelled", "running", "waiting", "failed"];

/** The signs beside the colours: each status is clear without them. */
export const SIGNS = /** @type {Record<string, string>} */ ({
  completed: "✓", failed: "✗", waiting: "?", running: "▸", skipped: "–", cancelled: "■", pending: "·", reused: "↺", interrupted: "!", initialized: "·",
});

/** @param {RunNode} node */
export function isReused(node) {
  return Boolean(node.entry?.reused_from ?? node.entry?.edited_from);
}

/** @param {RunNode} node */
export function isStep(node) {
  return node.entry?.kind === "step";
}

/** @param {RunNode} node */
export function isLoop(node) {
  return node.children.length > 0 && /^iter_\d+$/u.test(node.children[0].name);
}

/**
 * The worst status of some nodes.
 * @param {RunNode[]} nodes
 */
export function worst(nodes) {
  const ranks = nodes.map((node) => WORST.indexOf(node.status));
  return WORST[ranks.reduce((most, rank) => Math.max(most, rank), 0)];
}

/**
 * The tree, from entries that stand behind those around them.
 * @param {any[]} entries
 */
function treeOf(entries) {
  /** @type {Map<string, RunNode>} */
  const byPath = new Map();
  /** @type {RunNode[]} */
  const roots = [];
  /**
   * @param {string} path
   * @returns {RunNode}
   */
  const at = (path) => {
    const known = byPath.get(path);
    if (known) return known;
    const dot = path.lastIndexOf(".");
    const parent = dot < 0 ? null : at(path.slice(0, dot));
    /** @type {RunNode} */
    const node = { path, name: path.slice(dot + 1), depth: parent ? parent.depth + 1 : 0, parent, children: [], entry: null, index: -1, status: "pending", failed: 0, open: true };
    (parent ? parent.children : roots).push(node);
    byPath.set(path, node);
    return node;
  };
  entries.forEach((entry, index) => {
    const node = at(String(entry.path));
    Object.assign(node, { entry, index, status: String(entry.status) });
  });
  // Children stand behind their parents.
  for (const node of [...byPath.values()].reverse()) {
    if (!node.entry) node.status = worst(node.children);
    if (isStep(node) && node.status === "failed") node.failed += 1;
    if (node.parent) node.parent.failed += node.failed;
    // A loop is open while its iterations fit on a screen.
    node.open = !(isLoop(node) && node.children.length > 12);
  }
  return { roots, byPath };
}

export class Run {
  constructor() {
    /** @type {any} */
    this.facts = jsonOf(document.getElementById("facts"));
    /** @type {any} */
    this.document = jsonOf(document.getElementById("run"));
    /** @type {any} */
    this.timeline = jsonOf(document.getElementById("timeline"));
    /** @type {Map<string, any>} */
    this.rows = new Map(this.timeline.rows.map((/** @type {any} */ row) => [row.path, row]));
    /** @type {any} */
    this.spending = jsonOf(document.getElementById("spending"));
    const { roots, byPath } = treeOf(this.document.steps);
    this.roots = roots;
    this.byPath = byPath;
    this.failures = [...byPath.values()].filter((node) => isStep(node) && node.status === "failed");
    this.portions = [...document.querySelectorAll("script.steps")];
    /** @type {{ element: Element, steps: Map<string, any> } | null} */
    this.read = null;
  }

  /**
   * The details of a step; null if the page does not hold them.
   * @param {RunNode} node
   * @returns {any}
   */
  details(node) {
    const holds = (/** @type {Element} */ portion) =>
      Number(portion.getAttribute("data-first")) <= node.index && node.index < Number(portion.getAttribute("data-end"));
    const element = this.portions.find(holds);
    if (!element) return null;
    if (this.read?.element !== element) {
      const steps = new Map(jsonOf(element).map((/** @type {any} */ step) => [step.path, step]));
      this.read = { element, steps };
    }
    return this.read.steps.get(node.path) ?? null;
  }

  /**
   * A command line about the run.
   * @param {string} words before the id of the run
   * @param {...string} more
   */
  command(words, ...more) {
    return [this.facts.program, words, this.document.run_id, ...more.map(quoted)].join(" ");
  }
}
