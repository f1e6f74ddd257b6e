// What the tests of pages share: projects, a browser, and the judgement of axe.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** The command under test, and the directory with the packages, in which runs are made. */
export const [dhenara, work] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(work, "package.json"));
const { chromium } = require("playwright-core");
const { blake3 } = await import(pathToFileURL(require.resolve("@noble/hashes/blake3.js")).href);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** A canary that every field of a run carries: it is seen if any of it executes. */
export const CANARY = '<img src=x onerror="window.canary=1"><script>window.canary=1</script>';

/** A flow with one step of each kind: it prints hostile text, writes, loops, fails and asks. */
export const FLOW = `schema_version: 1
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

/**
 * Makes a project with some files.
 * @returns its directory
 */
export function projectWith(name, files) {
  const project = join(work, name);
  rmSync(project, { recursive: true, force: true });
  mkdirSync(join(project, ".dhenara"), { recursive: true });
  mkdirSync(join(project, "made"));
  const hostile = `${CANARY}\n\u001b[31mred\u001b[0m \u202e \u001b]8;;javascript:canary\u0007`;
  for (const [path, text] of Object.entries({ ".dhenara/config.yaml": "", "flow.yaml": FLOW, "hostile.txt": hostile, ...files })) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
  return project;
}

/** The lines of a journal, each with the sum that binds it to the lines before. */
export function sealed(records) {
  let sum = "0".repeat(16);
  const lines = records.map((record, index) => {
    const line = JSON.stringify({ ...record, seq: index + 1, at: "2026-01-01T00:00:00Z" });
    sum = Buffer.from(blake3(Buffer.from(sum + line))).toString("hex", 0, 8);
    return `${line.slice(0, -1)},"sum":"${sum}"}\n`;
  });
  return lines.join("");
}

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/**
 * A page that fails with anything that it logs, and with any request that it may not send.
 * @param {RegExp} allowed
 */
export async function newPage(allowed, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  // The server of a debug build reads a long run slowly on a busy machine.
  page.setDefaultTimeout(120_000);
  page.on("console", (message) => page.mayLog || assert.fail(`the page logged: ${message.text()}`));
  page.on("pageerror", (error) => assert.fail(`the page failed: ${error.stack || error.message}`));
  page.on("request", (request) => assert.ok(allowed.test(request.url()), `the page asked for ${request.url()}`));
  return page;
}

export const rows = (page) => page.locator(".tree .row").count();
export const current = (page) => page.locator(".tree .row.current .name").innerText();
export const title = (page) => page.locator("h1").innerText();

/** Waits until the heading holds a text. */
export function titled(page, text) {
  return page.waitForFunction((wanted) => document.querySelector("h1")?.textContent?.includes(wanted), text);
}

/** Fails with the serious violations that axe finds. */
export async function accessible(page, what) {
  // The policy of the page keeps other scripts out; that of the test comes by the protocol of the debugger.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(`${axe}; undefined`);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`)]), [], what);
}

/** A window for each width and scheme of colours that is looked at: the narrowest, usual ones, and the widest. */
export const WINDOWS = [[360, "light"], [1000, "light"], [2560, "light"], [360, "dark"], [1400, "dark"]].map(([width, colorScheme]) => ({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" }));

/** Fails if a page, or what it shows of a run, is wider than the window. */
export async function fits(page, what) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${what}: ${overflow} too wide`);
  const inner = await page.evaluate(() => { const main = document.querySelector("main"); return main.scrollWidth - main.clientWidth; });
  assert.ok(inner <= 0, `${what}: the details are ${inner} too wide`);
}

/**
 * Executes tests one after the other; those whose names hold a third argument, if there is one.
 * @param {Record<string, (given: any) => Promise<void>>} tests
 */
export async function execute(tests, given) {
  const [, , , , wanted = ""] = process.argv;
  let failed = 0;
  for (const [name, test] of Object.entries(tests).filter(([name]) => name.includes(wanted))) {
    const begun = Date.now();
    try {
      await test(given);
      console.log(`passed in ${Date.now() - begun} ms: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name}\n${error.stack}`);
    }
    await Promise.all(browser.contexts().map((context) => context.close()));
  }
  await browser.close();
  process.exitCode = failed === 0 ? 0 : 1;
}
