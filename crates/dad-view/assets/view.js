// One run: its tree beside what is looked at, the same from a file and from a server.
import { afterPaint, announce, atMostEvery, block, copyButton, el, fill, linkTo } from "./dom.js";
import { componentPage, runPage } from "./overview.js";
import { isStep } from "./source.js";
import { stepPage } from "./step.js";
import { Tree, sign } from "./tree.js";
import { counted, visible } from "./text.js";

/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./source.js").Changed} Changed */

/** What a change makes to be asked for again, in milliseconds: the document of the run, and the rows in sight. */
const RENEW_RUN = 1000;
const RENEW_ROWS = 1000;

export const RUN_KEYS = [
  ["↑ ↓", "the step before, the next"],
  ["← →", "fold, unfold"],
  ["Enter", "open"],
  ["f, F", "the next failed step, the one before"],
  ["/", "search in the tree"],
  ["r", "the page of the run"],
  ["+ − 0", "zoom the timeline, while it has the focus"],
];

export class RunView {
  /**
   * @param {Source} source
   * @param {(path: string) => void} onOpen changes the address to that of a part of the run
   */
  constructor(source, onOpen) {
    this.source = source;
    this.onOpen = onOpen;
    this.path = "";
    this.visits = 0;
    /** @type {any} */
    this.run = null;
    /** @type {import("./overview.js").Page | null} */
    this.page = null;
    this.tree = new Tree(source, onOpen);
    this.detail = el("main", { id: "detail", tabindex: -1, "aria-label": "Details" });
    this.title = block((/** @type {{ name: string, status: string, reused: boolean }} */ { name, status, reused }) =>
      el("h1", {}, sign(status, reused), " ", visible(name), " ", el("span", { class: `status ${reused ? "reused" : visible(status)}` }, reused ? "reused" : visible(status))));
    this.name = block((/** @type {any} */ { run_id, status }) => [sign(status), " ", visible(run_id)]);
    this.marks = block((/** @type {{ failed: number, waiting: number }} */ marks) => this.marksOf(marks));
    this.marks.element.className = "marks";
    this.search = this.searchField();
    const side = el("nav", { class: "side", "aria-label": "Steps" }, el("div", { class: "tools" }, this.search, this.marks.element), this.tree.element);
    this.element = el("div", { class: "panes" }, side, this.detail);
    this.renewRun = atMostEvery(RENEW_RUN, () => void this.readRun().catch(() => {}));
    this.renewRows = atMostEvery(RENEW_ROWS, () => void this.tree.reload());
    this.taking = Promise.resolve();
    this.isOver = false;
    this.unfollow = () => {};
  }

  /** The elements at the beginning of the bar. */
  get bar() {
    const toTree = el("button", { type: "button", class: "quiet to-tree", click: () => document.documentElement.classList.remove("at-detail") }, "← steps");
    const name = el("button", { type: "button", class: "quiet run-name", title: "The page of the run (r)", click: () => (this.path === "" ? void this.show("") : this.onOpen("")) }, this.name.element);
    return [toTree, name];
  }

  /** @returns {Record<string, () => void>} */
  get actions() {
    return {
      "/": () => {
        document.documentElement.classList.remove("at-detail");
        this.search.focus();
      },
      f: () => void this.tree.failure(1),
      F: () => void this.tree.failure(-1),
      r: () => this.onOpen(""),
    };
  }

  /**
   * Loads the run, and shows a part of it.
   * @param {string} path
   */
  async start(path) {
    fill(this.detail, el("p", { class: "dim loading" }, "Loading the run…"));
    await Promise.all([this.readRun(), this.tree.start()]);
    await this.show(path);
    this.tree.element.focus({ preventScroll: true });
    afterPaint(() => this.follow());
  }

  follow() {
    if (this.isOver) return;
    this.unfollow = this.source.follow((changed) => (this.taking = this.taking.then(() => this.take(changed)).catch(() => {})));
  }

  /** Ends what the view does in the background. */
  stop() {
    this.isOver = true;
    this.unfollow();
  }

  async readRun() {
    this.run = await this.source.run();
    const { run_id, status } = this.run;
    this.name.show({ run_id, status });
    this.marks.show({ failed: this.run.root?.failed ?? 0, waiting: this.run.open_questions.length });
    this.update();
  }

