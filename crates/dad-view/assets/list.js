// A long list of which only the rows in sight are elements.
import { el } from "./dom.js";

/** The rows above and below those in sight. */
const SPARE = 8;
/** The most rows that are elements, on a screen of any height. */
const MOST_DRAWN = 160;

/** @template T */
export class RowList {
  /**
   * @param {{ rowHeight: number, row: (item: T, index: number) => HTMLElement, attributes: Record<string, any> }} options
   */
  constructor({ rowHeight, row, attributes }) {
    this.rowHeight = rowHeight;
    this.row = row;
    /** @type {T[]} */
    this.items = [];
    this.space = el("div", { class: "space", role: "presentation" });
    this.element = el("div", attributes, this.space);
    this.element.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** @param {T[]} items */
  show(items) {
    this.items = items;
    this.space.style.height = `${items.length * this.rowHeight}px`;
    this.draw();
  }

  draw() {
    const seen = Math.ceil(this.element.clientHeight / this.rowHeight);
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.rowHeight) - SPARE);
    const end = Math.min(this.items.length, first + Math.min(seen + 2 * SPARE, MOST_DRAWN));
    const rows = [];
    for (let index = first; index < end; index += 1) {
      const row = this.row(this.items[index], index);
      row.style.transform = `translateY(${index * this.rowHeight}px)`;
      rows.push(row);
    }
    this.space.replaceChildren(...rows);
  }

  /** @param {number} index */
  reveal(index) {
    const top = index * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
    this.draw();
  }
}
