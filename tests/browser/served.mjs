// The page of all runs, from the real server, as a person uses it.
//
// node served.mjs DHENARA WORK: makes runs with the command DHENARA below the directory WORK, and looks at them in Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CANARY, WINDOWS, accessible, current, dhenara, execute, fits, newPage, projectWith, rows, sealed, title, titled, work } from "./harness.mjs";

const environment = { ...process.env, HOME: join(work, "home"), XDG_STATE_HOME: join(work, "home/state"), XDG_CONFIG_HOME: join(work, "home/config"), XDG_DATA_HOME: join(work, "home/data"), NO_COLOR: "1" };

/** The run of 100,000 steps; no driver signed it. */
const LONG_RUN = "run_20260101_000000_bbbbbb";
const LONG_STEPS = 100_000;
/** The bytes of a long output and of a long prompt. */
const LONG_OUTPUT = 100_000_000;
const LONG_PROMPT = 5_000_000;

const FAILS = `schema_version: 1
kind: flow
root_id: fails
elements:
  - repeat: again
    until: "$expr{ false }"
    max_iterations: 2
    on_exhausted: continue
    body:
      - { node: passes, type: command, settings: { commands: [[echo, passed]] } }
      - { node: test, type: command, on_error: continue, settings: { commands: [[bash, -c, "printf '\\\\033[31mtwo tests failed\\\\033[0m\\\\n' >&2; exit 101"]] } }
`;
const LONG_PRINT = `schema_version: 1
kind: flow
root_id: big
elements:
  - { node: prints, type: command, settings: { commands: [[bash, -c, "yes 'a line of the output' | head -c ${LONG_OUTPUT}"]] } }
`;
const ASKS_MODEL = `schema_version: 1
kind: flow
root_id: talks
variables:
  context: { $file: ./context.txt }
elements:
  - node: writes
    type: ai_model_call
    settings:
      models: [local/writer]
      system_instructions: ["You write short answers."]
      prompt: "Name the parts of a parser."
  - node: reads
    type: ai_model_call
    settings:
      models: [local/writer]
      prompt: "Read this: $expr{context}"
`;
const SLOW = `schema_version: 1
kind: flow
root_id: slow
elements:
  - for_each: each
    statement: "$expr{ [1, 2, 3, 4, 5, 6, 7, 8] }"
    body:
      - { node: item, type: command, settings: { commands: [[bash, -c, "echo begun; sleep 0.6; echo done"]] } }
  - { node: talks, type: command, settings: { commands: [[bash, -c, "for n in 1 2 3 4 5 6 7 8; do echo line $n; sleep 0.5; done"]] } }
`;

/** Executes the command to its end. */
function command(project, ...args) {
  return new Promise((resolve) => {
    const child = spawn(dhenara, args, { cwd: project, env: environment });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("close", (status) => resolve({ status, output }));
  });
}

async function run(project, file, status) {
  const done = await command(project, "run", "flow", file, "--no-input");
  assert.equal(done.status, status, done.output);
}

/** A server that answers as a model, in the protocol of OpenAI. */
async function model() {
  const content = "## Parts\n\n1. The *lexer* makes tokens\n2. The *parser* makes a tree\n\n```rust\nfn parse(text: &str) -> Tree { todo!() }\n```";
  const usage = { prompt_tokens: 31, completion_tokens: 44, total_tokens: 75 };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => {
      const common = { id: "c", created: 1, model: "writer" };
      if (!JSON.parse(body).stream) {
        response.setHeader("Content-Type", "application/json");
        return response.end(JSON.stringify({ ...common, object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }], usage }));
      }
      response.setHeader("Content-Type", "text/event-stream");
      const chunk = (delta, finish_reason, more = {}) => response.write(`data: ${JSON.stringify({ ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`);
      chunk({ role: "assistant", content }, null);
      chunk({}, "stop", { usage });
      response.end("data: [DONE]\n\n");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Writes the journal of a run whose loop has very many iterations of one step; the last but one failed. */
