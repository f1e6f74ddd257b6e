// The page of a step: its conversation, settings, outcome, output, changes and files.
import { block, commandLine, copyButton, el, fill, linkTo } from "./dom.js";
import { printed } from "./ansi.js";
import { diffBlock } from "./diff.js";
import { jsonTree } from "./json.js";
import { liveOutput, longFile, textOfFile } from "./long.js";
import { prose } from "./markdown.js";
import { errorBox, facts, inTerminal, runName, section, tokens, waits } from "./overview.js";
import { sign } from "./tree.js";
import { duration, size, visible, when } from "./text.js";

/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./dom.js").Child} Shown */

/** The settings that the conversation shows. */
const IN_CONVERSATION = ["system_instructions", "context", "prompt"];

/** The longest part of a step that is loaded at once, in bytes. */
const LONGEST_PART = 32_000_000;

/**
 * A part of the details, or the reason for which the page does not have it.
 * @param {any} shown
 * @param {(value: any) => Shown} show
 * @param {string} command that shows it otherwise
 * @param {string} what
 * @param {(() => void) | null} [onLoad] loads the part although it is long
 */
function part(shown, show, command, what, onLoad = null) {
  if (shown === undefined) return null;
  if ("value" in shown) return show(shown.value);
  const why = "too_long" in shown ? `The ${what} has ${size(shown.too_long)}, which is above the limit of this page.` : `The ${what} cannot be read: ${visible(shown.unreadable)}`;
  const load = onLoad && shown.too_long <= LONGEST_PART && el("button", { type: "button", click: onLoad }, `load it (${size(shown.too_long)})`);
  return el("div", { class: "box" }, el("p", {}, why), load, commandLine(command));
}

/**
 * @param {string} role
 * @param {string} title
 * @param {...import("./dom.js").Child} children
 */
function turn(role, title, ...children) {
  return el("article", { class: `turn ${role}` }, el("h3", {}, title), ...children);
}

/** @param {string[] | undefined} files */
function names(files) {
  return files && files.length > 0 && el("p", { class: "dim" }, `with ${files.map(visible).join(", ")}`);
}

/** @param {any} value */
function argumentsOf(value) {
  const isNested = typeof value === "object" && value !== null;
  return isNested ? jsonTree(value, "", "the arguments") : el("pre", { class: "raw" }, visible(value));
}

/** @param {any} answer */
function answerTurn(answer) {
  const calls = (answer.tool_calls ?? []).map((/** @type {any} */ call) => el("div", { class: "call" }, el("p", {}, "calls ", el("code", {}, visible(call.name))), argumentsOf(call.arguments)));
  const foot = [answer.model && visible(answer.model), tokens(answer.usage), answer.finish_reason && !["stop", "completed"].includes(answer.finish_reason) && `ended by ${visible(typeof answer.finish_reason === "string" ? answer.finish_reason : JSON.stringify(answer.finish_reason))}`].filter(Boolean).join(" · ");
  return turn(
    "assistant",
    "assistant",
    answer.reasoning && el("details", { class: "reasoning" }, el("summary", {}, "reasoning"), prose(answer.reasoning)),
    answer.text && textOrJson(answer.text),
    answer.refusal && el("p", { class: "box failed" }, visible(answer.refusal)),
    calls,
    foot && el("p", { class: "dim foot" }, foot),
  );
}

/**
 * A text; as a tree if it is JSON.
 * @param {string} text
 */
function textOrJson(text) {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return jsonTree(value, "", "the answer");
  } catch {
    // It is a text.
  }
  return prose(text);
}

/** @param {any} one */
function turnOf(one) {
  if (one.role === "assistant") return answerTurn(one);
  if (one.role === "failed") return turn("failed", `${visible(one.model)} gave no answer`, errorBox(one.error));
  if (one.role === "tool") return turn("tool", `result of ${visible(one.name || "a tool")}`, textOrJson(one.text), names(one.files));
  return turn(one.role === "system" ? "system" : "user", one.role === "system" ? "system" : "user", prose(one.text), names(one.files));
}