  /** Shows what is known now, where it is shown. */
  update() {
    const node = this.path === "" ? null : (this.tree.byPath.get(this.path)?.node ?? null);
    if (!this.page || (this.path !== "" && !node)) return;
    this.showTitle(node);
    this.page.update(this.run, node);
  }

  /** @param {TreeNode | null} node */
  showTitle(node) {
    const [name, status] = node ? [node.name, node.status] : [this.run.run_id, String(this.run.status)];
    this.title.show({ name, status, reused: Boolean(node?.reused) });
    document.title = `${visible(name)} · ${visible(status)}`;
  }

  /**
   * Shows a part of the run; the run itself if the path is empty.
   * @param {string} path
   */
  async show(path) {
    this.visits += 1;
    const visit = this.visits;
    this.detail.setAttribute("aria-busy", "true");
    /** @type {TreeNode | null} */
    let node = null;
    /** @type {import("./overview.js").Page} */
    let page;
    try {
      node = path === "" ? null : await this.tree.select(path);
      page = await this.pageOf(path, node);
    } catch (error) {
      page = this.unloaded(path, error);
    }
    if (visit !== this.visits) return;
    this.path = path;
    this.page = page;
    if (path === "" || node) this.showTitle(node);
    else this.title.show({ name: path, status: "pending", reused: false });
    const copyName = copyButton(node ? node.path : this.run.run_id, node ? "Copy the path" : "Copy the id of the run");
    fill(this.detail, node && this.crumbs(node), el("div", { class: "title" }, this.title.element, copyName), page.element);
    this.detail.removeAttribute("aria-busy");
    this.detail.scrollTop = 0;
    // On a narrow screen the tree gives way to what was opened.
    document.documentElement.classList.add("at-detail");
  }

  /**
   * @param {string} path
   * @param {TreeNode | null} node
   * @returns {Promise<import("./overview.js").Page>}
   */
  async pageOf(path, node) {
    if (path === "") return runPage(this.source, this.run, this.onOpen);
    if (!node) {
      const words = el("div", { class: "box" }, el("p", {}, "The run has no such part (yet): ", el("code", {}, visible(path))), linkTo("To the run", () => this.onOpen("")));
      return { element: words, update: () => {} };
    }
    return isStep(node) ? stepPage(this.source, this.run, node, this.onOpen) : componentPage(this.source, this.run, node, this.onOpen);
  }

  /**
   * @param {string} path
   * @param {unknown} error
   */
  unloaded(path, error) {
    const again = el("button", { type: "button", click: () => void this.show(path) }, "try again");
    return { element: el("div", { class: "box failed" }, el("p", {}, "This cannot be loaded now: ", visible(error instanceof Error ? error.message : error)), again), update: () => {} };
  }

  /** @param {TreeNode} node */
  crumbs(node) {
    const names = node.path.split(".");
    const items = names.map((name, index) => {
      const path = names.slice(0, index + 1).join(".");
      return el("li", {}, path === node.path ? el("span", { "aria-current": "page" }, visible(name)) : linkTo(visible(name), () => this.onOpen(path)));
    });
    return el("nav", { "aria-label": "Place" }, el("ol", { class: "crumbs" }, el("li", {}, linkTo("run", () => this.onOpen(""))), items));
  }

  /** @param {{ failed: number, waiting: number }} marks */
  marksOf({ failed, waiting }) {
    return [
      waiting > 0 && el("button", { type: "button", class: "quiet waits", title: "What the run waits for (r)", click: () => this.onOpen("") }, sign("waiting"), ` ${counted(waiting, "question")}`),
      failed > 0 && el("button", { type: "button", class: "quiet failures", title: "The next failed step (f)", click: () => void this.tree.failure(1) }, sign("failed"), ` ${counted(failed, "failed step")}`),
    ];
  }

  searchField() {
    const field = /** @type {HTMLInputElement} */ (el("input", { type: "search", placeholder: "Search steps", "aria-label": "Search steps; “failed” finds the failed ones", id: "search" }));
    const find = atMostEvery(150, () => void this.tree.filter(field.value).catch((error) => announce(`The search failed: ${error.message}`)));
    field.addEventListener("input", find);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        field.value = "";
        void this.tree.filter("");
      } else if (event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.tree.element.focus();
    });
    return field;
  }

  /** @param {Changed} changed */
  async take(changed) {
    await this.tree.changed(changed.nodes);
    if (changed.more) this.renewRows();
    this.renewRun();
    this.update();
  }
}
