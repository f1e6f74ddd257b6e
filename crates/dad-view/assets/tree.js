// The tree of a run: components to fold, steps to open. What is folded is not loaded.
import { afterPaint, announce, el } from "./dom.js";
import { RowList } from "./list.js";
import { GROUP, PORTION_OF_CHILDREN, SIGNS, SMALL_LOOP, cellStatus, isStep, parentOf } from "./source.js";
import { counted, duration, number, oneLine, visible } from "./text.js";

/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./source.js").Cell} Cell */

/**
 * A row: a node, a group of children, or one of both that is not loaded yet.
 * @typedef {object} Place
 * @property {TreeNode | null} node
 * @property {Cell | null} group
 * @property {Place | null} parent
 * @property {number} index in the family
 * @property {number} depth
 * @property {boolean} open
 * @property {Family | null} family what is below it, once it was opened
 */

/**
 * The rows below a row. Those of a group begin with a later child.
 * @typedef {object} Family
 * @property {string | null} of the path of the node that has the children
 * @property {number} first
 * @property {boolean} isGrouped
 * @property {Place[]} places
 * @property {Set<number>} asked the portions that are loaded or on their way
 */

const TREE_ROW = 28;
/** The cells of a loop within its row. */
const CELLS_IN_ROW = 20;
/** Changes of a long loop are drawn at most this often, in milliseconds. */
const REGROUP = 2000;
/** The results of a search. */
const MOST_FOUND_STEPS = 200;

/**
 * The sign of a status.
 * @param {string} status
 * @param {boolean} [reused]
 */
export function sign(status, reused = false) {
  const name = reused && status === "completed" ? "reused" : status;
  return el("span", { class: `sign ${SIGNS[name] ? name : "pending"}`, title: visible(name), "aria-hidden": "true" }, SIGNS[name] ?? "·");
}

/** @param {TreeNode} node */
function summaryOf(node) {
  const failed = node.failed > 0 && !isStep(node) ? `${number(node.failed)} failed` : "";
  if (node.is_loop) return [counted(node.children, "iteration"), failed].filter(Boolean).join(", ");
  if (!isStep(node)) return failed;
  if (node.status === "waiting") return `waits for ${node.asks_for ?? "an answer"}`;
  const text = node.status === "failed" ? (node.error?.message ?? node.summary) : node.summary;
  return text ? oneLine(text, 120) : "";
}

