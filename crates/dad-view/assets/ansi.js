// The printed output of commands, with the colours that its escape sequences ask for.
import { el } from "./dom.js";
import { visible } from "./text.js";

// Sequences of control (CSI), of the operating system (OSC), and the short ones.
const SEQUENCE = /\u001b\[([0-9;:]*)([ -/]*[@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[@-Z\\-_]/gu;

/** @typedef {{ bold: boolean, dim: boolean, italic: boolean, underline: boolean, colour: string }} Look */

/** @returns {Look} */
function plain() {
  return { bold: false, dim: false, italic: false, underline: false, colour: "" };
}

/**
 * The class of a colour of the palette of 256; the nearest of the 16 for those above.
 * @param {number} index
 */
function paletteColour(index) {
  if (index < 16) return `c${index}`;
  if (index >= 232) return index < 244 ? "c8" : "c7";
  const cube = index - 16;
  const bits = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((part) => (part >= 3 ? 1 : 0));
  return `c${bits[0] + 2 * bits[1] + 4 * bits[2]}`;
}

/**
 * @param {Look} look
 * @param {number[]} codes
 * @returns {Look}
 */
function changed(look, codes) {
  let now = { ...look };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) now = plain();
    else if (code === 1) now.bold = true;
    else if (code === 2) now.dim = true;
    else if (code === 3) now.italic = true;
    else if (code === 4) now.underline = true;
    else if (code === 22) now.bold = now.dim = false;
    else if (code === 23) now.italic = false;
    else if (code === 24) now.underline = false;
    else if (code >= 30 && code <= 37) now.colour = `c${code - 30}`;
    else if (code >= 90 && code <= 97) now.colour = `c${code - 82}`;
    else if (code === 39) now.colour = "";
    else if (code === 38 || code === 48) {
      if (codes[at + 1] === 5 && code === 38) now.colour = paletteColour(codes[at + 2] ?? 0);
      at += codes[at + 1] === 5 ? 2 : 4;
    }
  }
  return now;
}

/**
 * @param {string} text
 * @param {Look} look
 */
function piece(text, look) {
  const names = [look.bold && "bold", look.dim && "dim", look.italic && "italic", look.underline && "underline", look.colour];
  const classes = names.filter(Boolean).join(" ");
  return classes === "" ? visible(text) : el("span", { class: classes }, visible(text));
}

/**
 * A block with printed output.
 * @param {string} text
 * @param {string} label
 */
export function printed(text, label) {
  const block = el("pre", { class: "printed", tabindex: 0, "aria-label": label, role: "region" });
  let look = plain();
  let from = 0;
  for (const found of text.matchAll(SEQUENCE)) {
    if (found.index > from) block.append(piece(text.slice(from, found.index), look));
    from = found.index + found[0].length;
    if (found[2] === "m") look = changed(look, (found[1] || "0").split(/[;:]/u).map(Number));
  }
  if (from < text.length) block.append(piece(text.slice(from), look));
  return block;
}
