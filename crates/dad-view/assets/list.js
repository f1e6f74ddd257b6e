// A long list of which only the rows in sight are elements.
import { el } from "./dom.js";

/** The rows above and below those in sight. */
const SPARE = 8;
/** The most rows that are elements, on a screen of any height. */
const MOST_DRAWN = 160;

/** @template T */
export class RowList {
  /**
   * @param {{ rowHeight: number, row: (item: T, index: number) => HTMLElement, attributes: Record<string, any>, spaceRole?: string, head?: HTMLElement }} options a head stays above the rows
   */
  constructor({ rowHeight, row, attributes, spaceRole = "presentation", head }) {
    this.rowHeight = rowHeight;
    this.row = row;
    /** @type {T[]} */
    this.items = [];
    /** @type {Map<number, HTMLElement>} the rows that are elements, by their index */
    this.drawn = new Map();
    this.space = el("div", { class: "space", role: spaceRole });
    this.head = head;
    this.element = el("div", attributes, head, this.space);
    this.element.addEventListener("scroll", () => this.draw(false));
    new ResizeObserver(() => this.draw(false)).observe(this.element);
  }

  /** @param {T[]} items */
  show(items) {
    this.items = items;
    this.space.style.height = `${items.length * this.rowHeight}px`;
    this.draw();
  }

  /** The rows in sight and the spare ones: the first, and the one behind the last. */
  get range() {
    const seen = Math.ceil(this.element.clientHeight / this.rowHeight);
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.rowHeight) - SPARE);
    return { first, end: Math.min(this.items.length, first + Math.min(seen + 2 * SPARE, MOST_DRAWN)) };
  }

  /**
   * Draws the rows in sight.
   * @param {boolean} isChanged whether rows that were drawn before may look different now
   */
  draw(isChanged = true) {
    const { first, end } = this.range;
    const focused = [...this.drawn].find(([, row]) => row.contains(document.activeElement))?.[0];
    const rows = new Map();
    for (let index = first; index < end; index += 1) {
      const row = (!isChanged && this.drawn.get(index)) || this.row(this.items[index], index);
      row.style.transform = `translateY(${index * this.rowHeight}px)`;
      rows.set(index, row);
    }
    for (const [index, row] of this.drawn) {
      if (rows.get(index) !== row) row.remove();
    }
    let before = null;
    for (const row of rows.values()) {
      if (row.parentNode !== this.space) before ? before.after(row) : this.space.prepend(row);
      before = row;
    }
    this.drawn = rows;
    if (focused === undefined || !isChanged) return;
    const again = /** @type {HTMLElement | null | undefined} */ (rows.get(focused)?.querySelector("button, a, [tabindex]"));
    again?.focus({ preventScroll: true });
  }

  /** @param {number} index */
  reveal(index) {
    const top = index * this.rowHeight;
    const { scrollTop } = this.element;
    const clientHeight = this.element.clientHeight - (this.head?.offsetHeight ?? 0);
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
    this.draw();
  }
}
