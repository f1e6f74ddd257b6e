// The page of the run, and that of a component.
import { afterPaint, atMostEvery, block, commandLine, el, linkTo } from "./dom.js";
import { cellStatus, isStep } from "./source.js";
import { sign } from "./tree.js";
import { timelineBlock } from "./timeline.js";
import { ago, cost, counted, duration, number, oneLine, visible, when } from "./text.js";

/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./source.js").Cell} Cell */

/**
 * What stands beside the tree. It is updated while the run changes.
 * @typedef {{ element: HTMLElement, update: (run: any, node: TreeNode | null) => void }} Page
 */

/** The cells of a loop on its page. */
const CELLS = 120;
/** The rows of a table. */
const MOST_ROWS = 100;
/** What a change makes to be asked for again, in milliseconds: the parts of a component, and the timeline. */
const RENEW_PARTS = 1500;
const RENEW_TIMELINE = 4000;
/** A loop of more iterations has no timeline of its own. */
const LONGEST_TIMELINE = 500;

/**
 * A section with a heading.
 * @param {string} title
 * @param {...import("./dom.js").Child} children
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
  const path = error.path && onOpen && linkTo(visible(error.path), () => onOpen(error.path));
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
  const names = ["completed", "failed", "skipped", "cancelled"].filter((name) => counts[name] > 0);
  const reused = counts.reused > 0 ? ` (${number(counts.reused)} of them reused)` : "";
  return names.map((name) => `${number(counts[name])} ${name}${name === "completed" ? reused : ""}`).join(", ") || "none yet";
}

/**
 * The questions that a run waits for, each with the command that answers it.
 * @param {Source} source
 * @param {any} run
 * @param {(path: string) => void} onOpen
 * @param {string} [path]
 */
