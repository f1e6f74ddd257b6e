// The page of a step: its conversation, settings, outcome, output, changes and files.
import { commandLine, copyButton, el } from "./dom.js";
import { printed } from "./ansi.js";
import { diffBlock } from "./diff.js";
import { jsonTree } from "./json.js";
import { prose } from "./markdown.js";
import { errorBox, facts, section, tokens, waits } from "./overview.js";
import { sign } from "./tree.js";
import { duration, size, visible, when } from "./text.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").RunNode} RunNode */

/** The settings that the conversation shows. */
const IN_CONVERSATION = ["system_instructions", "context", "prompt"];

/**
 * A part of the details, or the reason for which the page does not have it.
 * @param {any} shown
 * @param {(value: any) => import("./dom.js").Child | import("./dom.js").Child[]} show
 * @param {string} command that shows it otherwise
 * @param {string} what
 */
function part(shown, show, command, what) {
  if (shown === undefined) return null;
  if ("value" in shown) return show(shown.value);
  const why = "too_long" in shown ? `The ${what} has ${size(shown.too_long)}, which is above the limit of this page.` : `The ${what} cannot be read: ${visible(shown.unreadable)}`;
  return el("div", { class: "box" }, el("p", {}, why), commandLine(command));
}

/**
 * @param {string} role
 * @param {string} title
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
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
  const foot = [answer.model && visible(answer.model), tokens(answer.usage), answer.finish_reason && answer.finish_reason !== "stop" && `ended by ${visible(typeof answer.finish_reason === "string" ? answer.finish_reason : JSON.stringify(answer.finish_reason))}`].filter(Boolean).join(" · ");
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
 * @param {RunNode} node
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
 * @param {Run} run
 * @param {RunNode} node
 */
function fileCard(file, run, node) {
  const { content } = file;
  const head = el("summary", {}, el("span", { class: "mono" }, visible(file.name)), el("span", { class: "dim" }, size(file.len)));
  if (content === undefined) return el("div", { class: "card plain" }, el("span", { class: "mono" }, visible(file.name)), el("span", { class: "dim" }, `${size(file.len)}, shown above`));
  const shown = part(content, (value) => preview(value, file.name), run.command("runs path", node.path), "file");
  return el("details", { class: "card" }, head, shown);
}

/**
 * @param {any} content
 * @param {string} name
 */
function preview(content, name) {
  if (typeof content.picture === "string") return el("img", { src: content.picture, alt: visible(name), class: "picture" });
  if (typeof content.text !== "string") return el("p", { class: "dim" }, "The file is neither text nor a picture.");
  if (name.endsWith(".md")) return prose(content.text);
  if (name.endsWith(".json")) {
    try {
      return jsonTree(JSON.parse(content.text), "", "the file");
    } catch {
      // It is shown as the text that it is.
    }
  }
  return printed(content.text, `Content of ${visible(name)}`);
}

/**
 * The page of a step.
 * @param {Run} run
 * @param {RunNode} node
 * @param {(path: string) => void} onOpen
 */
export function stepPage(run, node, onOpen) {
  const { entry } = node;
  const details = run.details(node);
  const show = run.command("runs show", node.path);
  const result = details?.result?.value;
  const began = run.rows.get(node.path)?.started_at ?? entry.started_at;
  const origin = entry.reused_from ?? entry.edited_from;
  const messages = details?.transcript?.value?.attempts.some((/** @type {any} */ one) => one.turns.length > 0);
  const reads = (entry.reads ?? []).map((/** @type {string} */ path) => el("button", { type: "button", class: "quiet link", click: () => onOpen(path) }, visible(path)));
  const missing = !details && el("div", { class: "box" }, el("p", {}, `The details of this step are left out, because the page holds at most ${size(run.facts.max_total)} of them. A page made with --max-total holds more.`), commandLine(show));
  return el(
    "div",
    {},
    waits(run, onOpen, node.path),
    (result?.error ?? entry.error) && errorBox(result?.error ?? entry.error),
    facts([
      ["node", result?.node_type && el("code", {}, visible(result.node_type))],
      ["took", entry.duration_ms === undefined ? "" : duration(entry.duration_ms)],
      ["began", began && when(began)],
      ["attempt", entry.attempt > 1 && String(entry.attempt)],
      [origin ? "reused" : "executed", [details?.because && visible(details.because), origin && `from ${visible(origin.run_id)}`].filter(Boolean).join(", ")],
      ["read", reads.length > 0 && el("span", { class: "links" }, reads)],
      ["model", tokens({ ...entry.usage, cost: entry.cost })],
      ["summary", entry.summary && visible(entry.summary)],
    ]),
    missing,
    part(details?.transcript, (transcript) => conversation(transcript), `${show} --messages`, "conversation"),
    part(details?.changes, (changes) => section("Changes", changes.map((/** @type {any} */ change) => diffBlock(change.path, change.diff))), show, "list of changes"),
    part(details?.result, (value) => outcome(value, node, Boolean(messages)), show, "result"),
    result && settings(result),
    details?.files?.length > 0 && section(`Files (${details.files.length})`, el("div", { class: "files" }, details.files.map((/** @type {any} */ file) => fileCard(file, run, node)))),
    section("In the terminal", commandLine(show), commandLine(run.command("runs why", node.path)), result?.outcome !== undefined && commandLine(run.command("runs get", `${node.path}.outcome`)), commandLine(run.command("runs logs", node.path))),
  );
}
