// The data of a run as the views ask for it, wherever it comes from.

/**
 * A component, iteration, branch or step.
 * @typedef {object} TreeNode
 * @property {string} path
 * @property {string} name
 * @property {"component" | "iteration" | "branch" | "step"} kind
 * @property {string} [node_type]
 * @property {string} status
 * @property {string} [summary]
 * @property {string} [asks_for]
 * @property {{ code: string, message: string, hint?: string }} [error]
 * @property {number} [attempt]
 * @property {string} [started_at]
 * @property {number} [duration_ms]
 * @property {any} [usage]
 * @property {number | null} [cost]
 * @property {Record<string, number>} [counts] the steps in it by their status
 * @property {boolean} reused
 * @property {number} children how many it has
 * @property {number} failed the failed steps in it
 * @property {boolean} is_loop
 * @property {number} [index] its place among its siblings
 * @property {TreeNode[]} [inner] all of its children
 */

/** @typedef {{ from: number, total: number, nodes: TreeNode[] }} Children */
/** @typedef {{ from: number, count: number, status: string, failed: number, first?: string }} Cell */
/** @typedef {{ total: number, length: number, cells: Cell[] }} Ranges */
/** @typedef {{ node: TreeNode, index: number, around: TreeNode[] }} Located */
/** @typedef {{ text?: string, status?: string, after?: string, before?: string, limit: number }} Query */
/** @typedef {{ source: string, text: string }} Line */
/** @typedef {{ lines: Line[], next: string, ended: boolean, skipped?: number }} Lines */
/** @typedef {{ bytes: Uint8Array<ArrayBuffer>, total: number }} Piece */
/** @typedef {{ nodes: TreeNode[], more: boolean }} Changed */

/**
 * One run. A file has everything at hand; a server is asked for it, and says what changes.
 * @typedef {object} Source
 * @property {() => Promise<any>} run the document of the run without its steps, with its questions, spending and `root`
 * @property {(of: string | null, from: number, within: number) => Promise<Children>} children
 * @property {(of: string, by: { cells?: number, length?: number }) => Promise<Ranges>} ranges
 * @property {(path: string) => Promise<Located | null>} node null if the run has no such part
 * @property {(query: Query) => Promise<{ found: TreeNode[], more: boolean }>} find
 * @property {(path: string, limit?: number) => Promise<any>} step
 * @property {() => Promise<any>} spending if it is not in the document of the run
 * @property {(of?: string) => Promise<any>} timeline of the run or of a component in it; null if it is not known
 * @property {(words: string, ...more: string[]) => string} command a command line about the run
 * @property {((run: string, path?: string) => string) | null} addressOf the address of a run or step, if the page has other runs
 * @property {(() => Promise<any[]>) | null} madeFrom the runs that were made from this one
 * @property {((path: string, after: string | undefined) => Promise<Lines>) | null} lines
 * @property {((path: string, name: string, from: number, length: number) => Promise<Piece>) | null} artifact
 * @property {(onChange: (changed: Changed) => void) => () => void} follow begins to follow the run; the answer ends it
 */

/** The children that are asked for at once. */
export const PORTION_OF_CHILDREN = 200;
/** More children than this are shown by groups of as many. */
export const GROUP = 1000;
/** A loop is open while its iterations fit on a screen. */
export const SMALL_LOOP = 12;

/** How bad a status is: that of an iteration is the worst in it. */
const WORST = ["skipped", "completed", "pending", "cancelled", "running", "waiting", "failed"];

/** The signs beside the colours: each status is clear without them. */
export const SIGNS = /** @type {Record<string, string>} */ ({
  completed: "✓", failed: "✗", waiting: "?", running: "▸", skipped: "–", cancelled: "■", pending: "·", reused: "↺", interrupted: "!", initialized: "·",
});

/** @param {TreeNode} node */
export function isStep(node) {
  return node.kind === "step";
}

/** @param {string} path */
export function parentOf(path) {
  const dot = path.lastIndexOf(".");
  return dot < 0 ? null : path.slice(0, dot);
}

/**
 * The worst of some statuses.
 * @param {string[]} statuses
 */
export function worst(statuses) {
  return WORST[statuses.reduce((most, status) => Math.max(most, WORST.indexOf(status)), 0)];
}

/**
 * The status that a cell shows: a failure in it counts, also if the run went on.
 * @param {{ status: string, failed: number }} cell
 */
export function cellStatus({ status, failed }) {
  return worst(failed > 0 ? [status, "failed"] : [status]);
}
