// When the parts of a run worked, and when they waited.
import { el, fill } from "./dom.js";
import { RowList } from "./list.js";
import { sign } from "./tree.js";
import { counted, duration, visible } from "./text.js";

const LANE_ROW = 26;
const MOST_ZOOM = 64;

/** Activities in words; each has its own pattern too. */
const ACTIVITIES = /** @type {Record<string, string>} */ ({ working: "worked", asking: "waited for an answer", retrying: "waited for its next attempt", idle: "no process drove the run" });

/** @param {any} row */
function inWords(row) {
  const spent = Object.entries(ACTIVITIES).map(([name, words]) => [words, row.time[`${name}_ms`]]).filter(([, ms]) => ms > 0);
  const loop = row.iterations ? `; ${counted(row.iterations.iterations, "iteration")}${row.iterations.failed > 0 ? `, ${row.iterations.failed} failed` : ""}` : "";
  return `${visible(row.name)}, ${row.status}: ${spent.map(([words, ms]) => `${words} ${duration(ms)}`).join(", ") || "0 ms"}${loop}`;
}

/** @param {any} time */
function taken(time) {
  return time.working_ms + time.retrying_ms;
}

/**
 * The timeline with its tools. Another state of it keeps zoom and place.
 * @param {(path: string) => void} onOpen
 * @returns {{ element: HTMLElement, show: (timeline: any) => void }}
 */
export function timelineBlock(onOpen) {
  let from = 0;
  let length = 1;
  let zoom = 1;
  const share = (/** @type {string} */ time) => (100 * Math.min(Math.max(Date.parse(time) - from, 0), length)) / length;
  /** @param {any} row */
  const bars = (row) => {
    const lane = el("span", { class: "lane", "aria-hidden": "true" });
    for (const stretch of row.stretches) {
      const name = ACTIVITIES[stretch.activity] ? stretch.activity : "working";
      const bar = el("i", { class: `${name} ${row.kind === "step" ? row.status : "around"}${row.is_critical ? " critical" : ""}`, title: inWords(row) });
      bar.style.insetInlineStart = `min(${share(stretch.from)}%, 100% - 2px)`;
      bar.style.width = `max(2px, ${share(stretch.to) - share(stretch.from)}%)`;
      lane.append(bar);
    }
    lane.style.width = `${100 * zoom}%`;
    return lane;
  };
  /** @type {RowList<any>} */
  const list = new RowList({
    rowHeight: LANE_ROW,
    attributes: { class: "timeline", role: "list", tabindex: 0, "aria-label": "Timeline: Enter on a row opens it" },
    row: (row) => {
      const name = el("button", { type: "button", class: "quiet lane-name", title: `${visible(row.path)}\n${inWords(row)}` }, sign(row.status, row.is_reused), el("span", { class: "name" }, visible(row.name)), el("span", { class: "hidden" }, `, ${visible(row.status)}, `), el("span", { class: "time" }, duration(taken(row.time))));
      name.style.paddingInlineStart = `${4 + Math.min(row.depth, 8) * 10}px`;
      name.addEventListener("click", () => onOpen(row.path));
      return el("div", { class: "lane-row", role: "listitem" }, name, el("span", { class: "lane-box" }, bars(row)));
    },
  });
  const scroll = el("input", { type: "range", min: 0, max: 1000, value: 0, class: "pan", "aria-label": "Part of the time in sight", disabled: true });
  const range = /** @type {HTMLInputElement} */ (scroll);
  const label = el("span", { class: "dim time-range" });
  const legend = el("div", { class: "legend" });
  const none = el("p", { class: "dim none" }, "No step has begun yet.");
  const draw = () => {
    const start = ((1 - 1 / zoom) * Number(range.value)) / 1000;
    list.element.style.setProperty("--pan", `${-100 * start * zoom}%`);
    range.disabled = zoom === 1;
    label.textContent = `${duration(start * length)} to ${duration((start + 1 / zoom) * length)}`;
    list.draw();
  };
  /** @param {number} factor */
  const change = (factor) => {
    zoom = factor === 0 ? 1 : Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    draw();
  };
  /** @param {number} by */
  const pan = (by) => {
    range.value = String(Number(range.value) + by);
    draw();
  };
  range.addEventListener("input", draw);
  list.element.addEventListener("keydown", (event) => {
    const step = /** @type {Record<string, () => void>} */ ({ "+": () => change(2), "-": () => change(0.5), 0: () => change(0), ArrowRight: () => pan(50), ArrowLeft: () => pan(-50) })[event.key];
    if (!step || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    step();
  });
  const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {number} */ factor) => el("button", { type: "button", class: "quiet", title, "aria-label": title, click: () => change(factor) }, text);
  /** @param {any} timeline */
  const show = (timeline) => {
    from = Date.parse(timeline.from);
    length = Math.max(1, Date.parse(timeline.to) - from);
    const used = Object.keys(ACTIVITIES).filter((name) => timeline.time[`${name}_ms`] > 0);
    const keys = used.map((name) => el("span", { class: "key" }, el("i", { class: `swatch ${name}` }), `${ACTIVITIES[name]} ${duration(timeline.time[`${name}_ms`])}`));
    fill(legend, keys, el("span", { class: "key" }, el("i", { class: "swatch working critical" }), "critical path"));
    none.hidden = timeline.rows.length > 0;
    list.element.style.height = `${Math.min(timeline.rows.length, 16) * LANE_ROW + 2}px`;
    list.show(timeline.rows);
    draw();
  };
  const element = el("div", { class: "card timeline-card" }, el("div", { class: "tools" }, button("−", "Zoom out", 0.5), button("+", "Zoom in", 2), button("all", "Show all of the time", 0), range, label), none, list.element, legend);
  return { element, show };
}
