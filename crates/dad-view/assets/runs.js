// The list of runs: filters that stand in the address, and rows that follow what happens.
import { announce, atMostEvery, block, commandLine, el, fill } from "./dom.js";
import { RowList } from "./list.js";
import { SIGNS } from "./source.js";
import { addressOf, Events } from "./server.js";
import { sign } from "./tree.js";
import { ago, cost, counted, duration, number, oneLine, visible } from "./text.js";

/** @typedef {import("./server.js").Api} Api */
/** @typedef {Record<string, string>} Filters */

const RUN_ROW = 52;
/** The runs that are asked for at once. */
const PORTION_OF_RUNS = 100;
/** Relative times are drawn anew after so many milliseconds. */
const REDRAW = 15_000;
/** The statuses to choose from, the most urgent first. */
const STATUSES = ["waiting", "running", "failed", "interrupted", "cancelled", "completed"];
/** Spans of time to choose from, in hours. */
const SPANS = [["", "any time"], ["1", "last hour"], ["24", "last day"], ["168", "last 7 days"], ["720", "last 30 days"]];

export const LIST_KEYS = [
  ["↑ ↓", "the newer run, the older"],
  ["Enter", "open"],
  ["/", "search"],
  ["x", "all filters off"],
];

const COLUMNS = ["run", "steps", "tokens", "cost", "took", "made"];

/** Filters of the address, without those that the page does not know. */
const FILTER_NAMES = ["status", "agent", "tag", "text", "since"];

export class RunsView {
  /**
   * @param {Api} api
   * @param {{ onFilter: (filters: Filters) => void, onOpen: (run: string) => void, onConnection: (connection: import("./server.js").Connection) => void }} on
   */
  constructor(api, on) {
    this.api = api;
    this.on = on;
    /** @type {Filters} */
    this.filters = {};
    /** @type {any[]} */
    this.runs = [];
    /** @type {string | null} the run that has the keyboard */
    this.current = null;
    /** @type {string | null} */
    this.next = null;
    this.total = 0;
    this.visits = 0;
    this.isLoading = false;
    /** @type {any} */
    this.about = null;
    this.list = new RowList({
      rowHeight: RUN_ROW,
      row: (run, index) => this.row(run, index),
      spaceRole: "rowgroup",
      head: el("div", { class: "run-heads", role: "rowgroup" }, el("div", { class: "run-columns", role: "row" }, COLUMNS.map((name) => el("span", { class: `cell ${name}`, role: "columnheader" }, name)))),
      attributes: { class: "runs", role: "grid", tabindex: 0, "aria-label": "Runs, the newest first", keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
    });
    this.list.element.addEventListener("scroll", () => this.loadMore());
    this.search = this.searchField();
    this.count = el("p", { class: "dim count", role: "status" });
    this.bar = block((/** @type {{ filters: Filters, agents: string[] }} */ { filters, agents }) => this.filterBar(filters, agents));
    this.bar.element.className = "filters";
    this.nothing = el("div", { class: "nothing" });
    const tools = el("div", { class: "tools" }, this.search, this.bar.element, el("span", { class: "spring" }), this.count);
    this.element = el("main", { class: "list-page", "aria-label": "Runs" }, el("h1", { class: "hidden" }, "Runs"), tools, this.nothing, this.list.element);
    this.renew = atMostEvery(1000, () => void this.load(true).catch(() => {}));
    /** @type {Events | null} */
    this.events = null;
    this.redraw = setInterval(() => this.list.draw(), REDRAW);
  }

  /** @returns {Record<string, () => void>} */
  get actions() {
    return { "/": () => this.search.focus(), x: () => this.on.onFilter({}) };
  }

  /** @param {URLSearchParams} query of the address */
  async show(query) {
    this.filters = Object.fromEntries(FILTER_NAMES.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value !== ""));
    if (document.activeElement !== this.search) this.search.value = this.filters.text ?? "";
    this.showBar();
    await this.load(false);
    this.events ??= new Events(this.api, {}, (name, data) => name === "runs" && this.take(data), (connection) => {
      // What happened while nothing was said is asked for.
      if (connection.state === "live") this.renew();
      this.on.onConnection(connection);
    });
  }

  stop() {
    this.events?.close();
    clearInterval(this.redraw);
  }

  /** @param {string | null} before */
  ask(before) {
    const { since, ...filters } = this.filters;
    const from = since && new Date(Date.now() - Number(since) * 3_600_000).toISOString();
    return this.api.json("runs", { ...filters, since: from, before, limit: PORTION_OF_RUNS });
  }

