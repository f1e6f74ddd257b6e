// What is around each view: the bar, the keys, light and dark.
import { announce, el, fill, liveRegion } from "./dom.js";

/** The name under which the browser keeps the choice between light and dark. */
const THEME = "dhenara-theme";

/** The keys of every view. */
const COMMON_KEYS = [["d", "light or dark"], ["?", "these keys"]];

/**
 * What a view puts into the frame.
 * @typedef {object} Shape
 * @property {import("./dom.js").Child[]} start at the beginning of the bar
 * @property {import("./dom.js").Child[]} end at its end
 * @property {HTMLElement} body
 * @property {string[][]} keys
 * @property {Record<string, () => void>} actions by their key
 */

export class Frame {
  constructor() {
    /** @type {Record<string, () => void>} */
    this.actions = {};
    this.dialog = /** @type {HTMLDialogElement} */ (el("dialog", { "aria-label": "Keys" }));
    const kept = keptTheme();
    if (kept) document.documentElement.dataset.theme = kept;
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {Shape} shape */
  show({ start, end, body, keys, actions }) {
    const showKeys = () => this.dialog.showModal();
    this.actions = { ...actions, "?": showKeys, d: switchTheme };
    const bar = el(
      "header",
      {},
      start,
      el("span", { class: "spring" }),
      end,
      el("button", { type: "button", class: "quiet", title: "Light or dark (d)", "aria-label": "Light or dark", click: switchTheme }, "◐"),
      el("button", { type: "button", class: "quiet", title: "Keys (?)", "aria-label": "Keys", click: showKeys }, "?"),
    );
    const list = [...keys, ...COMMON_KEYS].flatMap(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)]);
    fill(this.dialog, el("h2", {}, "Keys"), el("dl", { class: "facts" }, list), el("form", { method: "dialog" }, el("button", {}, "close")));
    fill(/** @type {Element} */ (document.getElementById("page")), bar, body, this.dialog, liveRegion());
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { target } = event;
    const isTyping = target instanceof HTMLElement && target.matches("input:not([type=range]), select, textarea, dialog *");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !this.actions[event.key]) return;
    event.preventDefault();
    this.actions[event.key]();
  }
}

function keptTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    // The browser keeps nothing for this page.
    return null;
  }
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  announce(`${root.dataset.theme} colours`);
  try {
    localStorage.setItem(THEME, root.dataset.theme);
  } catch {
    // The choice holds for this view.
  }
}
