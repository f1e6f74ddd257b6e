// Elements of the page. Every text of a run becomes a text node; nothing here takes markup.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. Names of attributes are those of the page itself, never of a run.
 * @param {string} name
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} attributes
 * @param {...(Child | Child[])} children
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
 * @param {(Child | Child[])[]} children
 */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replaces everything in an element.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
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
 * @param {string} text
 * @param {string} label
 * @param {string} [shown]
 */
export function copyButton(text, label, shown = "copy") {
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": label, title: label }, shown);
  button.addEventListener("click", async () => {
    const done = await copy(text);
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
