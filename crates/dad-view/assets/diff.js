// Changes of files, line by line.
import { el } from "./dom.js";
import { visible } from "./text.js";

/** The lines that are shown at once. */
const MOST_LINES = 2000;

/** @param {string} line */
function kindOf(line) {
  if (line.startsWith("@@")) return "hunk";
  if (line.startsWith("+++") || line.startsWith("---")) return "file";
  if (line.startsWith("+")) return "added";
  return line.startsWith("-") ? "removed" : "same";
}

/**
 * @param {string} path
 * @param {string} text
 */
export function diffBlock(path, text) {
  const lines = text.replace(/\n$/u, "").split("\n");
  const shown = (/** @type {string[]} */ some) => some.map((line) => el("span", { class: kindOf(line) }, visible(line) + "\n"));
  const block = el("pre", { class: "diff", tabindex: 0, role: "region", "aria-label": `Changes of ${visible(path)}` }, shown(lines.slice(0, MOST_LINES)));
  const added = lines.filter((line) => kindOf(line) === "added").length;
  const removed = lines.filter((line) => kindOf(line) === "removed").length;
  const details = el("details", { class: "card", open: lines.length <= 200 },
    el("summary", {}, el("span", { class: "mono" }, visible(path)), el("span", { class: "added" }, `+${added}`), el("span", { class: "removed" }, `−${removed}`)), block);
  if (lines.length > MOST_LINES) {
    const button = el("button", { type: "button", class: "quiet" }, `show all ${lines.length} lines`);
    button.addEventListener("click", () => {
      button.remove();
      block.replaceChildren(...shown(lines));
    });
    details.append(button);
  }
  return details;
}
