// The page of a run in a browser, as a person uses it.
//
// node page.mjs DHENARA WORK: makes runs with the command DHENARA below the directory WORK, and opens their pages in Chromium.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [dhenara, work] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(work, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** A canary that every field of a run carries: it is seen if any of it executes. */
const CANARY = '<img src=x onerror="window.canary=1"><script>window.canary=1</script>';

const FLOW = `schema_version: 1
kind: flow
root_id: f
elements:
  - { node: prints, type: command, settings: { commands: [[cat, hostile.txt]], working_dir: "$var{project_root}" } }
  - { node: writes, type: file_operation, settings: { base_directory: "$var{project_root}/made", operations: [{ type: create_file, path: a.md, content: "# Title" }] } }
  - for_each: each
    statement: "$expr{ [1, 2, 3] }"
    body:
      - { node: item, type: command, settings: { commands: [[echo, item]] } }
  - { node: breaks, type: command, on_error: continue, settings: { commands: [["false"]] } }
  - { node: asks, type: command, requires_approval: true, settings: { commands: [[echo, done]] } }
`;

/** Makes a run, and the page of it. */
function exported() {
  const project = join(work, "project");
  rmSync(project, { recursive: true, force: true });
  mkdirSync(join(project, ".dhenara"), { recursive: true });
  mkdirSync(join(project, "made"));
  writeFileSync(join(project, ".dhenara/config.yaml"), "");
  writeFileSync(join(project, "flow.yaml"), FLOW);
  writeFileSync(join(project, "hostile.txt"), `${CANARY}\n\u001b[31mred\u001b[0m \u202e \u001b]8;;javascript:canary\u0007`);
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

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** Opens a page, and fails with anything that it logs. */
async function opened(file, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => assert.fail(`the page logged: ${message.text()}`));
  page.on("pageerror", (error) => assert.fail(`the page failed: ${error.stack}`));
  page.on("request", (request) => assert.ok(/^(file|data):/u.test(request.url()), `the page asked for ${request.url()}`));
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector("h1", { state: "attached" });
  return page;
}

const rows = (page) => page.locator(".tree .row").count();
const current = (page) => page.locator(".tree .row.current .name").innerText();
const title = (page) => page.locator("h1").innerText();

async function accessible(page, what) {
  // The policy of the page keeps other scripts out; that of the test comes by the protocol of the debugger.
  await page.evaluate(`${axe}; undefined`);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`)]), [], what);
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
    await page.waitForFunction(() => document.querySelector("h1")?.textContent?.includes("breaks"));
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
    assert.deepEqual(await page.locator(".tree .row .name").allInnerTexts(), ["f", "each", "iter_2", "item"]);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("h1")?.textContent?.includes("iter_2"));
    await page.keyboard.press("r");
    await page.waitForFunction(() => document.querySelector("h1")?.textContent?.includes("run_"));
  },

  async "a run of 100,000 steps has few rows, and its failure is one key away"(file) {
    const page = await opened(long(file));
    assert.ok((await rows(page)) <= 200);
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.querySelector("h1")?.textContent?.includes("item"));
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
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [360, 800, 2560]) {
        const page = await opened(file, { viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" });
        for (const hash of ["", "f.prints", "f.writes", "f.each", "f.asks"]) {
          await page.goto(`${page.url().split("#")[0]}#${hash}`);
          await page.evaluate(() => document.documentElement.classList.add("at-detail"));
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${width}, ${hash}: ${overflow} too wide`);
          const inner = await page.evaluate(() => { const main = document.querySelector("main"); return main.scrollWidth - main.clientWidth; });
          assert.ok(inner <= 0, `${width}, ${hash}: the details are ${inner} too wide`);
          await accessible(page, `${width}, ${colorScheme}, ${hash}`);
        }
        await page.context().close();
      }
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

const file = exported();
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const begun = Date.now();
  try {
    await test(file);
    console.log(`passed in ${Date.now() - begun} ms: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await browser.close();
process.exitCode = failed === 0 ? 0 : 1;