function writeLongRun(project) {
  const directory = join(project, "runs", LONG_RUN, ".run");
  mkdirSync(directory, { recursive: true });
  const counts = { completed: LONG_STEPS - 1, failed: 1, skipped: 0, reused: 0 };
  const totals = { counts, usage: { calls: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } };
  const variables = { value: {} };
  const records = [
    { type: "run_created", schema_version: 2, run_id: LONG_RUN, root_id: "f", definition_digest: "0".repeat(64) },
    { type: "inputs", variables, options: {} },
    { type: "run_started", epoch: 1, pid: 1, host: "h", version: "0.1.0", run_dir: "/r", run_root: "/r", project_root: "/r" },
    { type: "component_started", path: "f", kind: "flow", variables },
    { type: "component_started", path: "f.each", kind: "for_each", variables },
  ];
  for (let index = 0; index < LONG_STEPS; index += 1) {
    const path = `f.each.iter_${index}.item`;
    const status = index === LONG_STEPS - 2 ? "failed" : "completed";
    records.push({ type: "step_started", path, attempt: 1, reason: "first_execution" });
    records.push({ type: "step_committed", path, attempt: 1, status, duration_ms: 7, summary: "1 command" });
  }
  for (const path of ["f.each", "f"]) records.push({ type: "component_completed", path, status: "completed", totals });
  writeFileSync(join(directory, "journal.jsonl"), sealed(records));
  writeFileSync(join(directory, "lease"), "");
}

/** The runs that are looked at: their ids by the names of their flows. */
async function prepared() {
  const talker = await model();
  const project = projectWith("served", {
    "fails.yaml": FAILS, "big.yaml": LONG_PRINT, "talks.yaml": ASKS_MODEL, "slow.yaml": SLOW, "context.txt": "A sentence of a long text.\n".repeat(LONG_PROMPT / 27),
    ".dhenara/models.yaml": `- name: local/writer\n  base_url: http://127.0.0.1:${talker.address().port}\n  auth: none\n  price: { input: 3.0, output: 15.0 }\n`,
  });
  const big = run(project, "big.yaml", 0);
  await run(project, "talks.yaml", 0);
  await run(project, "fails.yaml", 0);
  await run(project, "flow.yaml", 3);
  const labelled = [await command(project, "runs", "tag", "last", "+nightly"), await command(project, "runs", "note", "last", CANARY)];
  assert.deepEqual(labelled.map(({ status }) => status), [0, 0], labelled.map(({ output }) => output).join());
  talker.close();
  writeLongRun(project);
  await big;
  const list = JSON.parse((await command(project, "runs", "list", "--json")).output);
  return { project, ids: Object.fromEntries(list.runs.map(({ root_id, run_id }) => [run_id === LONG_RUN ? "long" : root_id, run_id])) };
}

/** Starts the server, and waits until it says where it is. */
function serve(project, ...more) {
  const child = spawn(dhenara, ["view", "--no-open", ...more], { cwd: project, env: environment });
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (data) => {
      output += data;
      const [address] = output.match(/http:\/\/127\.0\.0\.1:\d+\//u) ?? [];
      const [session] = output.match(/\/\S+\.html/u) ?? [];
      if (address && session) resolve({ address, session, child, stop: () => new Promise((ended) => (child.on("close", ended), child.kill("SIGINT"))) });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("close", (status) => reject(new Error(`the server ended with ${status}: ${output}`)));
  });
}

