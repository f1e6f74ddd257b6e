// Output and files that are longer than a page: read in pieces, when a person looks at them.
import { commandLine, el, fill } from "./dom.js";
import { printed } from "./ansi.js";
import { jsonTree } from "./json.js";
import { prose } from "./markdown.js";
import { size, visible } from "./text.js";

/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./source.js").Lines} Lines */

/** The bytes of a file that are read at once. */
const PIECE = 256 * 1024;
/** The longest picture that is loaded, in bytes. */
const LONGEST_PICTURE = 32_000_000;
/** The characters of live output that stay in the page. */
const KEPT_OUTPUT = 400_000;
/** The time between two questions for the output of a step that runs, in milliseconds. */
const NEXT_LINES = 700;

/** The first bytes of pictures that execute nothing. SVG is none of them, and shown as text. */
const PICTURES = /** @type {[string, (bytes: Uint8Array) => boolean][]} */ ([
  ["image/png", (bytes) => begins(bytes, 0, [0x89, 0x50, 0x4e, 0x47])],
  ["image/jpeg", (bytes) => begins(bytes, 0, [0xff, 0xd8, 0xff])],
  ["image/gif", (bytes) => begins(bytes, 0, [0x47, 0x49, 0x46, 0x38])],
  ["image/webp", (bytes) => begins(bytes, 0, [0x52, 0x49, 0x46, 0x46]) && begins(bytes, 8, [0x57, 0x45, 0x42, 0x50])],
]);

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number[]} wanted
 */
function begins(bytes, at, wanted) {
  return wanted.every((byte, index) => bytes[at + index] === byte);
}

/**
 * The kind of a picture by its first bytes, whatever its name says.
 * @param {Uint8Array} bytes
 */
export function pictureKind(bytes) {
  return PICTURES.find(([, fits]) => fits(bytes))?.[0] ?? null;
}

/**
 * The whole characters of some bytes; null if they are no text.
 * @param {Uint8Array} bytes
 */
function textOf(bytes) {
  // A piece may begin and end within a character.
  let from = 0;
  while (from < 3 && (bytes[from] & 0xc0) === 0x80) from += 1;
  const text = new TextDecoder().decode(bytes.subarray(from), { stream: true });
  return text.includes("\0") ? null : text;
}

/**
 * A text as its kind of file is read.
 * @param {string} text
 * @param {string} name
 */
export function textOfFile(text, name) {
  if (name.endsWith(".md")) return prose(text);
  if (name.endsWith(".json")) {
    try {
      return jsonTree(JSON.parse(text), "", "the file");
    } catch {
      // It is shown as the text that it is.
    }
  }
  return printed(text, `Content of ${visible(name)}`);
}

/**
 * A file, of which a piece is in the page.
 * @param {Source} source
 * @param {string} path
 * @param {string} name
 * @param {number} length in bytes
 */
