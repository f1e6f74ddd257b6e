// A run as the file of its page holds it: its documents, and the details of its steps in portions.
import { jsonOf } from "./dom.js";
import { PORTION_OF_CHILDREN, SMALL_LOOP, worst } from "./source.js";
import { quoted } from "./text.js";

/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./source.js").Source} Source */

/**
 * @typedef {object} Held
 * @property {string} path
 * @property {string} name
 * @property {Held | null} parent
 * @property {Held[]} children
 * @property {any} entry what the journal says of it; null of an iteration or branch
 * @property {number} index of its entry; -1 without one
 * @property {string} status
 * @property {number} failed
 * @property {number} place among its siblings
 * @property {number} order in the tree, from its root to its last leaf
 */

/**
 * The tree, from entries that stand behind those around them.
 * @param {any[]} entries
 */
function treeOf(entries) {
  /** @type {Map<string, Held>} */
  const byPath = new Map();
  /** @type {Held[]} */
  const roots = [];
  /**
   * @param {string} path
   * @returns {Held}
   */
  const at = (path) => {
    const known = byPath.get(path);
    if (known) return known;
    const dot = path.lastIndexOf(".");
    const parent = dot < 0 ? null : at(path.slice(0, dot));
    const siblings = parent ? parent.children : roots;
    /** @type {Held} */
    const node = { path, name: path.slice(dot + 1), parent, children: [], entry: null, index: -1, status: "pending", failed: 0, place: siblings.length, order: 0 };
    siblings.push(node);
    byPath.set(path, node);
    return node;
  };
  entries.forEach((entry, index) => Object.assign(at(String(entry.path)), { entry, index, status: String(entry.status) }));
  // Children stand behind their parents.
  for (const node of [...byPath.values()].reverse()) {
    if (!node.entry) node.status = worst(node.children.map((child) => child.status));
    if (node.entry?.kind === "step" && node.status === "failed") node.failed += 1;
    if (node.parent) node.parent.failed += node.failed;
  }
  return { roots, byPath, inOrder: inOrder(roots) };
}

/** @param {Held[]} roots */
function inOrder(roots) {
  const all = [];
  const open = [...roots].reverse();
  while (open.length > 0) {
    const node = /** @type {Held} */ (open.pop());
    node.order = all.push(node) - 1;
    for (let index = node.children.length - 1; index >= 0; index -= 1) open.push(node.children[index]);
  }
  return all;
}

/** @param {Held} node */
function isLoop(node) {
  return node.children.length > 0 && /^iter_\d+$/u.test(node.children[0].name);
}

/** @param {Held} node */
function kindOfHeld(node) {
  if (node.entry) return node.entry.kind === "step" ? "step" : "component";
  return /^iter_\d+$/u.test(node.name) ? "iteration" : "branch";
}

/** @implements {Source} */
export class FileSource {
  lines = null;
  artifact = null;
  addressOf = null;
  madeFrom = null;

  constructor() {
    const read = (/** @type {string} */ id) => jsonOf(document.getElementById(id));
    this.facts = read("facts");
    const { steps, ...run } = read("run");
    this.document = { ...run, questions: this.facts.questions, spending: read("spending") };
    this.times = read("timeline");
    /** @type {Map<string, any>} */
    this.rows = new Map(this.times.rows.map((/** @type {any} */ row) => [row.path, row]));
    this.tree = treeOf(steps);
    this.portions = [...document.querySelectorAll("script.steps")];
    /** @type {{ element: Element, steps: Map<string, any> } | null} */
    this.read = null;
  }

  async run() {
    const { roots } = this.tree;
    return { ...this.document, root: roots.length > 0 ? this.nodeOf(roots[0]) : null };
  }

  /**
   * @param {string | null} of
   * @param {number} from
   * @param {number} within
   */
  async children(of, from, within) {
    const all = of === null ? this.tree.roots : (this.tree.byPath.get(of)?.children ?? []);
    const nodes = all.slice(from, from + PORTION_OF_CHILDREN).map((node) => this.nodeOf(node));
    let left = within - nodes.length;
    const open = [...nodes];
    for (let node = open.shift(); node && left > 0; node = open.shift()) {
      if (node.children === 0 || node.children > (node.is_loop ? SMALL_LOOP : left)) continue;
      node.inner = this.tree.byPath.get(node.path)?.children.map((child) => this.nodeOf(child)) ?? [];
      left -= node.inner.length;
      open.push(...node.inner);
    }
    return { from, total: all.length, nodes };
  }

