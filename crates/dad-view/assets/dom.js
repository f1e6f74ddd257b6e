// Elements of the page. Every text of a run becomes a text node; nothing here takes markup.

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | Child[]} Child */

/**
 * Makes an element. Names of attributes are those of the page itself, never of a run.
 * @param {string} name
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} attributes
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/**
 * @param {Element | DocumentFragment} parent
 * @param {Child[]} children
 */
export function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child === null || child === undefined || child === false) continue;
    else parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replaces everything in an element.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * The JSON of an element of the page.
 * @param {Element | null} element
 * @returns {any}
 */
export function jsonOf(element) {
  return JSON.parse(element?.textContent ?? "null");
}

const live = el("div", { class: "hidden", role: "status", "aria-live": "polite" });

/** The region that a screen reader follows. */
export function liveRegion() {
  return live;
}

/**
 * Says a sentence to users of screen readers.
 * @param {string} sentence
 */
export function announce(sentence) {
  live.textContent = sentence;
}

/**
 * A button that copies a text.
 * @param {string | (() => string)} text
 * @param {string} label
 * @param {string} [shown]
 */
export function copyButton(text, label, shown = "copy") {
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": label, title: label }, shown);
  button.addEventListener("click", async () => {
    const done = await copy(typeof text === "string" ? text : text());
    button.textContent = done ? "copied" : "not copied";
    announce(done ? "Copied." : "The browser refused to copy.");
    setTimeout(() => (button.textContent = shown), 1500);
  });
  return button;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without the permission of the browser a selection can still be copied.
    const area = /** @type {HTMLTextAreaElement} */ (el("textarea", { class: "hidden", "aria-hidden": "true" }));
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/**
 * A command line to copy.
 * @param {string} line
 */
export function commandLine(line) {
  return el("div", { class: "command" }, el("code", {}, line), copyButton(line, `Copy the command ${line}`));
}

/**
 * A text that leads to another part of the page.
 * @param {Child} shown
 * @param {() => void} onOpen
 */
export function linkTo(shown, onOpen) {
  return el("button", { type: "button", class: "quiet link", click: onOpen }, shown);
}

/**
 * A part of the page that is made anew when its data changed. The element with the focus keeps it, by its place in the part.
 * @template T
 * @param {(data: T) => Child} make
 * @returns {{ element: HTMLElement, show: (data: T) => void }}
 */
export function block(make) {
  const element = el("div", {});
  let shown = "";
  /** @param {T} data */
  const show = (data) => {
    const json = JSON.stringify(data) ?? "";
    if (json === shown) return;
    shown = json;
    const reachable = () => /** @type {HTMLElement[]} */ ([...element.querySelectorAll("button, a, input, select, summary, [tabindex]")]);
    const focused = reachable().findIndex((one) => one === document.activeElement);
    fill(element, make(data));
    if (focused >= 0) reachable()[focused]?.focus({ preventScroll: true });
  };
  return { element, show };
}

/**
 * Executes something once the page has been painted as it is now.
 * @param {() => void} act
 */
export function afterPaint(act) {
  requestAnimationFrame(() => setTimeout(act, 0));
}

/**
 * A function that executes at most once in a time, and once more behind the last call; the first time behind the next paint.
 * @param {number} ms
 * @param {() => void} act
 */
export function atMostEvery(ms, act) {
  /** @type {number | undefined} */
  let last;
  let isWaiting = false;
  const now = () => {
    isWaiting = false;
    last = performance.now();
    act();
  };
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    if (last === undefined) afterPaint(now);
    else setTimeout(now, Math.max(0, last + ms - performance.now()));
  };
}