export function longFile(source, path, name, length) {
  const read = /** @type {NonNullable<Source["artifact"]>} */ (source.artifact).bind(source);
  const shown = el("div", { class: "piece" });
  const place = el("span", { class: "dim time-range" });
  let from = 0;
  /** @param {number} at */
  const show = async (at) => {
    from = Math.max(0, Math.min(at, length - 1));
    shown.setAttribute("aria-busy", "true");
    try {
      const { bytes } = await read(path, name, from, PIECE);
      fill(shown, await content(bytes));
    } catch (error) {
      fill(shown, el("p", { class: "box failed" }, visible(error instanceof Error ? error.message : error)));
    }
    shown.removeAttribute("aria-busy");
    place.textContent = `${size(from)} to ${size(Math.min(from + PIECE, length))} of ${size(length)}`;
    first.disabled = before.disabled = from === 0;
    next.disabled = last.disabled = from + PIECE >= length;
  };
  /** @param {Uint8Array<ArrayBuffer>} bytes */
  const content = async (bytes) => {
    const kind = from === 0 ? pictureKind(bytes) : null;
    if (kind && length <= LONGEST_PICTURE) {
      const whole = length > bytes.length ? (await read(path, name, 0, length)).bytes : bytes;
      return picture(new Blob([whole], { type: kind }), name);
    }
    const text = textOf(bytes);
    if (text === null) return el("p", { class: "dim" }, "The file is neither text nor a picture.");
    return length <= PIECE ? textOfFile(text, name) : printed(text, `A piece of ${visible(name)}`);
  };
  const button = (/** @type {string} */ shown, /** @type {string} */ label, /** @type {() => number} */ to) =>
    /** @type {HTMLButtonElement} */ (el("button", { type: "button", class: "quiet", "aria-label": label, title: label, click: () => void show(to()) }, shown));
  const first = button("⇤", "The beginning", () => 0);
  const before = button("←", "The piece before", () => from - PIECE);
  const next = button("→", "The next piece", () => from + PIECE);
  const last = button("⇥", "The end", () => length - PIECE);
  void show(0);
  const tools = length > PIECE && el("div", { class: "tools" }, first, before, next, last, place);
  return el("div", {}, tools, shown, commandLine(source.command("runs path", path)));
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function picture(blob, name) {
  const address = URL.createObjectURL(blob);
  const forget = () => URL.revokeObjectURL(address);
  return el("img", { src: address, alt: visible(name), class: "picture", load: forget, error: forget });
}

/**
 * The output of a step, as it comes. Its end stays in sight while it is in sight.
 * @param {Source} source
 * @param {string} path
 * @param {boolean} isRunning
 */
export function liveOutput(source, path, isRunning) {
  const read = /** @type {NonNullable<Source["lines"]>} */ (source.lines).bind(source);
  const skipped = el("p", { class: "dim" });
  const shown = el("div", { class: "live-output", tabindex: 0, role: "log", "aria-label": "Output of the step", "aria-live": "off" });
  const state = el("p", { class: "dim" }, "No output yet.");
  const element = el("div", {}, skipped, shown, state);
  /** @type {string | undefined} */
  let after;
  let kept = 0;
  let isGone = false;
  /** @param {Lines} answer */
  const add = ({ lines, skipped: left }) => {
    const isAtEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
    for (const [stream, text] of together(lines)) {
      const part = printed(text, stream);
      for (const name of ["tabindex", "role", "aria-label"]) part.removeAttribute(name);
      part.className = `part ${stream === "stderr" ? "stderr" : ""}`;
      part.dataset.length = String(text.length);
      shown.append(part);
      kept += text.length;
    }
    while (kept > KEPT_OUTPUT && shown.childElementCount > 1) {
      const oldest = /** @type {HTMLElement} */ (shown.firstElementChild);
      kept -= Number(oldest.dataset.length);
      oldest.remove();
      skipped.textContent = "Earlier output is in the files of the step.";
    }
    if (left) skipped.textContent = `The first ${size(left)} are in the files of the step.`;
    if (isAtEnd) shown.scrollTop = shown.scrollHeight;
  };
  const ask = async () => {
    let wait = NEXT_LINES;
    try {
      const answer = await read(path, after);
      after = answer.next;
      if (answer.lines.length > 0) add(answer);
      if (answer.ended) isGone = true;
      state.textContent = answer.ended ? (kept === 0 ? "It printed nothing." : "") : kept === 0 ? "No output yet." : "The step is running.";
    } catch (error) {
      state.textContent = `The output cannot be read: ${error instanceof Error ? error.message : error}`;
      wait = 5 * NEXT_LINES;
    }
    if (!isGone && element.isConnected && isRunning) setTimeout(ask, wait);
  };
  // The element is in the page by then.
  setTimeout(ask, 0);
  return element;
}

/**
 * Lines that follow each other from one stream, as one text.
 * @param {import("./source.js").Line[]} lines
 * @returns {[string, string][]}
 */
function together(lines) {
  /** @type {[string, string][]} */
  const parts = [];
  for (const { source, text } of lines) {
    const last = parts[parts.length - 1];
    if (last?.[0] === source) last[1] += `\n${text}`;
    else parts.push([source, text]);
  }
  return parts;
}