  /**
   * Loads the newest runs.
   * @param {boolean} isAgain whether older ones that are loaded stay
   */
  async load(isAgain) {
    this.visits += 1;
    const visit = this.visits;
    const answer = await this.ask(null);
    if (visit !== this.visits) return;
    const fresh = new Set(answer.runs.map((/** @type {any} */ run) => run.run_id));
    const last = answer.runs[answer.runs.length - 1]?.run_id;
    const at = this.runs.findIndex((run) => run.run_id === last);
    const older = isAgain && answer.next && at >= 0 ? this.runs.slice(at + 1).filter((run) => !fresh.has(run.run_id)) : [];
    const above = isAgain && this.runs.length > 0 ? answer.runs.findIndex((/** @type {any} */ run) => run.run_id === this.runs[0].run_id) : 0;
    this.runs = [...answer.runs, ...older];
    if (older.length === 0) this.next = answer.next ?? null;
    this.total = answer.total;
    this.unreadable = answer.unreadable ?? [];
    this.showRows();
    if (!isAgain) this.list.element.scrollTop = 0;
    // New rows above do not move those that are looked at.
    else if (above > 0 && this.list.element.scrollTop > 0) this.list.element.scrollTop += above * RUN_ROW;
  }

  async loadMore() {
    const { scrollTop, clientHeight } = this.list.element;
    if (!this.next || this.isLoading || scrollTop + 3 * clientHeight < this.runs.length * RUN_ROW) return;
    this.isLoading = true;
    const visit = this.visits;
    try {
      const answer = await this.ask(this.next);
      if (visit !== this.visits) return;
      const known = new Set(this.runs.map((run) => run.run_id));
      this.runs.push(...answer.runs.filter((/** @type {any} */ run) => !known.has(run.run_id)));
      this.next = answer.next ?? null;
      this.showRows();
    } catch (error) {
      announce(`Older runs cannot be loaded: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.isLoading = false;
    }
  }

  /** The filters; the agents among them are those of the runs that are loaded. */
  showBar() {
    const agents = [...this.runs.map((run) => run.root_id), this.filters.agent].filter(Boolean);
    this.bar.show({ filters: this.filters, agents: [...new Set(agents)].sort() });
  }

  showRows() {
    this.showBar();
    if (!this.runs.some((run) => run.run_id === this.current)) this.current = this.runs[0]?.run_id ?? null;
    this.list.show(this.runs);
    this.list.element.setAttribute("aria-rowcount", String(this.total + 1));
    this.list.element.hidden = this.runs.length === 0;
    const cannot = this.unreadable?.length ? `, ${counted(this.unreadable.length, "more")} cannot be read` : "";
    this.count.textContent = `${counted(this.total, "run")}${cannot}`;
    fill(this.nothing, this.runs.length === 0 && this.emptyState());
    document.title = "Runs";
  }

  emptyState() {
    if (Object.keys(this.filters).length > 0) {
      return el("div", { class: "empty" }, el("h2", {}, "No run fits these filters"), el("button", { type: "button", click: () => this.on.onFilter({}) }, "show all runs (x)"));
    }
    const program = this.about?.program ?? "dhenara";
    const roots = (this.about?.run_roots ?? []).map((/** @type {string} */ root) => el("li", {}, el("code", { class: "break" }, visible(root))));
    return el("div", { class: "empty" }, el("h2", {}, "There is no run yet"), el("p", {}, "Start one; it appears here by itself:"), commandLine(`${program} run agent NAME`), roots.length > 0 && el("p", { class: "dim" }, "Runs are looked for in"), el("ul", { class: "plain-list" }, roots));
  }

  /** @param {{ runs?: any[], removed?: string[] }} changed */
  take({ runs = [], removed = [] }) {
    let isOther = removed.length > 0;
    for (const run of runs) {
      const at = this.runs.findIndex((one) => one.run_id === run.run_id);
      if (at < 0 || this.runs[at].status !== run.status) isOther = true;
      if (at >= 0) this.runs[at] = run;
    }
    // Which runs the filters mean, the server says.
    if (isOther) this.renew();
    this.list.draw();
  }

  searchField() {
    const field = /** @type {HTMLInputElement} */ (el("input", { type: "search", placeholder: "Search runs", "aria-label": "Search runs by id, agent, tag or note", id: "search" }));
    const find = atMostEvery(200, () => this.change("text", field.value.trim()));
    field.addEventListener("input", find);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        field.value = "";
        this.change("text", "");
      } else if (event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.list.element.focus();
    });
    return field;
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  change(name, value) {
    const { [name]: _, ...others } = this.filters;
    this.on.onFilter(value === "" ? others : { ...others, [name]: value });
  }

  /**
   * @param {Filters} filters
   * @param {string[]} agents
   */
  filterBar(filters, agents) {
    const chosen = (filters.status ?? "").split(",").filter(Boolean);
    const statuses = STATUSES.map((status) => {
      const isOn = chosen.includes(status);
      const next = isOn ? chosen.filter((one) => one !== status) : [...chosen, status];
      return el("button", { type: "button", class: "choice", "aria-pressed": String(isOn), click: () => this.change("status", next.join(",")) }, sign(status), " ", status);
    });
    const since = this.selection("Made in", "since", SPANS);
    const agent = this.selection("Agent", "agent", [["", "any agent"], ...agents.map((name) => [name, visible(name)])]);
    const tag = filters.tag && el("button", { type: "button", class: "choice", "aria-pressed": "true", title: "Without this tag", click: () => this.change("tag", "") }, `tag: ${visible(filters.tag)} ×`);
    return [el("div", { class: "choices", role: "group", "aria-label": "Status" }, statuses), agent, since, tag];
  }

  /**
   * @param {string} label
   * @param {string} name of the filter
   * @param {string[][]} choices each with its value
   */
  selection(label, name, choices) {
    const value = this.filters[name] ?? "";
    const field = /** @type {HTMLSelectElement} */ (el("select", { "aria-label": label }, choices.map(([one, shown]) => el("option", { value: one, selected: one === value }, shown))));
    field.addEventListener("change", () => this.change(name, field.value));
    return field;
  }

  /**
   * @param {any} run
   * @param {number} index
   */
  row(run, index) {
    const isCurrent = run.run_id === this.current;
    if (isCurrent) this.list.element.setAttribute("aria-activedescendant", `run-${index}`);
    const status = String(run.status);
    const filter = (/** @type {string} */ name, /** @type {string} */ value) =>
      el("button", { type: "button", class: "chip", tabindex: -1, title: `Only runs with ${name} ${visible(value)}`, click: (/** @type {Event} */ event) => (event.stopPropagation(), this.change(name, value)) }, visible(value));
    const agent = run.root_id ?? "(not known)";
    const first = el("span", { class: "line" }, el("a", { href: addressOf(run.run_id), class: "agent", tabindex: -1 }, visible(agent)), el("span", { class: `status ${SIGNS[status] ? status : "pending"}` }, visible(status)), run.open_questions > 0 && el("span", { class: "dim" }, counted(run.open_questions, "question")), (run.tags ?? []).map((/** @type {string} */ tag) => filter("tag", tag)));
    const origin = run.parent && el("span", {}, "from ", el("a", { href: addressOf(run.parent), class: "mono", tabindex: -1 }, visible(run.parent)));
    const error = run.error && el("span", { class: "failed-text" }, oneLine(run.error.message, 160));
    const second = el("span", { class: "line dim" }, el("span", { class: "mono id" }, visible(run.run_id)), origin, error);
    const cell = (/** @type {string} */ name, /** @type {import("./dom.js").Child} */ value, title = "") => el("span", { class: `cell ${name}`, role: "gridcell", title: title || undefined }, value);
    const row = el(
      "div",
      { class: `run-row run-columns${isCurrent ? " current" : ""}`, role: "row", id: `run-${index}`, "aria-rowindex": index + 2, "aria-selected": isCurrent },
      el("span", { class: "cell main", role: "gridcell" }, sign(status), el("span", { class: "lines" }, first, second)),
      cell("steps", stepsOf(run.counts)),
      cell("tokens", run.usage?.total_tokens ? number(run.usage.total_tokens) : ""),
      cell("cost", cost(run.usage?.cost)),
      cell("took", tookOf(run)),
      cell("made", run.created_at ? ago(run.created_at) : "", run.created_at ? visible(run.created_at) : ""),
    );
    row.addEventListener("click", (event) => {
      if (event.target instanceof HTMLAnchorElement) return;
      this.current = run.run_id;
      this.on.onOpen(run.run_id);
    });
    return row;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.runs.length === 0) return;
    const at = this.runs.findIndex((run) => run.run_id === this.current);
    const page = Math.max(1, Math.floor(this.list.element.clientHeight / RUN_ROW) - 1);
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.runs.length - 1, PageDown: at + page, PageUp: at - page });
    if (event.key in to) {
      const index = Math.min(Math.max(to[event.key], 0), this.runs.length - 1);
      this.current = this.runs[index].run_id;
      this.list.reveal(index);
    } else if (event.key === "Enter" && this.current) this.on.onOpen(this.current);
    else return;
    event.preventDefault();
  }
}

/** @param {any} counts */
function stepsOf(counts) {
  if (!counts) return "";
  // Those that were reused are among the completed ones.
  const all = ["completed", "failed", "skipped", "cancelled"].reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  return el("span", {}, number(all), counts.failed > 0 && el("small", { class: "failed-text" }, `${number(counts.failed)} failed`));
}

/** @param {any} run */
function tookOf(run) {
  if (!run.created_at) return "";
  const isRunning = run.status === "running";
  const end = isRunning ? Date.now() : Date.parse(run.last_record_at);
  const ms = end - Date.parse(run.created_at);
  return Number.isNaN(ms) ? "" : duration(Math.max(0, ms));
}