export function waits(source, run, onOpen, path) {
  const open = run.open_questions.filter((/** @type {any} */ question) => path === undefined || question.path === path);
  return open.map((/** @type {any} */ question) => {
    const full = run.questions.find((/** @type {any} */ one) => one.id === question.id);
    const isApproval = question.kind === "approval";
    const answer = source.command("answer", question.id) + (isApproval ? " --approve" : "");
    const title = el("p", {}, sign("waiting"), " ", isApproval ? "Waits for approval: " : "Waits for an answer: ", linkTo(visible(question.path), () => onOpen(question.path)), " ", full && el("span", { class: "dim" }, when(full.asked_at)));
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
 * The children of a node in a table.
 * @param {Source} source
 * @param {TreeNode | null} node
 * @param {boolean} isWithNode whether its first row is the node itself
 * @param {(path: string) => void} onOpen
 */
function partsBlock(source, node, isWithNode, onOpen) {
  const { element, show } = block((/** @type {{ nodes: TreeNode[], total: number }} */ { nodes, total }) => {
    const rows = nodes.map((one) => {
      const name = linkTo([sign(one.status, one.reused), " ", visible(one.name), el("span", { class: "hidden" }, `, ${visible(one.status)}`)], () => onOpen(one.path));
      const inner = one.counts ? steps(one.counts) : one.failed > 0 && !isStep(one) ? `${number(one.failed)} failed` : "";
      const ms = one.duration_ms;
      return [name, ms === undefined || ms === null ? "" : duration(ms), inner, one.usage?.total_tokens ? number(one.usage.total_tokens) : "", cost(one.usage?.cost ?? one.cost)];
    });
    return rows.length > 0 && section("Parts", table(["name", "took", "steps", "tokens", "cost"], rows, "Parts", total));
  });
  let current = node;
  const load = atMostEvery(RENEW_PARTS, async () => {
    if (!current) return;
    const { nodes, total } = await source.children(current.path, 0, 0);
    const { inner, index, ...own } = current;
    show({ nodes: [...(isWithNode ? [own] : []), ...nodes].slice(0, MOST_ROWS), total: total + (isWithNode ? 1 : 0) });
  });
  const update = (/** @type {TreeNode | null} */ next) => {
    current = next;
    load();
  };
  update(node);
  return { element, update };
}

/** @param {any} spending */
function models(spending) {
  const rows = (spending?.rows ?? []).map((/** @type {any} */ row) => [visible(row.key ?? "(not recorded)"), number(row.usage.calls), number(row.usage.prompt_tokens), number(row.usage.completion_tokens), row.usage.replayed ? number(row.usage.replayed) : "", cost(row.usage.cost)]);
  return rows.length > 0 && section("Models", table(["model", "calls", "sent", "received", "replayed", "cost"], rows, "Models"));
}

/**
 * The name of a run, which leads to it if the page has other runs.
 * @param {Source} source
 * @param {string} run
 */
export function runName(source, run) {
  return source.addressOf ? el("a", { href: source.addressOf(run), class: "mono" }, visible(run)) : el("code", {}, visible(run));
}

/**
 * The runs that were made from this one.
 * @param {Source} source
 */
function madeFrom(source) {
  const { element, show } = block((/** @type {any[]} */ runs) => {
    const items = runs.map((run) => el("li", {}, sign(run.status), " ", runName(source, run.run_id), " ", el("span", { class: "dim" }, visible(run.status), run.created_at && `, ${ago(run.created_at)}`)));
    return items.length > 0 && section("Runs from this one", el("ul", { class: "plain-list" }, items));
  });
  const { madeFrom: ask } = source;
  if (ask) afterPaint(() => void ask.call(source).then(show, () => {}));
  return element;
}

/**
 * @param {Source} source
 * @param {any} run
 */
function runFacts(source, run) {
  const length = Date.parse(run.last_record_at) - Date.parse(run.created_at);
  return facts([
    ["made", when(run.created_at)],
    ["took", run.status === "running" ? "" : duration(length)],
    ["steps", run.totals && steps(run.totals.counts)],
    ["models", tokens(run.totals?.usage)],
    ["from", run.parent && runName(source, run.parent)],
    ["tags", (run.labels?.tags ?? []).map(visible).join(" ")],
    ["note", run.labels?.note && visible(run.labels.note)],
    ["directory", el("code", { class: "break" }, visible(run.run_dir))],
  ]);
}

/**
 * The timeline of the run or of a component.
 * @param {Source} source
 * @param {string | undefined} of
 * @param {(path: string) => void} onOpen
 * @param {() => number} [rows] how many it has at least
 */
function timelineSection(source, of, onOpen, rows = () => 0) {
  const { element: inner, show } = timelineBlock(onOpen);
  const element = section("Timeline", inner);
  element.hidden = of !== undefined;
  let notBefore = 0;
  const renew = atMostEvery(RENEW_TIMELINE, async () => {
    const begun = performance.now();
    if (rows() > LONGEST_TIMELINE) return;
    if (begun < notBefore) return void (element.isConnected && setTimeout(renew, notBefore - begun));
    const timeline = await source.timeline(of).catch(() => null);
    // What takes long is asked for seldom.
    notBefore = performance.now() + 20 * (performance.now() - begun);
    if (!timeline) return;
    element.hidden = of !== undefined && timeline.rows.length < 2;
    show(timeline);
  });
  renew();
  return { element, renew };
}

/**
 * The page of the run.
 * @param {Source} source
 * @param {any} run
 * @param {(path: string) => void} onOpen
 * @returns {Page}
 */
export function runPage(source, run, onOpen) {
  const top = block((/** @type {any} */ now) => [
    waits(source, now, onOpen),
    now.error && errorBox(now.error, onOpen),
    ["failed", "cancelled", "interrupted"].includes(now.status) && commandLine(source.command("resume")),
    now.torn && el("p", { class: "box" }, "The last line of the journal was cut off by a crash and is ignored."),
    runFacts(source, now),
  ]);
  const spending = block(models);
  const timeline = timelineSection(source, undefined, onOpen);
  let spent = run.spending;
  const renew = atMostEvery(RENEW_TIMELINE, () => void (spent || source.spending().then(spending.show, () => {})));
  const parts = partsBlock(source, run.root, true, onOpen);
  const update = (/** @type {any} */ now) => {
    const { root, spending: own, seq, ...rest } = now;
    top.show(rest);
    spent = own;
    if (own) spending.show(own);
    parts.update(root);
    timeline.renew();
    renew();
  };
  update(run);
  const element = el("div", {}, top.element, timeline.element, parts.element, spending.element, madeFrom(source), inTerminal(source, ["runs show"], ["runs trace"], ["runs logs"]));
  return { element, update };
}

/**
 * The commands that show the same.
 * @param {Source} source
 * @param {...[string, ...string[]]} commands
 */
export function inTerminal(source, ...commands) {
  return section("In the terminal", commands.map((words) => commandLine(source.command(...words))));
}

/**
 * The iterations of a loop as cells. A cell of many iterations has the worst status among them, and opens the first that has it.
 * @param {TreeNode} node
 * @param {Cell[]} cells
 * @param {(path: string) => void} onOpen
 */
function strip(node, cells, onOpen) {
  const shown = cells.map((cell) => {
    const { from, count, failed, first } = cell;
    const status = cellStatus(cell);
    const name = count > 1 ? `iterations ${number(from)} to ${number(from + count - 1)}` : `iteration ${number(from)}`;
    const label = `${name}, ${status}${count > 1 && failed > 0 ? `, ${number(failed)} failed` : ""}`;
    return el("button", { type: "button", class: `cell ${status}`, title: label, "aria-label": label, click: () => onOpen(first ?? `${node.path}.iter_${from}`) });
  });
  const legend = [...new Set(cells.map(cellStatus))].map((status) => el("span", {}, sign(status), " ", status));
  return section(`Iterations (${number(node.children)})`, el("div", { class: "strip", role: "group", "aria-label": "Iterations" }, shown), el("div", { class: "legend" }, legend));
}

/**
 * @param {Source} source
 * @param {TreeNode} node
 * @param {(path: string) => void} onOpen
 */
function stripBlock(source, node, onOpen) {
  const { element, show } = block((/** @type {{ node: TreeNode, cells: Cell[] }} */ data) => strip(data.node, data.cells, onOpen));
  let current = node;
  const load = atMostEvery(RENEW_PARTS, async () => show({ node: current, cells: (await source.ranges(current.path, { cells: CELLS })).cells }));
  const update = (/** @type {TreeNode} */ next) => {
    current = next;
    load();
  };
  update(node);
  return { element, update };
}

/**
 * The page of a component, iteration or branch.
 * @param {Source} source
 * @param {any} run
 * @param {TreeNode} node
 * @param {(path: string) => void} onOpen
 * @returns {Page}
 */
export function componentPage(source, run, node, onOpen) {
  const top = block((/** @type {{ run: any, node: TreeNode }} */ { run: now, node: one }) => [
    waits(source, now, onOpen, one.path),
    one.error && errorBox(one.error, onOpen),
    facts([
      ["took", one.duration_ms === undefined || one.duration_ms === null ? "" : duration(one.duration_ms)],
      ["began", one.started_at && when(one.started_at)],
      ["steps", one.counts ? steps(one.counts) : one.failed > 0 ? `${number(one.failed)} failed` : ""],
      ["models", tokens(one.usage)],
      ["summary", one.summary && oneLine(one.summary, 400)],
    ]),
  ]);
  const cells = node.is_loop ? stripBlock(source, node, onOpen) : null;
  const parts = partsBlock(source, node, false, onOpen);
  let iterations = node.is_loop ? node.children : 0;
  const timeline = timelineSection(source, node.path, onOpen, () => iterations);
  const update = (/** @type {any} */ now, /** @type {TreeNode | null} */ one) => {
    if (!one) return;
    iterations = one.is_loop ? one.children : 0;
    top.show({ run: { open_questions: now.open_questions, questions: now.questions }, node: one });
    cells?.update(one);
    parts.update(one);
    timeline.renew();
  };
  update(run, node);
  return { element: el("div", {}, top.element, cells?.element, timeline.element, parts.element, inTerminal(source, ["runs trace", node.path], ["runs logs", node.path])), update };
}
