// The page of all runs, from a server: what the address names, and the state of the connection.
import { afterPaint, announce, commandLine, el, fill } from "./dom.js";
import { Frame } from "./frame.js";
import { LIST_KEYS, RunsView } from "./runs.js";
import { Api, ApiError, ServerSource, addressOf, tookSession } from "./server.js";
import { RUN_KEYS, RunView } from "./view.js";
import { oneLine, visible } from "./text.js";

/** @typedef {import("./server.js").Connection} Connection */

/**
 * The place that the address names.
 * @returns {{ run: string, path: string, query: URLSearchParams }}
 */
function placeInAddress() {
  const [place, query = ""] = location.hash.replace(/^#\/?/u, "").split("?");
  const [run = "", path = ""] = place.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      // An address that is none means the list.
      return "";
    }
  });
  return { run, path, query: new URLSearchParams(query) };
}

class Served {
  /** @param {Api} api */
  constructor(api) {
    this.api = api;
    this.frame = new Frame();
    this.state = el("span", { class: "connection", role: "status" });
    /** @type {any} */
    this.about = {};
    /** @type {{ id: string, view: RunView } | null} */
    this.open = null;
    /** @type {RunsView | null} */
    this.list = null;
    this.visits = 0;
    this.address = "#/";
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.counting = undefined;
    api.onTrouble = (error) => error.status === 401 && this.noSession("The session of this page is over.");
    addEventListener("hashchange", () => void this.show());
    addEventListener("unhandledrejection", (event) => {
      if (!(event.reason instanceof ApiError)) return;
      event.preventDefault();
      announce(event.reason.message);
    });
  }

  async show() {
    const place = placeInAddress();
    this.visits += 1;
    try {
      if (place.run === "") await this.showList(place.query);
      else await this.showRun(place.run, place.path, this.visits);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
      this.failed(error);
    }
  }

  /** @param {URLSearchParams} query */
  async showList(query) {
    this.open?.view.stop();
    this.open = null;
    this.address = location.hash || "#/";
    if (!this.list) {
      this.list = new RunsView(this.api, {
        onFilter: (filters) => {
          const words = new URLSearchParams(filters).toString();
          // Each letter of a search is no step to go back to.
          history.replaceState(null, "", `#/${words && `?${words}`}`);
          void this.show();
        },
        onOpen: (run) => (location.hash = addressOf(run)),
        onConnection: (connection) => this.connection(connection),
      });
      this.list.about = this.about;
      this.frame.show({ start: [this.home(null)], end: this.end, body: this.list.element, keys: LIST_KEYS, actions: this.list.actions });
    }
    const { list } = this;
    const isNew = list.runs.length === 0 && document.activeElement !== list.search;
    await list.show(query);
    if (isNew) list.list.element.focus({ preventScroll: true });
    document.documentElement.classList.remove("at-detail");
    afterPaint(() => void this.readAbout());
  }

  /**
   * @param {string} id
   * @param {string} path
   * @param {number} visit
   */
  async showRun(id, path, visit) {
    if (this.open?.id === id) return this.open.view.show(path);
    this.open?.view.stop();
    this.list?.stop();
    this.list = null;
    const source = new ServerSource(this.api, id, (connection) => this.connection(connection));
    const view = new RunView(source, (to) => (location.hash = addressOf(id, to)));
    this.open = { id, view };
    this.frame.show({ start: [this.home(this.address), ...view.bar], end: this.end, body: view.element, keys: [...RUN_KEYS, ["l", "the list of runs"]], actions: { ...view.actions, l: () => (location.hash = this.address) } });
    await view.start(path);
    if (visit !== this.visits && this.open?.view !== view) view.stop();
    afterPaint(() => void this.readAbout());
  }

  /**
   * The way to the list.
   * @param {string | null} address
   */
  home(address) {
    return address === null ? el("span", { class: "home", "aria-current": "page" }, "Runs") : el("a", { href: address, class: "home", title: "The list of runs (l)" }, "Runs");
  }

  get end() {
    return [this.about.read_only && el("span", { class: "dim exported" }, "read-only"), this.state];
  }

  /** Facts about the server: they come behind what was asked for. */
  async readAbout() {
    if (this.about.program) return;
    this.about = await this.api.json("about").catch(() => ({}));
    if (!this.list) return;
    this.list.about = this.about;
    this.list.showRows();
  }

  /** @param {Connection} connection */
  connection(connection) {
    clearInterval(this.counting);
    this.state.className = `connection ${connection.state}`;
    if (connection.state === "live") return fill(this.state, el("span", { class: "dot", "aria-hidden": "true" }, "●"), " live");
    if (connection.state === "over") return fill(this.state, connection.why && `not live: ${oneLine(connection.why, 60)}`);
    const draw = () => {
      const seconds = Math.max(0, Math.ceil((connection.until - Date.now()) / 1000));
      fill(this.state, el("span", { class: "dot", "aria-hidden": "true" }, "○"), ` no server, next try in ${seconds} s`);
      this.state.title = `The server has stopped or cannot be reached. ${this.about.program ?? "dhenara"} view starts it again.`;
    };
    draw();
    this.counting = setInterval(draw, 1000);
  }

  /** @param {unknown} error */
  failed(error) {
    const { code, hint } = error instanceof ApiError ? error : { code: "page", hint: undefined };
    const isGone = error instanceof ApiError && error.status === 0;
    const words = error instanceof Error ? error.message : error;
    const again = el("button", { type: "button", click: () => location.reload() }, "try again");
    const box = isGone
      ? el("div", { class: "empty" }, el("h2", {}, "The server cannot be reached"), el("p", {}, "It has stopped, perhaps because its terminal was closed. Start it again; it opens the page anew:"), commandLine(`${this.about.program ?? "dhenara"} view`), again)
      : el("div", { class: "empty" }, el("h2", {}, "This cannot be shown"), el("div", { class: "box failed" }, el("p", {}, el("code", {}, visible(code))), el("pre", { class: "message" }, visible(words)), hint && el("p", { class: "dim" }, visible(hint))), again);
    this.open?.view.stop();
    this.open = null;
    this.list?.stop();
    this.list = null;
    this.frame.show({ start: [this.home("#/")], end: this.end, body: el("main", { class: "list-page" }, box), keys: [], actions: {} });
  }

  /** @param {string} why */
  noSession(why) {
    this.open?.view.stop();
    this.list?.stop();
    this.open = this.list = null;
    const words = el("div", { class: "empty" }, el("h2", {}, why), el("p", {}, "Start the command again in the directory of your project; it opens the page in the browser:"), commandLine("dhenara view"), el("p", { class: "dim" }, "A page that was opened in another tab or by hand has no session of its own. This keeps other programs and pages away from your runs."));
    this.frame.show({ start: [this.home("#/")], end: [], body: el("main", { class: "list-page" }, words), keys: [], actions: {} });
  }
}

function openServed() {
  if (tookSession()) return location.replace("./");
  const api = new Api();
  const served = new Served(api);
  if (api.isOpen) void served.show();
  else served.noSession("This page has no session");
}

openServed();
