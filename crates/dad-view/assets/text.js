// Numbers, times and texts of runs in the form in which people read them.
import { el } from "./dom.js";

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  const hours = Math.floor(whole / 3600);
  return hours < 24
    ? `${hours}h ${two(Math.floor((whole % 3600) / 60))}m`
    : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} count */
export function number(count) {
  return count.toLocaleString("en-US");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number | null | undefined} dollars */
export function cost(dollars) {
  if (dollars === null || dollars === undefined) return "";
  if (dollars === 0) return "$0";
  return dollars < 0.01 ? `$${dollars.toPrecision(2)}` : `$${dollars.toFixed(2)}`;
}

/**
 * A time relative to now.
 * @param {string} timestamp
 */
export function ago(timestamp) {
  const past = Date.now() - Date.parse(timestamp);
  return past < 60_000 ? "just now" : `${duration(past).replace(/ \d+\w$/u, "")} ago`;
}

/**
 * A time relative to now, with the exact one as its tooltip.
 * @param {string} timestamp
 */
export function when(timestamp) {
  const at = Date.parse(timestamp);
  if (Number.isNaN(at)) return el("span", {}, visible(timestamp));
  return el("time", { datetime: new Date(at).toISOString(), title: visible(timestamp), tabindex: 0 }, ago(timestamp));
}

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/**
 * A text whose control characters and marks of direction are shown as escapes, so that it is what it seems.
 * @param {unknown} text
 */
export function visible(text) {
  return String(text)
    .replace(/\r\n/gu, "\n")
    .replace(HIDDEN, (found) => `\\u{${/** @type {number} */ (found.codePointAt(0)).toString(16)}}`);
}

/**
 * A text in one line, cut at a length.
 * @param {unknown} text
 * @param {number} length
 */
export function oneLine(text, length) {
  const line = visible(text).replace(/\s+/gu, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/**
 * A word as a shell reads it.
 * @param {string} word
 */
export function quoted(word) {
  return /^[\w@%+=:,./~-]+$/u.test(word) ? word : `'${word.replace(/'/gu, "'\\''")}'`;
}
