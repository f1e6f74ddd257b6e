// The page of the run, and that of a component.
import { commandLine, el } from "./dom.js";
import { isLoop, isStep, worst } from "./run.js";
import { inParts, sign } from "./tree.js";
import { timelineBlock } from "./timeline.js";
import { cost, counted, duration, number, visible, when } from "./text.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").RunNode} RunNode */

/** The cells of a loop on its page. */
const CELLS = 120;
/** The rows of a table. */
const MOST_ROWS = 100;

/**
 * A section with a heading.
 * @param {string} title
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 */
export function section(title, ...children) {
  return el("section", {}, el("h2", {}, title), ...children);
}

/**
 * Names and values.
 * @param {[string, import("./dom.js").Child][]} rows
 */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  return el("dl", { class: "facts" }, shown.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/**
 * An error as the run recorded it.
 * @param {any} error
 * @param {(path: string) => void} [onOpen]
 */
export function errorBox(error, onOpen) {
  const path = error.path && onOpen && el("button", { type: "button", class: "quiet link", click: () => onOpen(error.path) }, visible(error.path));
  return el("div", { class: "box failed", role: "group", "aria-label": "Error" }, el("p", {}, sign("failed"), " ", el("code", {}, visible(error.code)), " ", path), el("pre", { class: "message" }, visible(error.message)), error.hint && el("p", { class: "dim" }, visible(error.hint)));
}

/**
 * The tokens of a usage in words.
 * @param {any} usage
 */
export function tokens(usage) {
  if (!usage || !(usage.calls || usage.replayed || usage.total_tokens)) return "";
  const parts = [
    usage.calls > 0 && counted(usage.calls, "call"),
    usage.replayed > 0 && `${number(usage.replayed)} replayed`,
    usage.prompt_tokens > 0 && `${number(usage.prompt_tokens)} tokens sent`,
    usage.cached_tokens > 0 && `${number(usage.cached_tokens)} of them cached`,
    usage.completion_tokens > 0 && `${number(usage.completion_tokens)} received`,
    usage.reasoning_tokens > 0 && `${number(usage.reasoning_tokens)} of them reasoning`,
    cost(usage.cost),
  ];
  return parts.filter(Boolean).join(", ");
}

/** @param {any} counts */
function steps(counts) {
  const names = ["completed", "reused", "failed", "skipped", "cancelled"];
  return names.filter((name) => counts[name] > 0).map((name) => `${number(counts[name])} ${name}`).join(", ") || "none yet";
}

/**
 * The questions that a run waits for, each with the command that answers it.
 * @param {Run} run
 * @param {(path: string) => void} onOpen
 * @param {string} [path]
 */
export function waits(run, onOpen, path) {
  const open = run.document.open_questions.filter((/** @type {any} */ question) => path === undefined || question.path === path);
  return open.map((/** @type {any} */ question) => {
    const full = run.facts.questions.find((/** @type {any} */ one) => one.id === question.id);
    const isApproval = question.kind === "approval";
    const answer = run.command("answer", question.id) + (isApproval ? " --approve" : "");
    const title = el("p", {}, sign("waiting"), " ", isApproval ? "Waits for approval: " : "Waits for an answer: ", el("button", { type: "button", class: "quiet link", click: () => onOpen(question.path) }, visible(question.path)), " ", full && el("span", { class: "dim" }, when(full.asked_at)));
    return el("div", { class: "box waiting", role: "group", "aria-label": "Question" }, title, full?.preview && el("pre", { class: "message" }, visible(full.preview)), commandLine(answer));
  });
}

/**
 * A table without the columns that have no value.
 * @param {string[]} heads
 * @param {(import("./dom.js").Child)[][]} rows
 * @param {string} name
 * @param {number} [count] the rows that there are, if `rows` are the first of them
 */
function table(heads, rows, name, count = rows.length) {
  const used = heads.map((_, index) => index === 0 || rows.some((cells) => cells[index] !== ""));
  const head = el("tr", {}, heads.map((text, index) => used[index] && el("th", { scope: "col", class: index > 0 ? "right" : "" }, text)));
  const cell = (/** @type {import("./dom.js").Child} */ value, /** @type {number} */ index) => used[index] && el(index > 0 ? "td" : "th", index > 0 ? { class: "right" } : { scope: "row" }, value);
  const body = rows.map((cells) => el("tr", {}, cells.map(cell)));
  const left = count > rows.length && el("p", { class: "dim" }, `${counted(count - rows.length, "more row")}; the tree on this page has all of them`);
  return el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": name }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)), left);
}

/**
 * How long a node took in milliseconds: by the timeline, and of an iteration of one step as that step.
 * @param {Run} run
 * @param {RunNode} node
 * @returns {number | undefined}
 */
function took(run, node) {
  const row = run.rows.get(node.path);
  if (row) return row.time.working_ms + row.time.retrying_ms;
  return node.children.length === 1 ? took(run, node.children[0]) : node.entry?.duration_ms;
}

/**
 * @param {Run} run
 * @param {RunNode[]} nodes
 * @param {(path: string) => void} onOpen
 */
function components(run, nodes, onOpen) {
  const rows = nodes.slice(0, MOST_ROWS).map((node) => {
    const usage = node.entry?.totals?.usage ?? node.entry?.usage;
    const ms = took(run, node);
    const name = el("button", { type: "button", class: "quiet link", click: () => onOpen(node.path) }, sign(node.status), " ", visible(node.name));
    return [name, ms === undefined ? "" : duration(ms), node.entry?.totals ? steps(node.entry.totals.counts) : "", usage?.total_tokens ? number(usage.total_tokens) : "", cost(usage?.cost ?? node.entry?.cost)];
  });
  return table(["name", "took", "steps", "tokens", "cost"], rows, "Parts", nodes.length);
}

/** @param {Run} run */
function models(run) {
  const rows = (run.spending?.rows ?? []).map((/** @type {any} */ row) => [visible(row.key ?? "(not recorded)"), number(row.usage.calls), number(row.usage.prompt_tokens), number(row.usage.completion_tokens), row.usage.replayed ? number(row.usage.replayed) : "", cost(row.usage.cost)]);
  return rows.length > 0 && section("Models", table(["model", "calls", "sent", "received", "replayed", "cost"], rows, "Models"));
}

/**
 * The page of the run.
 * @param {Run} run
 * @param {(path: string) => void} onOpen
 */
export function runPage(run, onOpen) {
  const { document: data } = run;
  const canResume = ["failed", "cancelled", "interrupted"].includes(data.status);
  const length = Date.parse(data.last_record_at) - Date.parse(data.created_at);
  const top = run.roots.flatMap((root) => [root, ...root.children]);
  return el(
    "div",
    {},
    waits(run, onOpen),
    data.error && errorBox(data.error, onOpen),
    canResume && commandLine(run.command("resume")),
    data.torn && el("p", { class: "box" }, "The last line of the journal was cut off by a crash and is ignored."),
    facts([
      ["made", when(data.created_at)],
      ["took", data.status === "running" ? "" : duration(length)],
      ["steps", steps(data.totals.counts)],
      ["models", tokens(data.totals.usage)],
      ["from", data.parent && el("code", {}, visible(data.parent))],
      ["tags", (data.labels.tags ?? []).map(visible).join(" ")],
      ["note", data.labels.note && visible(data.labels.note)],
      ["directory", el("code", { class: "break" }, visible(data.run_dir))],
    ]),
    section("Timeline", timelineBlock(run.timeline, onOpen)),
    section("Parts", components(run, top, onOpen)),
    models(run),
    section("In the terminal", commandLine(run.command("runs show")), commandLine(run.command("runs trace")), commandLine(run.command("runs logs"))),
  );
}

/**
 * The iterations of a loop as cells. A cell of many iterations has the worst status among them, and opens the first that has it.
 * @param {RunNode} node
 * @param {(path: string) => void} onOpen
 */
function strip(node, onOpen) {
  const cells = inParts(node.children, CELLS).map((part) => {
    const status = worst(part);
    const first = /** @type {RunNode} */ (part.find((one) => one.status === status) ?? part[0]);
    const name = part.length > 1 ? `${part[0].name} to ${part[part.length - 1].name}` : part[0].name;
    const label = `${visible(name)}, ${status}`;
    return el("button", { type: "button", class: `cell ${status}`, title: label, "aria-label": label, click: () => onOpen(first.path) });
  });
  return el("div", { class: "strip", role: "group", "aria-label": "Iterations" }, cells);
}

/**
 * The page of a component, iteration or branch.
 * @param {Run} run
 * @param {RunNode} node
 * @param {(path: string) => void} onOpen
 */
export function componentPage(run, node, onOpen) {
  const { entry } = node;
  const failed = node.failed > 0 && !isStep(node);
  return el(
    "div",
    {},
    waits(run, onOpen, node.path),
    entry?.error && errorBox(entry.error, onOpen),
    facts([
      ["steps", entry?.totals ? steps(entry.totals.counts) : failed ? `${node.failed} failed` : ""],
      ["models", tokens(entry?.totals?.usage)],
    ]),
    isLoop(node) && section(`Iterations (${number(node.children.length)})`, strip(node, onOpen)),
    node.children.length > 0 && section("Parts", components(run, node.children, onOpen)),
    section("In the terminal", commandLine(run.command("runs trace", node.path)), commandLine(run.command("runs logs", node.path))),
  );
}