export class Tree {
  /**
   * @param {Source} source
   * @param {(path: string) => void} onOpen
   */
  constructor(source, onOpen) {
    this.source = source;
    this.onOpen = onOpen;
    /** @type {Map<string, Place>} */
    this.byPath = new Map();
    /** @type {Family} */
    this.roots = { of: null, first: 0, isGrouped: false, places: [], asked: new Set() };
    /** @type {Place | null} */
    this.current = null;
    /** @type {Place[] | null} what a search found */
    this.found = null;
    this.wanted = "";
    /** @type {Map<string, { cells: string[], of: string, asked: number }>} the cells of loops by their path */
    this.strips = new Map();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.regrouping = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.redrawing = undefined;
    /** @type {RowList<Place>} */
    this.list = new RowList({
      rowHeight: TREE_ROW,
      row: (place, index) => this.row(place, index),
      attributes: { class: "tree", role: "tree", tabindex: 0, "aria-label": "Components and steps", id: "tree", keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
    });
  }

  get element() {
    return this.list.element;
  }

  /** Loads the roots, with what is below them in a small run. */
  async start() {
    const { nodes, total } = await this.source.children(null, 0, PORTION_OF_CHILDREN);
    this.grow(this.roots, null, total);
    this.roots.asked.add(0);
    nodes.forEach((node, index) => this.adopt(this.roots.places[index], node));
    this.current = this.roots.places[0] ?? null;
    this.refresh();
  }

  /**
   * @param {Family} family
   * @param {Place | null} parent
   * @param {number} total
   */
  grow(family, parent, total) {
    for (let index = family.places.length; index < total; index += 1) {
      family.places.push({ node: null, group: null, parent, index, depth: parent ? parent.depth + 1 : 0, open: false, family: null });
    }
  }

  /**
   * Puts a node in its place, with everything that came with it.
   * @param {Place} place
   * @param {TreeNode} node
   */
  adopt(place, node) {
    if (place.node && place.node.path !== node.path) place.family = null;
    const { inner, ...own } = node;
    place.node = own;
    this.byPath.set(node.path, place);
    if (!inner || place.family) return;
    place.family = { of: node.path, first: 0, isGrouped: false, places: [], asked: new Set([0]) };
    place.open = true;
    this.grow(place.family, place, inner.length);
    inner.forEach((child, index) => this.adopt(/** @type {Family} */ (place.family).places[index], child));
  }

  /**
   * What is below a place. Its rows are loaded when they are drawn.
   * @param {Place} place
   * @returns {Promise<Family | null>}
   */
  async familyOf(place) {
    if (place.family) return place.family;
    const { node, group } = place;
    if (group) {
      place.family = { of: this.owner(place), first: group.from, isGrouped: false, places: [], asked: new Set() };
      this.grow(place.family, place, group.count);
    } else if (node && node.children > GROUP) {
      const { cells } = await this.source.ranges(node.path, { length: GROUP });
      if (place.family) return place.family;
      place.family = { of: node.path, first: 0, isGrouped: true, places: [], asked: new Set() };
      this.grow(place.family, place, cells.length);
      cells.forEach((cell, index) => (/** @type {Family} */ (place.family).places[index].group = cell));
    } else if (node && node.children > 0) {
      await this.load(this.emptyFamily(place, node), 0);
    }
    return place.family;
  }

  /**
   * A family whose rows are loaded when they are drawn, unless they come before.
   * @param {Place} place
   * @param {TreeNode} node
   */
  emptyFamily(place, node) {
    place.family = { of: node.path, first: 0, isGrouped: false, places: [], asked: new Set() };
    this.grow(place.family, place, node.children);
    return place.family;
  }

  /** @param {Place} place of a group */
  owner(place) {
    return place.parent?.node?.path ?? null;
  }

  /**
   * Loads the portion with an index.
   * @param {Family} family
   * @param {number} index
   */
  async load(family, index) {
    const portion = Math.floor(index / PORTION_OF_CHILDREN);
    if (family.asked.has(portion)) return;
    family.asked.add(portion);
    const from = portion * PORTION_OF_CHILDREN;
    try {
      const { nodes, total } = await this.source.children(family.of, family.first + from, PORTION_OF_CHILDREN);
      const parent = family.places[0]?.parent ?? null;
      if (!parent?.group) this.grow(family, parent, total);
      nodes.forEach((node, at) => family.places[from + at] && this.adopt(family.places[from + at], node));
      this.refresh();
    } catch (error) {
      family.asked.delete(portion);
      announce(`The tree cannot be loaded: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Loads the rows in sight anew, after more changes than were said. */
  async reload() {
    if (this.found) return;
    /** @type {Map<Family, Set<number>>} */
    const portions = new Map();
    for (const index of this.list.drawn.keys()) {
      const place = this.list.items[index];
      const family = place?.parent ? place.parent.family : this.roots;
      if (!family || family.isGrouped) continue;
      portions.set(family, (portions.get(family) ?? new Set()).add(Math.floor(place.index / PORTION_OF_CHILDREN)));
    }
    for (const [family, all] of portions) {
      for (const portion of all) {
        family.asked.delete(portion);
        await this.load(family, portion * PORTION_OF_CHILDREN);
      }
    }
  }

  /**
   * Shows what has a text in its path or summary, instead of the tree.
   * @param {string} wanted
   */
  async filter(wanted) {
    this.wanted = wanted.trim();
    if (this.wanted === "") this.found = null;
    else {
      const query = this.wanted.toLowerCase() === "failed" ? { status: "failed" } : { text: this.wanted };
      const { found, more } = await this.source.find({ ...query, limit: MOST_FOUND_STEPS });
      if (this.wanted !== wanted.trim()) return;
      this.found = found.map((node, index) => ({ node, group: null, parent: null, index, depth: 0, open: false, family: null }));
      announce(found.length === 0 ? "Nothing has this text." : `${more ? "More than " : ""}${counted(found.length, "result")}`);
      this.current = this.found.find(({ node }) => node?.path === this.current?.node?.path) ?? this.found[0] ?? this.current;
    }
    if (this.found === null && this.current?.node) await this.select(this.current.node.path);
    this.refresh();
    if (this.found) this.element.scrollTop = 0;
  }

  refresh() {
    if (this.found) return this.list.show(this.found);
    /** @type {Place[]} */
    const shown = [];
    const open = [...this.roots.places].reverse();
    while (open.length > 0) {
      const place = /** @type {Place} */ (open.pop());
      shown.push(place);
      if (!place.open || !place.family) continue;
      const { places } = place.family;
      for (let index = places.length - 1; index >= 0; index -= 1) open.push(places[index]);
    }
    this.list.show(shown);
  }

  /**
   * @param {Place} place
   * @param {number} index
   */
  row(place, index) {
    const isCurrent = place === this.current;
    if (isCurrent) this.element.setAttribute("aria-activedescendant", `row-${index}`);
    const family = place.parent ? place.parent.family : this.roots;
    const isOpen = place.open && place.family !== null;
    const hasInner = place.group !== null || (place.node?.children ?? 0) > 0;
    const row = el("div", {
      class: `row${isCurrent ? " current" : ""}${place.node && isStep(place.node) ? "" : " component"}`,
      role: "treeitem", id: `row-${index}`, "aria-level": place.depth + 1, "aria-selected": isCurrent,
      "aria-expanded": hasInner && !this.found ? String(isOpen) : undefined,
      "aria-setsize": this.found ? this.found.length : family?.places.length, "aria-posinset": place.index + 1,
    });
    row.style.paddingInlineStart = `${8 + Math.min(place.depth, 12) * 14}px`;
    const twisty = el("span", { class: `twisty${hasInner ? "" : " none"}`, "aria-hidden": "true" }, hasInner && !this.found ? (isOpen ? "▾" : "▸") : "");
    twisty.addEventListener("click", (event) => {
      event.stopPropagation();
      void this.fold(place, !isOpen);
    });
    row.addEventListener("click", () => this.choose(place));
    row.append(twisty, ...(place.node ? this.cellsOf(place.node) : place.group ? this.cellsOfGroup(place.group, place) : [el("span", { class: "dim" }, "…")]));
    if (place.node) row.title = visible(place.node.path);
    else if (!place.group && family) void this.load(family, place.index);
    return row;
  }

  /**
   * @param {TreeNode} node
   * @returns {HTMLElement[]}
   */
  cellsOf(node) {
    const strip = node.is_loop && el("span", { class: "strip small", "aria-hidden": "true" }, this.strip(node).map((status) => el("i", { class: status })));
    const status = el("span", { class: "hidden" }, `, ${node.reused ? "reused, " : ""}${visible(node.status)}, `);
    const text = this.found ? visible(parentOf(node.path) ?? "") : summaryOf(node);
    const time = node.duration_ms === undefined || node.duration_ms === null ? "" : duration(node.duration_ms);
    const cells = [sign(node.status, node.reused), el("span", { class: "name" }, visible(node.name)), status, strip, el("span", { class: "summary" }, text), el("span", { class: "time" }, time)];
    return /** @type {HTMLElement[]} */ (cells.filter(Boolean));
  }

  /**
   * @param {Cell} group
   * @param {Place} place
   */
  cellsOfGroup(group, place) {
    const isLoop = place.parent?.node?.is_loop;
    const name = `${isLoop ? "iterations " : ""}${number(group.from)} to ${number(group.from + group.count - 1)}`;
    return [sign(group.status), el("span", { class: "name" }, name), el("span", { class: "hidden" }, `, ${visible(group.status)}`), el("span", { class: "summary" }, group.failed > 0 ? `${number(group.failed)} failed` : "")];
  }

  /**
   * The cells of a loop, as far as they are known; asks for them otherwise.
   * @param {TreeNode} node
   */
  strip(node) {
    const places = this.byPath.get(node.path)?.family;
    if (places && !places.isGrouped && places.places.length <= CELLS_IN_ROW && places.places.every((place) => place.node)) {
      return places.places.map((place) => cellStatus(/** @type {TreeNode} */ (place.node)));
    }
    const known = this.strips.get(node.path) ?? { cells: [], of: "", asked: -REGROUP };
    const of = `${node.children} ${node.failed} ${node.status}`;
    const wait = known.asked + REGROUP - performance.now();
    if (known.of !== of && wait <= 0) this.askForStrip(node, { ...known, of, asked: performance.now() });
    else if (known.of !== of) this.redrawing ??= setTimeout(() => ((this.redrawing = undefined), this.list.draw()), wait);
    return known.cells;
  }

  /**
   * @param {TreeNode} node
   * @param {{ cells: string[], of: string, asked: number }} strip
   */
  askForStrip(node, strip) {
    this.strips.set(node.path, strip);
    afterPaint(async () => {
      const { cells } = await this.source.ranges(node.path, { cells: CELLS_IN_ROW }).catch(() => ({ cells: /** @type {Cell[]} */ ([]) }));
      this.strips.set(node.path, { ...strip, cells: cells.map(cellStatus) });
      this.list.draw();
    });
  }

  /** @param {Place} place */
  choose(place) {
    this.current = place;
    this.list.draw();
    if (place.node) this.onOpen(place.node.path);
    else if (place.group) void this.fold(place, !place.open);
  }

  /**
   * @param {Place} place
   * @param {boolean} open
   */
  async fold(place, open) {
    place.open = open;
    if (open) await this.familyOf(place);
    this.refresh();
  }

  /**
   * Makes a node the current one, and unfolds what is around it.
   * @param {string} path
   * @returns {Promise<TreeNode | null>} null if the run has no such part
   */
  async select(path) {
    const place = this.byPath.get(path) ?? (await this.reach(path));
    if (!place) return null;
    if (this.found) {
      this.current = this.found.find(({ node }) => node?.path === path) ?? this.current;
      if (this.current?.node?.path !== path) this.found = null;
    }
    for (let around = place.parent; around; around = around.parent) around.open = true;
    if (!this.found) this.current = place;
    this.refresh();
    if (this.current) this.list.reveal(this.list.items.indexOf(this.current));
    return place.node;
  }

  /** @param {string} path */
  async reach(path) {
    const located = await this.source.node(path);
    if (!located) return null;
    let family = this.roots;
    /** @type {Place | null} */
    let place = null;
    for (const node of [...located.around, { ...located.node, index: located.index }]) {
      place = await this.put(family, place, node);
      if (!place) return null;
      const next = node.path === path ? null : await this.familyOf(place);
      if (next) family = next;
    }
    return place;
  }

  /**
   * Puts a node into a family, or the group of it that has the node.
   * @param {Family} family
   * @param {Place | null} parent
   * @param {TreeNode} node
   */
  async put(family, parent, node) {
    const index = node.index ?? 0;
    let [own, around, at] = [family, parent, index];
    if (family.isGrouped) {
      around = family.places[Math.floor(index / GROUP)] ?? null;
      const inner = around && (await this.familyOf(around));
      if (!inner) return null;
      [own, at] = [inner, index % GROUP];
    }
    this.grow(own, around, at + 1);
    this.adopt(own.places[at], node);
    return own.places[at];
  }

  /**
   * The next failed step, from the current one on.
   * @param {1 | -1} direction
   */
  async failure(direction) {
    const path = this.current?.node?.path;
    const limit = 1;
    const query = direction > 0 ? { after: path } : { before: path };
    let { found } = await this.source.find({ status: "failed", ...query, limit });
    if (found.length === 0 && direction > 0) ({ found } = await this.source.find({ status: "failed", limit }));
    if (found.length === 0) return announce(direction > 0 ? "No step failed." : "No step failed before this one.");
    await this.select(found[0].path);
    this.onOpen(found[0].path);
  }

  /**
   * Takes over what changed in a run. Rows keep their places.
   * @param {TreeNode[]} nodes
   */
  async changed(nodes) {
    // Those around come first, so that what is new in them finds its family.
    for (const node of [...nodes].sort((a, b) => a.path.length - b.path.length)) {
      const place = this.byPath.get(node.path);
      if (place) await this.renew(place, node);
      else await this.arrive(node);
    }
    this.refresh();
  }

  /**
   * @param {Place} place
   * @param {TreeNode} node
   */
  async renew(place, node) {
    const isNew = place.family === null && node.children > 0 && place.node?.children === 0;
    this.adopt(place, node);
    const { family } = place;
    if (isNew) this.openNew(place, node);
    else if (family?.isGrouped) this.regroup(place, node);
    else if (family && node.children > GROUP) {
      place.family = null;
      await this.familyOf(place);
      if (this.current?.node) await this.select(this.current.node.path);
    } else if (family) this.grow(family, place, node.children);
  }

  /**
   * A node that was not there: it is put in place if that is loaded.
   * @param {TreeNode} node
   */
  async arrive(node) {
    const above = parentOf(node.path);
    const parent = above === null ? null : (this.byPath.get(above) ?? null);
    const family = above === null ? this.roots : parent?.family;
    if (!family || node.index === undefined) return;
    if (family.isGrouped && !family.places[Math.floor(node.index / GROUP)]?.family) return;
    const place = await this.put(family, parent, node);
    if (place && node.children > 0) this.openNew(place, node);
  }

  /**
   * Opens what is new, unless it is a long loop or stands in one.
   * @param {Place} place
   * @param {TreeNode} node
   */
  openNew(place, node) {
    const around = place.parent?.node;
    const isLong = (/** @type {TreeNode | null | undefined} */ one) => one?.is_loop && one.children > SMALL_LOOP;
    if (place.family || place.parent?.group || node.children > GROUP || isLong(node) || isLong(around)) return;
    this.emptyFamily(place, node);
    place.open = place.parent?.open ?? true;
  }

  /**
   * Asks for the groups of a long loop anew, not too often.
   * @param {Place} place
   * @param {TreeNode} node
   */
  regroup(place, node) {
    if (this.regrouping) return;
    this.regrouping = setTimeout(async () => {
      this.regrouping = undefined;
      const { cells } = await this.source.ranges(node.path, { length: GROUP }).catch(() => ({ cells: /** @type {Cell[]} */ ([]) }));
      const { family } = place;
      if (!family?.isGrouped) return;
      this.grow(family, place, cells.length);
      cells.forEach((cell, index) => {
        const group = family.places[index];
        group.group = cell;
        if (group.family) this.grow(group.family, group, cell.count);
      });
      this.refresh();
    }, REGROUP);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { items } = this.list;
    const at = this.current ? items.indexOf(this.current) : -1;
    const place = this.current;
    const page = Math.max(1, Math.floor(this.element.clientHeight / TREE_ROW) - 1);
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1, PageDown: at + page, PageUp: at - page });
    if (event.ctrlKey || event.metaKey || event.altKey || !place) return;
    const hasInner = place.group !== null || (place.node?.children ?? 0) > 0;
    const isOpen = place.open && place.family !== null;
    if (event.key in to) this.move(items[Math.min(Math.max(to[event.key], 0), items.length - 1)]);
    else if (event.key === "ArrowRight" && hasInner) isOpen ? this.move(/** @type {Family} */ (place.family).places[0]) : void this.fold(place, true);
    else if (event.key === "ArrowLeft" && isOpen) void this.fold(place, false);
    else if (event.key === "ArrowLeft") place.parent && this.move(place.parent);
    else if (event.key === "Enter" || event.key === " ") this.choose(place);
    else return;
    event.preventDefault();
  }

  /** @param {Place} place */
  move(place) {
    this.current = place;
    this.list.reveal(this.list.items.indexOf(place));
  }
}