/** @param {any} transcript */
function conversation(transcript) {
  const attempts = transcript.attempts.filter((/** @type {any} */ one) => transcript.attempts.length > 1 || one.turns.length > 0);
  if (attempts.length === 0) return null;
  const shown = attempts.map((/** @type {any} */ one) => [
    transcript.attempts.length > 1 && el("h3", { class: "attempt" }, sign(one.status), ` attempt ${one.attempt}`, one.started_at && el("span", { class: "dim" }, " ", when(one.started_at))),
    one.error && errorBox(one.error),
    one.turns.map(turnOf),
  ]);
  return section(attempts.some((/** @type {any} */ one) => one.turns.length > 0) ? "Conversation" : "Attempts", shown.flat(2));
}

/** @param {any} result */
function commands(result) {
  return result.outcome.results.map((/** @type {any} */ one) => {
    const end = one.returncode === null || one.returncode === undefined ? "did not end by itself" : `exit code ${one.returncode}`;
    return el(
      "div",
      { class: "card" },
      el("div", { class: "prompt" }, el("span", { class: "dim", "aria-hidden": "true" }, "$"), el("code", {}, visible(one.command)), el("span", { class: one.returncode === 0 ? "dim" : "failed" }, end), copyButton(String(one.command), "Copy the command")),
      one.stdout && el("div", {}, el("h3", {}, "stdout"), printed(String(one.stdout), "Standard output")),
      one.stderr && el("div", {}, el("h3", {}, "stderr"), printed(String(one.stderr), "Standard error")),
    );
  });
}

/**
 * The outcome in the form that fits its node.
 * @param {any} result
 * @param {TreeNode} node
 * @param {boolean} isTold whether the conversation ends with it
 */
function outcome(result, node, isTold) {
  if (result.outcome === undefined || result.outcome === null) return null;
  if (result.node_type === "command" && Array.isArray(result.outcome.results)) return section("Output", commands(result));
  const tree = jsonTree(result.outcome, `${node.path}.outcome`, "the outcome");
  return isTold ? el("details", { class: "folded" }, el("summary", {}, "Outcome"), tree) : section("Outcome", tree);
}

/** @param {any} result */
function settings(result) {
  const shown = Object.entries(result.settings ?? {}).filter(([name]) => !IN_CONVERSATION.includes(name));
  const input = result.input === undefined || result.input === null ? null : section("Input", jsonTree(result.input, "", "the input"));
  const tree = shown.length > 0 && el("details", { class: "folded" }, el("summary", {}, "Settings"), jsonTree(Object.fromEntries(shown), "", "the settings"));
  return [input, tree];
}

/**
 * @param {any} file
 * @param {Source} source
 * @param {string} path of the step
 */
function fileCard(file, source, path) {
  const { name, len, content } = file;
  const names = [el("span", { class: "mono" }, visible(name)), el("span", { class: "dim" }, size(len))];
  const isElsewhere = content === undefined && !source.artifact;
  if (isElsewhere) return el("div", { class: "card plain" }, names[0], el("span", { class: "dim" }, `${size(len)}, shown above`));
  const details = /** @type {HTMLDetailsElement} */ (el("details", { class: "card" }, el("summary", {}, names)));
  if (!source.artifact || "unreadable" in (content ?? {})) {
    details.append(el("div", {}, part(content, (value) => preview(value, name), source.command("runs path", path), "file")));
    return details;
  }
  details.addEventListener("toggle", () => details.open && details.childElementCount === 1 && details.append(len === 0 ? el("p", { class: "dim" }, "The file is empty.") : longFile(source, path, name, len)));
  return details;
}

/**
 * @param {any} content
 * @param {string} name
 */
function preview(content, name) {
  if (typeof content.picture === "string") return el("img", { src: content.picture, alt: visible(name), class: "picture" });
  return typeof content.text === "string" ? textOfFile(content.text, name) : el("p", { class: "dim" }, "The file is neither text nor a picture.");
}

/**
 * @param {Source} source
 * @param {any} details
 * @param {TreeNode} node
 * @param {(path: string) => void} onOpen
 */
