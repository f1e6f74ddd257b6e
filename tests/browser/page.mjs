// The page of a run in a browser, as a person uses it.
//
// node page.mjs DHENARA WORK: makes runs with the command DHENARA below the directory WORK, and opens their pages in Chromium.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CANARY, WINDOWS, accessible, browser, current, dhenara, execute, fits, newPage, projectWith, rows, title, titled, work } from "./harness.mjs";

/** Makes a run, and the page of it. */
function exported() {
  const project = projectWith("project", {});
  const run = spawnSync(dhenara, ["run", "flow", "flow.yaml", "--no-input"], { cwd: project, encoding: "utf8" });
  assert.equal(run.status, 3, run.stderr);
  const page = join(project, "run.html");
  execFileSync(dhenara, ["runs", "export", "last", "--html", "-o", page], { cwd: project, stdio: "pipe" });
  return page;
}

/** The page with its data changed. */
function changed(page, name, id, change) {
  const text = readFileSync(page, "utf8");
  const start = `<script type="application/json" id="${id}">`;
  const from = text.indexOf(start) + start.length;
  const to = text.indexOf("</script>", from);
  const data = JSON.parse(text.slice(from, to));
  change(data);
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const file = join(work, name);
  writeFileSync(file, text.slice(0, from) + json + text.slice(to));
  return file;
}

/** The run with a loop of 100,000 steps, the last but one of which failed. */
function long(page) {
  return changed(page, "long.html", "run", (run) => {
    const item = run.steps.find((step) => step.path === "f.each.iter_0.item");
    const steps = run.steps.filter((step) => !step.path.startsWith("f.each.iter_"));
    const at = steps.findIndex((step) => step.path === "f.each") + 1;
    const items = Array.from({ length: 100_000 }, (_, index) => ({ ...item, path: `f.each.iter_${index}.item`, status: index === 99_998 ? "failed" : "completed" }));
    run.steps = [...steps.slice(0, at), ...items, ...steps.slice(at)];
  });
}

/** A run with the canary in every text of its tree. */
function hostile(page) {
  return changed(page, "hostile.html", "run", (run) => {
    run.labels = { tags: [CANARY], note: CANARY };
    run.run_dir = CANARY;
    run.error = { code: CANARY, message: `${CANARY} \u202e`, hint: CANARY };
    for (const step of run.steps) Object.assign(step, { summary: CANARY, error: { code: CANARY, message: CANARY } });
    run.steps.push({ path: `f.${CANARY}`, kind: "step", status: CANARY, summary: CANARY, reads: [CANARY] });
  });
}

/** Opens a file. */
async function opened(file, options = {}) {
  const page = await newPage(/^(file|data):/u, options);
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector("h1", { state: "attached" });
  return page;
}

const tests = {
  async "the keyboard reaches everything"(file) {
    const page = await opened(file);
    assert.equal(await current(page), "f");
    await page.keyboard.press("ArrowDown");
    assert.equal(await current(page), "prints");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=stdout.log");
    assert.match(await title(page), /prints/u);
    await page.keyboard.press("f");
    await titled(page, "breaks");
    await page.keyboard.press("Home");
    const open = await rows(page);
    await page.keyboard.press("ArrowLeft");
    assert.equal(await rows(page), 1);
    await page.keyboard.press("ArrowRight");
    assert.equal(await rows(page), open);
    await page.keyboard.press("?");
    assert.ok(await page.locator("dialog[open]").isVisible());
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("iter_2");
    await page.waitForFunction(() => document.querySelectorAll(".tree .row").length === 2);
    assert.deepEqual(await page.locator(".tree .row .name").allInnerTexts(), ["iter_2", "item"]);
    assert.deepEqual(await page.locator(".tree .row .summary").allInnerTexts(), ["f.each", "f.each.iter_2"]);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await titled(page, "iter_2");
    await page.keyboard.press("r");
    await titled(page, "run_");
  },

  async "a run of 100,000 steps has few rows, and its failure is one key away"(file) {
    const page = await opened(long(file));
    assert.ok((await rows(page)) <= 200);
    await page.keyboard.press("f");
    await titled(page, "item");
    assert.equal(await current(page), "item");
    assert.ok((await rows(page)) <= 200);
    await page.keyboard.press("End");
    assert.ok((await rows(page)) <= 200);
    await page.goto(`${page.url().split("#")[0]}#f.each`);
    await page.waitForSelector(".strip .cell");
    assert.ok((await page.locator(".strip .cell.failed").count()) === 1);
    assert.ok((await page.locator("main tbody tr").count()) <= 200);
  },

  async "nothing of a hostile run executes"(file) {
    const page = await opened(hostile(file));
    const count = await page.locator(".tree .row").count();
    for (let index = 0; index < count; index += 1) {
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      for (let depth = 0; depth < 4; depth += 1) await page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));
    }
    assert.equal(await page.evaluate(() => window.canary), undefined);
    assert.equal(await page.locator("main script, main iframe, main object, main svg").count(), 0);
    assert.ok(!(await page.locator("body").innerText()).includes("\u202e"));
  },

  async "the policy refuses a script that gets into the page"(file) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const text = readFileSync(file, "utf8").replace('<div id="page">', `${CANARY}<div id="page">`);
    const injected = join(work, "injected.html");
    writeFileSync(injected, text);
    await page.goto(pathToFileURL(injected).href);
    await page.waitForSelector("h1");
    assert.equal(await page.evaluate(() => window.canary), undefined);
  },

  async "a file is found in its JSON, and commands are copied"(file) {
    const page = await opened(file, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.goto(`${page.url().split("#")[0]}#f.writes`);
    await page.waitForSelector("text=Changes");
    const search = page.locator('[aria-label="Search in the outcome"]');
    await search.fill("a.md");
    assert.match(await page.locator(".json-found").first().innerText(), /f\.writes\.outcome/u);
    await search.fill("not there at all");
    await page.waitForSelector("text=Nothing here has this text.");
    await page.locator(".command button").first().click();
    await page.waitForSelector("text=copied");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^\S+ runs show run_\S+ f\.writes$/u);
  },

  async "colours of commands are shown, other sequences are not"(file) {
    const page = await opened(file);
    await page.goto(`${page.url().split("#")[0]}#f.prints`);
    assert.equal(await page.locator(".printed .c1").first().innerText(), "red");
    const text = await page.locator(".printed").first().innerText();
    assert.ok(text.includes("\\u{202e}") && text.includes("<img") && !text.includes("javascript"), text);
  },

  async "it fits each width, in light and dark"(file) {
    for (const window of WINDOWS) {
      const page = await opened(file, window);
      for (const hash of ["", "f.prints", "f.writes", "f.each", "f.asks"]) {
        await page.goto(`${page.url().split("#")[0]}#${hash}`);
        await titled(page, hash.split(".")[1] ?? "run_");
        await fits(page, `${window.viewport.width}, ${hash}`);
        await accessible(page, `${window.viewport.width}, ${window.colorScheme}, ${hash}`);
      }
      await page.context().close();
    }
    const page = await opened(file, { colorScheme: "light" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.keyboard.press("d");
    assert.notEqual(await ground(), light);
  },

  async "a damaged page says what to do"(file) {
    const text = readFileSync(file, "utf8").replace('id="run">{', 'id="run">');
    const damaged = join(work, "damaged.html");
    writeFileSync(damaged, text);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(pathToFileURL(damaged).href);
    await page.waitForSelector("text=Export the run again");
  },
};

await execute(tests, exported());
