// The page of one run in a file.
import { el, fill } from "./dom.js";
import { FileSource } from "./file.js";
import { Frame } from "./frame.js";
import { RUN_KEYS, RunView } from "./view.js";
import { visible, when } from "./text.js";

/** @param {unknown} error */
function damaged(error) {
  fill(/** @type {Element} */ (document.getElementById("page")), el("div", { class: "box failed" }, el("p", {}, "This file is damaged, so that the page cannot show its run."), el("pre", { class: "message" }, visible(error)), el("p", {}, "Export the run again: dhenara runs export RUN --html -o FILE")));
}

/** The part of the run that the address names; the run itself if it names none. */
function pathInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    // An address that is none means the run.
    return "";
  }
}

async function openFile() {
  const source = new FileSource();
  const view = new RunView(source, (path) => (location.hash = encodeURIComponent(path)));
  const exported = el("span", { class: "dim exported" }, "exported ", when(source.facts.exported_at));
  new Frame().show({ start: [...view.bar, exported], end: [], body: view.element, keys: RUN_KEYS, actions: view.actions });
  addEventListener("hashchange", () => void view.show(pathInAddress()));
  await view.start(pathInAddress());
}

openFile().catch(damaged);