function stepFacts(source, details, node, onOpen) {
  const entry = details.entry ?? {};
  const result = details.result?.value;
  const origin = entry.reused_from ?? entry.edited_from;
  const began = details.started_at ?? node.started_at ?? entry.started_at;
  const ms = entry.duration_ms ?? node.duration_ms;
  const type = result?.node_type ?? node.node_type;
  const reads = (entry.reads ?? []).map((/** @type {string} */ path) => linkTo(visible(path), () => onOpen(path)));
  return facts([
    ["node", type && el("code", {}, visible(type))],
    ["took", ms === undefined || ms === null ? "" : duration(ms)],
    ["began", began && when(began)],
    ["attempt", (entry.attempt ?? node.attempt ?? 1) > 1 && String(entry.attempt ?? node.attempt)],
    [origin ? "reused" : "executed", (details.because || origin) && el("span", {}, details.because && visible(details.because), origin && [details.because && ", ", "from ", runName(source, origin.run_id)])],
    ["read", reads.length > 0 && el("span", { class: "links" }, reads)],
    ["model", tokens({ ...entry.usage, cost: entry.cost })],
    ["summary", entry.summary && visible(entry.summary)],
  ]);
}

/**
 * The parts of a step. A long one is loaded by a button.
 * @param {Source} source
 * @param {any} details
 * @param {TreeNode} node
 * @param {() => void} onLoad
 */
function stepParts(source, details, node, onLoad) {
  const { path } = node;
  const show = source.command("runs show", path);
  const load = source.artifact && onLoad;
  const result = details.result?.value;
  const turns = details.transcript?.value?.attempts.some((/** @type {any} */ one) => one.turns.length > 0);
  // What a step printed is in its result, but while it is running and if that is long.
  const printsNow = source.lines && !result && !details.left_out && node.status !== "skipped";
  const files = details.files ?? [];
  return [
    details.left_out && el("div", { class: "box" }, el("p", {}, visible(details.left_out.reason)), commandLine(show)),
    printsNow && section("Output", liveOutput(source, path, node.status === "running")),
    part(details.transcript, (transcript) => conversation(transcript), `${show} --messages`, "conversation", load),
    part(details.changes, (changes) => section("Changes", changes.map((/** @type {any} */ change) => diffBlock(change.path, change.diff))), show, "list of changes", load),
    part(details.result, (value) => outcome(value, node, Boolean(turns)), show, "result", load),
    result && settings(result),
    files.length > 0 && section(`Files (${files.length})`, el("div", { class: "files" }, files.map((/** @type {any} */ file) => fileCard(file, source, path)))),
    inTerminal(source, ["runs show", path], ["runs why", path], ...(result?.outcome === undefined ? [] : [/** @type {[string, string]} */ (["runs get", `${path}.outcome`])]), ["runs logs", path]),
  ].flat();
}

/**
 * The page of a step.
 * @param {Source} source
 * @param {any} run
 * @param {TreeNode} node
 * @param {(path: string) => void} onOpen
 * @returns {Promise<import("./overview.js").Page>}
 */
export async function stepPage(source, run, node, onOpen) {
  const top = block((/** @type {{ run: any, error: any }} */ { run: now, error }) => [waits(source, now, onOpen, node.path), error && errorBox(error)]);
  const rest = el("div", {});
  let known = "";
  /** @type {any} */
  let details = {};
  let now = run;
  const showTop = () => top.show({ run: { open_questions: now.open_questions, questions: now.questions }, error: details.result?.value?.error ?? details.entry?.error });
  /** @param {TreeNode} one */
  const load = async (one, limit = 0) => {
    details = (await source.step(one.path, limit || undefined)) ?? {};
    showTop();
    fill(rest, stepFacts(source, details, one, onOpen), ...stepParts(source, details, one, () => void load(one, LONGEST_PART)));
  };
  const update = (/** @type {any} */ next, /** @type {TreeNode | null} */ one) => {
    now = next;
    showTop();
    // Its details change with its status, and with another attempt.
    const state = one && `${one.status} ${one.attempt}`;
    if (!one || state === known) return;
    known = String(state);
    void load(one).catch((error) => fill(rest, el("p", { class: "box failed" }, visible(error instanceof Error ? error.message : error))));
  };
  known = `${node.status} ${node.attempt}`;
  await load(node);
  return { element: el("div", {}, top.element, rest), update };
}
