// The page: its head, the tree beside what is looked at, and the keys.
import { announce, copyButton, el, fill, liveRegion } from "./dom.js";
import { componentPage, runPage } from "./overview.js";
import { Run, isReused, isStep } from "./run.js";
import { stepPage } from "./step.js";
import { Tree, sign } from "./tree.js";
import { counted, visible, when } from "./text.js";

/** @typedef {import("./run.js").RunNode} RunNode */

const KEYS = [
  ["↑ ↓", "the step before, the next"],
  ["← →", "fold, unfold"],
  ["Enter", "open"],
  ["f, F", "the next failed step, the one before"],
  ["/", "search in the tree"],
  ["r", "the page of the run"],
  ["+ − 0", "zoom the timeline, while it has the focus"],
  ["d", "light or dark"],
  ["?", "these keys"],
];

/** @param {Run} run */
function start(run) {
  const root = document.documentElement;
  const detail = el("main", { id: "detail", tabindex: -1, "aria-label": "Details" });
  /** @param {string} path */
  const open = (path) => {
    const node = run.byPath.get(path);
    if (node) location.hash = encodeURIComponent(node.path);
    else announce("The run has no such part.");
  };
  const tree = new Tree(run, (node) => open(node.path));

  const toRun = () => (location.hash = "");
  const breadcrumbs = (/** @type {RunNode | null} */ node) => {
    const around = [];
    for (let one = node; one; one = one.parent) around.unshift(one);
    const crumbs = around.map((one) => el("li", {}, one === node ? el("span", { "aria-current": "page" }, visible(one.name)) : el("button", { type: "button", class: "quiet link", click: () => open(one.path) }, visible(one.name))));
    return el("nav", { "aria-label": "Place" }, el("ol", { class: "crumbs" }, el("li", {}, el("button", { type: "button", class: "quiet link", click: toRun }, "run")), crumbs));
  };
  const show = () => {
    let path = "";
    try {
      path = decodeURIComponent(location.hash.slice(1));
    } catch {
      // An address that is none means the run.
    }
    const node = run.byPath.get(path) ?? null;
    if (node) tree.select(node);
    const status = node ? node.status : String(run.document.status);
    const title = el("h1", {}, sign(status, node !== null && isReused(node)), " ", visible(node ? node.name : run.document.run_id), " ", el("span", { class: `status ${status}` }, node && isReused(node) ? "reused" : status));
    const copyName = copyButton(node ? node.path : run.document.run_id, node ? "Copy the path" : "Copy the id of the run");
    const body = node === null ? runPage(run, open) : isStep(node) ? stepPage(run, node, open) : componentPage(run, node, open);
    fill(detail, node && breadcrumbs(node), el("div", { class: "title" }, title, copyName), body);
    detail.scrollTop = 0;
    // On a narrow screen the tree gives way to what was opened.
    root.classList.add("at-detail");
    document.title = `${visible(node ? node.name : run.document.run_id)} · ${status}`;
  };

  const search = /** @type {HTMLInputElement} */ (el("input", { type: "search", placeholder: "Search steps", "aria-label": "Search steps; “failed” finds the failed ones", id: "search" }));
  search.addEventListener("input", () => tree.filter(search.value));
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const first = tree.list.items.find((node) => node.path.toLowerCase().includes(tree.wanted)) ?? tree.list.items[0];
    if (first) tree.select(first);
    tree.element.focus();
  });
  const failures = run.failures.length > 0 && el("button", { type: "button", class: "quiet failures", title: "The next failed step (f)", click: () => tree.failure(1) }, sign("failed"), ` ${counted(run.failures.length, "failed step")}`);
  const keys = /** @type {HTMLDialogElement} */ (el("dialog", { "aria-label": "Keys" }, el("h2", {}, "Keys"), el("dl", { class: "facts" }, KEYS.flatMap(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)])), el("form", { method: "dialog" }, el("button", {}, "close"))));
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const switchTheme = () => {
    root.dataset.theme = dark() ? "light" : "dark";
    announce(`${root.dataset.theme} colours`);
  };
  const header = el(
    "header",
    {},
    el("button", { type: "button", class: "quiet to-tree", click: () => root.classList.remove("at-detail") }, "← steps"),
    el("button", { type: "button", class: "quiet run-name", title: "The page of the run (r)", click: () => (location.hash === "" ? show() : toRun()) }, sign(run.document.status), " ", visible(run.document.run_id)),
    el("span", { class: "dim exported" }, "exported ", when(run.facts.exported_at)),
    el("span", { class: "spring" }),
    el("button", { type: "button", class: "quiet", title: "Light or dark (d)", "aria-label": "Light or dark", click: switchTheme }, "◐"),
    el("button", { type: "button", class: "quiet", title: "Keys (?)", "aria-label": "Keys", click: () => keys.showModal() }, "?"),
  );
  const side = el("nav", { class: "side", "aria-label": "Steps" }, el("div", { class: "tools" }, search, failures), tree.element);

  const actions = /** @type {Record<string, () => void>} */ ({
    "?": () => keys.showModal(),
    "/": () => search.focus(),
    f: () => tree.failure(1),
    F: () => tree.failure(-1),
    r: toRun,
    d: switchTheme,
  });
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const isTyping = target instanceof HTMLElement && target.matches("input, textarea, dialog *");
    if (event.key === "Escape" && target === search) {
      search.value = "";
      tree.filter("");
      tree.element.focus();
    }
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });

  fill(/** @type {Element} */ (document.getElementById("page")), header, el("div", { class: "panes" }, side, detail), keys, liveRegion());
  addEventListener("hashchange", show);
  show();
  tree.element.focus({ preventScroll: true });
}

try {
  start(new Run());
} catch (error) {
  fill(/** @type {Element} */ (document.getElementById("page")), el("div", { class: "box failed" }, el("p", {}, "This file is damaged, so that the page cannot show its run."), el("pre", { class: "message" }, visible(error)), el("p", {}, "Export the run again: dhenara runs export RUN --html -o FILE")));
}