/** The key that the code in the file of the session gives. */
async function keyOf(server) {
  const [code] = readFileSync(server.session, "utf8").match(/(?<=name="code" value=")\w+/u);
  const answer = await fetch(`${server.address}session`, { method: "POST", body: new URLSearchParams({ code }), headers: { Origin: "null" } });
  return (await answer.text()).match(/(?<=dhenara-session" content=")\w+/u)[0];
}

/** A page of the server that has its session, at a place. */
async function at(given, hash, options = {}) {
  const page = await newPage(/^(http:\/\/127\.0\.0\.1:|blob:)/u, options);
  await page.addInitScript((key) => sessionStorage.setItem("dhenara-session", key), given.key);
  await page.goto(`${given.server.address}${hash}`);
  await page.waitForSelector("h1, h2", { state: "attached" });
  return page;
}

const shownRuns = (page) => page.locator(".run-row .agent").allInnerTexts();

const tests = {
  async "the file of the session opens the list, once"(given) {
    const used = join(work, "used.html");
    copyFileSync(given.server.session, used);
    const page = await newPage(/^(file:|http:\/\/127\.0\.0\.1:)/u);
    await page.goto(pathToFileURL(given.server.session).href);
    await page.waitForSelector(".run-row");
    assert.equal(new URL(page.url()).pathname, "/");
    assert.match(await page.evaluate(() => sessionStorage.getItem("dhenara-session")), /^\S{20,}$/u);
    assert.equal((await page.context().cookies()).length, 0);
    assert.equal((await shownRuns(page)).length, 5);
    const second = await newPage(/./u);
    second.mayLog = true;
    await second.goto(pathToFileURL(used).href);
    await second.waitForURL(/127\.0\.0\.1/u);
    assert.equal(await second.evaluate(() => sessionStorage.getItem("dhenara-session")), null);
  },

  async "a page without a session says how to get one"(given) {
    const page = await newPage(/^http:\/\/127\.0\.0\.1:/u);
    await page.goto(given.server.address);
    await page.waitForSelector("text=This page has no session");
    assert.equal(await page.locator(".command code").innerText(), "dhenara view");
    await page.evaluate(() => sessionStorage.setItem("dhenara-session", "wrong"));
    page.mayLog = true;
    await page.reload();
    await page.waitForSelector("text=The session of this page is over");
  },

  async "filters stand in the address"(given) {
    const page = await at(given, "#/?status=waiting");
    await page.waitForSelector(".run-row");
    assert.deepEqual(await shownRuns(page), ["f"]);
    assert.equal(await page.locator(".choice[aria-pressed=true]").innerText(), "? waiting");
    await page.keyboard.press("x");
    await page.waitForFunction(() => document.querySelectorAll(".run-row").length === 5);
    await page.keyboard.press("/");
    await page.keyboard.type("talks");
    await page.waitForFunction(() => location.hash === "#/?text=talks" && document.querySelectorAll(".run-row").length === 1);
    await page.keyboard.type("zzz");
    await page.waitForSelector("text=No run fits these filters");
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelectorAll(".run-row").length === 5);
    await page.locator(".chip", { hasText: "nightly" }).click();
    await page.waitForFunction(() => location.hash === "#/?tag=nightly" && document.querySelectorAll(".run-row").length === 1);
    await page.reload();
    await page.waitForSelector(".run-row");
    assert.deepEqual(await shownRuns(page), ["f"]);
  },

  async "the keyboard reaches everything"(given) {
    const page = await at(given, `#/?text=${given.ids.fails}`);
    await page.waitForSelector(".run-row.current");
    await page.keyboard.press("Enter");
    await titled(page, given.ids.fails);
    await page.keyboard.press("ArrowDown");
    assert.equal(await current(page), "again");
    await page.keyboard.press("f");
    await titled(page, "test");
    await page.waitForSelector("text=two tests failed");
    assert.match(decodeURIComponent(page.url()), /fails\.again\.iter_0\.test$/u);
    await page.keyboard.press("f");
    await page.waitForURL(/iter_1/u);
    await page.keyboard.press("Shift+F");
    await page.waitForURL(/iter_0/u);
    await page.keyboard.press("?");
    assert.ok(await page.locator("dialog[open]").isVisible());
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("iter_1.passes");
    await page.waitForFunction(() => document.querySelectorAll(".tree .row").length === 1);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await titled(page, "passes");
    await page.keyboard.press("r");
    await titled(page, given.ids.fails);
    await page.keyboard.press("l");
    await page.waitForSelector(".run-row");
    assert.ok(new URL(page.url()).hash.includes("text="), "the list has its filters again");
  },

  async "a run that is made is followed while it runs"(given) {
    const page = await at(given, "#/");
    await page.waitForSelector(".connection.live");
    const running = command(given.project, "run", "flow", "slow.yaml");
    await page.waitForSelector(".run-row .status.running");
    await page.locator(".run-row .agent", { hasText: "slow" }).click();
    await titled(page, "run_");
    await page.waitForSelector('.tree .name:text-is("iter_1")');
    // What has the focus keeps it, and the row with the keyboard stays the same.
    await page.locator(".tree").focus();
    await page.keyboard.press("ArrowDown");
    const before = await current(page);
    await page.waitForSelector('.tree .name:text-is("iter_4")');
    assert.equal(await current(page), before);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "tree");
    await page.waitForFunction(() => /[2-9] completed/u.test(document.querySelector("main dl")?.textContent ?? ""));
    await page.waitForSelector('.tree .name:text-is("talks")');
    await page.locator('.tree .name:text-is("talks")').click();
    await page.waitForSelector(".live-output >> text=line 1");
    await page.waitForSelector(".live-output >> text=line 3");
    assert.equal((await running).status, 0);
    await page.waitForSelector("h1 .status.completed");
    await page.waitForSelector("text=exit code 0");
    assert.match(await page.locator(".run-name").innerText(), /✓/u);
  },

  async "what a run waits for stands on top"(given) {
    const page = await at(given, `#/${given.ids.f}`, { permissions: ["clipboard-read", "clipboard-write"] });
    const box = page.locator(".box.waiting");
    assert.match(await box.innerText(), /Waits for approval: f\.asks/u);
    await box.locator(".copy").click();
    await page.waitForSelector("text=copied");
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), new RegExp(`^\\S+ answer ${given.ids.f} \\S+ --approve$`, "u"));
    await box.locator("button.link").click();
    await titled(page, "asks");
  },

  async "a run of 100,000 steps is small and quick"(given) {
    const page = await newPage(/^http:\/\/127\.0\.0\.1:/u);
    await page.addInitScript((key) => sessionStorage.setItem("dhenara-session", key), given.key);
    await page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector(".tree .row") || !document.querySelector("h1")) return;
        observer.disconnect();
        const answers = performance.getEntriesByType("resource").map(({ name, transferSize, encodedBodySize }) => ({ name, bytes: Math.max(transferSize, encodedBodySize) }));
        window.first = { answers, elements: document.querySelectorAll("*").length };
      }).observe(document, { subtree: true, childList: true });
    });
    await page.goto(`${given.server.address}#/${LONG_RUN}`);
    await page.waitForFunction(() => window.first);
    const { answers } = await page.evaluate(() => window.first);
    // The document itself is none of its resources.
    assert.ok(answers.length + 1 <= 6, answers.map(({ name }) => name).join("\n"));
    const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0);
    assert.ok(bytes > 10_000 && bytes <= 300_000, `${bytes} bytes`);
    await page.locator(".tree").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector("text=iterations 1,000 to 1,999");
    await page.keyboard.press("f");
    await page.waitForURL(/iter_99998/u);
    assert.equal(await current(page), "item");
    await page.keyboard.press("End");
    await page.waitForFunction(() => document.querySelector(".tree .row.current .name"));
    assert.ok((await rows(page)) <= 200);
    await page.goto(`${given.server.address}#/${LONG_RUN}/f.each`);
    await page.waitForSelector(".strip .cell");
    assert.equal(await page.locator(".strip .cell.failed").count(), 1);
    await page.locator(".strip .cell.failed").click();
    await page.waitForURL(/iter_99998/u);
  },

  async "a long output is read in pieces"(given) {
    const begun = Date.now();
    const page = await at(given, `#/${given.ids.big}/big.prints`);
    await page.waitForSelector("text=stdout.log");
    assert.ok(Date.now() - begun < 10_000, `${Date.now() - begun} ms`);
    await page.locator("summary", { hasText: "stdout.log" }).click();
    await page.waitForSelector('[aria-label="The end"]:not([disabled])');
    await page.locator('[aria-label="The end"]').click();
    await page.waitForSelector("text=99.7 MB to 100.0 MB of 100.0 MB");
    assert.match(await page.locator(".piece").innerText(), /a line of the output/u);
    assert.ok((await page.locator("body").innerText()).length < 2_000_000);
    await page.locator('[aria-label="The piece before"]').click();
    await page.waitForSelector("text=99.5 MB to 99.7 MB of 100.0 MB");
  },

  async "a conversation with a model is read, and a long prompt when it is asked for"(given) {
    const page = await at(given, `#/${given.ids.talks}/talks.writes`);
    await page.waitForSelector("article.assistant");
    assert.match(await page.locator("article.assistant").innerText(), /The lexer makes tokens/u);
    const begun = Date.now();
    await page.goto(`${given.server.address}#/${given.ids.talks}/talks.reads`);
    await titled(page, "reads");
    await page.waitForSelector('button:has-text("load it")');
    assert.ok(Date.now() - begun < 10_000, `${Date.now() - begun} ms`);
    await page.locator('button:has-text("load it")').first().click();
    await page.waitForSelector("article.user");
    assert.match(await page.locator("article.user").innerText(), /A sentence of a long text/u);
    await page.waitForSelector("text=show all of it");
  },

  async "nothing of a hostile run executes"(given) {
    const page = await at(given, `#/${given.ids.f}`);
    await page.waitForSelector(".tree .row");
    const count = await rows(page);
    for (let index = 0; index < count; index += 1) {
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.waitForSelector("main:not([aria-busy])");
      for (let depth = 0; depth < 3; depth += 1) await page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));
      await page.waitForTimeout(200);
    }
    assert.equal(await page.evaluate(() => window.canary), undefined);
    assert.equal(await page.locator("main script, main iframe, main object, main svg").count(), 0);
    assert.ok(!(await page.locator("body").innerText()).includes("\u202e"));
    // The policy refuses what gets into the page all the same.
    page.mayLog = true;
    await page.evaluate((canary) => { document.getElementById("page").innerHTML = canary; const script = document.createElement("script"); script.textContent = "window.canary = 1"; document.body.append(script); }, CANARY);
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate(() => window.canary), undefined);
  },

  async "a run that is none is named with what to do"(given) {
    const page = await newPage(/^http:\/\/127\.0\.0\.1:/u);
    page.mayLog = true;
    await page.addInitScript((key) => sessionStorage.setItem("dhenara-session", key), given.key);
    await page.goto(`${given.server.address}#/run_20990101_000000_ffffff`);
    await page.waitForSelector("text=This cannot be shown");
    await page.goto(`${given.server.address}#/${given.ids.f}/f.nothing`);
    await page.waitForSelector("text=The run has no such part");
  },

  async "a project without runs says how to make one"() {
    const server = await serve(projectWith("empty", {}));
    const page = await newPage(/^(file:|http:\/\/127\.0\.0\.1:)/u);
    await page.goto(pathToFileURL(server.session).href);
    await page.waitForSelector("text=There is no run yet");
    await page.waitForSelector("text=run agent NAME");
    await server.stop();
  },

  async "it fits each width, in light and dark"(given) {
    const { f, fails, talks } = given.ids;
    const places = { "#/": ".run-row", "#/?text=zzz": ".empty", [`#/${f}`]: ".lane-row", [`#/${f}/f.prints`]: ".printed", [`#/${f}/f.writes`]: ".diff", [`#/${fails}/fails.again`]: ".strip .cell", [`#/${fails}/fails.again.iter_0.test`]: ".box.failed", [`#/${talks}/talks.writes`]: ".turn" };
    for (const window of WINDOWS) {
      const page = await at(given, "#/", window);
      for (const [hash, part] of Object.entries(places)) {
        await page.evaluate((place) => (location.hash = place), hash);
        await page.waitForSelector(part, { state: "attached" });
        await fits(page, `${window.viewport.width}, ${hash}`);
        await accessible(page, `${window.viewport.width}, ${window.colorScheme}, ${hash}`);
      }
    }
  },

  async "a server that stopped is noticed"() {
    const server = await serve(projectWith("stops", {}));
    const page = await newPage(/^(file:|http:\/\/127\.0\.0\.1:)/u);
    await page.goto(pathToFileURL(server.session).href);
    await page.waitForSelector(".connection.live");
    page.mayLog = true;
    await server.stop();
    await page.waitForSelector(".connection.waiting");
    assert.match(await page.locator(".connection").innerText(), /no server, next try in \d+ s/u);
    // Another server at the same place knows nothing of the session.
    const again = await serve(join(work, "stops"), "--port", new URL(server.address).port);
    await page.waitForSelector("text=The session of this page is over");
    await again.stop();
    await page.reload().catch(() => {});
  },
};

const given = await prepared();
given.server = await serve(given.project);
given.key = await keyOf(given.server);
await execute(tests, given);
await given.server.stop();