  /**
   * @param {string} of
   * @param {{ cells?: number, length?: number }} by
   */
  async ranges(of, by) {
    const all = this.tree.byPath.get(of)?.children ?? [];
    const length = by.length ?? Math.max(1, Math.ceil(all.length / (by.cells ?? 1)));
    const cells = [];
    for (let from = 0; from < all.length; from += length) {
      const part = all.slice(from, from + length);
      const status = worst(part.map((node) => node.status));
      const failed = part.reduce((sum, node) => sum + node.failed, 0);
      cells.push({ from, count: part.length, status, failed, first: part.find((node) => node.status === status)?.path });
    }
    return { total: all.length, length, cells };
  }

  /** @param {string} path */
  async node(path) {
    const held = this.tree.byPath.get(path);
    if (!held) return null;
    const around = [];
    for (let one = held.parent; one; one = one.parent) around.unshift(this.nodeOf(one));
    return { node: this.nodeOf(held), index: held.place, around };
  }

  /** @param {import("./source.js").Query} query */
  async find({ text, status, after, before, limit }) {
    const wanted = text?.toLowerCase() ?? "";
    const fits = (/** @type {Held} */ node) =>
      (!status || (node.status === status && kindOfHeld(node) === "step")) && `${node.path}\n${node.entry?.summary ?? ""}`.toLowerCase().includes(wanted);
    const orderOf = (/** @type {string | undefined} */ path) => this.tree.byPath.get(path ?? "")?.order;
    const end = orderOf(before);
    const all = this.tree.inOrder.slice((orderOf(after) ?? -1) + 1, end).filter(fits);
    const found = end === undefined ? all.slice(0, limit) : all.slice(-limit);
    return { found: found.map((node) => this.nodeOf(node)), more: found.length < all.length };
  }

  /** @param {string} path */
  async step(path) {
    const held = this.tree.byPath.get(path);
    if (!held?.entry) return null;
    const details = this.details(held);
    const left_out = !details && { reason: "The details of this step are left out, because the page holds no more of them. A page made with --max-total holds more." };
    return { left_out, ...details, path, entry: held.entry, started_at: this.rows.get(path)?.started_at };
  }

  async spending() {
    return this.document.spending;
  }

  /** @param {string} [of] */
  async timeline(of) {
    return of === undefined ? this.times : null;
  }

  follow() {
    return () => {};
  }

  /**
   * @param {string} words before the id of the run
   * @param {...string} more
   */
  command(words, ...more) {
    return [this.facts.program, words, this.document.run_id, ...more.map(quoted)].join(" ");
  }

  /**
   * @param {Held} held
   * @returns {TreeNode}
   */
  nodeOf(held) {
    const { entry } = held;
    const row = this.rows.get(held.path);
    const only = held.children.length === 1 && !entry ? this.nodeOf(held.children[0]) : null;
    return {
      path: held.path, name: held.name, kind: kindOfHeld(held), status: held.status, failed: held.failed, children: held.children.length, is_loop: isLoop(held), index: held.place,
      reused: Boolean(entry?.reused_from ?? entry?.edited_from), summary: entry?.summary, asks_for: entry?.asks_for, error: entry?.error, attempt: entry?.attempt,
      usage: entry?.totals?.usage ?? entry?.usage, cost: entry?.totals?.usage.cost ?? entry?.cost, counts: entry?.totals?.counts,
      // An iteration of one step took as long as that.
      duration_ms: row && kindOfHeld(held) !== "step" ? row.time.working_ms + row.time.retrying_ms : (entry?.duration_ms ?? only?.duration_ms),
    };
  }

  /**
   * The details of a step; null if the page does not hold them.
   * @param {Held} held
   * @returns {any}
   */
  details(held) {
    const holds = (/** @type {Element} */ portion) => Number(portion.getAttribute("data-first")) <= held.index && held.index < Number(portion.getAttribute("data-end"));
    const element = this.portions.find(holds);
    if (!element) return null;
    if (this.read?.element !== element) {
      const steps = new Map(jsonOf(element).map((/** @type {any} */ step) => [step.path, step]));
      this.read = { element, steps };
    }
    return this.read.steps.get(held.path) ?? null;
  }
}
