// A run, and the list of runs, as the server gives them. The only part of the page that sends requests.
import { PORTION_OF_CHILDREN } from "./source.js";
import { quoted } from "./text.js";

/** @typedef {import("./source.js").TreeNode} TreeNode */
/** @typedef {import("./source.js").Source} Source */

/** The name of the session key in the storage of this tab. */
const SESSION = "dhenara-session";
/** The wait before the stream of events is opened again, in milliseconds: it doubles up to the longest. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** A stream that says nothing for so long is dead: the server sends a comment each 15 seconds. */
const SILENCE = 40_000;
/** The questions for one search: each looks at some thousands of nodes. */
const MOST_QUESTIONS = 500;

/** An answer of the server that is none, or no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status of the answer; 0 without one
   * @param {{ code?: string, message?: string, hint?: string }} error
   */
  constructor(status, error) {
    super(error.message ?? "the server gave no answer");
    this.status = status;
    this.code = error.code ?? "no_answer";
    this.hint = error.hint;
  }
}

/** Takes over the key that the page of the session brings; true if it did. */
export function tookSession() {
  const key = document.querySelector('meta[name="dhenara-session"]')?.getAttribute("content");
  if (!key) return false;
  sessionStorage.setItem(SESSION, key);
  return true;
}

export class Api {
  constructor() {
    const needsKey = document.querySelector('meta[name="dhenara-view"]')?.getAttribute("content") !== "open";
    this.key = needsKey ? sessionStorage.getItem(SESSION) : null;
    this.isOpen = !needsKey || this.key !== null;
    /** @type {(error: ApiError) => void} */
    this.onTrouble = () => {};
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | null | undefined>} query
   * @param {RequestInit} [more]
   */
  async answer(path, query, more = {}) {
    const words = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const search = new URLSearchParams(words.map(([name, value]) => [name, String(value)])).toString();
    const headers = { ...more.headers, ...(this.key ? { "X-Dhenara-Session": this.key } : {}) };
    /** @type {Response} */
    let response;
    try {
      response = await fetch(`api/v1/${path}${search && `?${search}`}`, { cache: "no-store", credentials: "same-origin", ...more, headers });
    } catch {
      throw this.trouble(new ApiError(0, {}));
    }
    if (response.ok) return response;
    const document = await response.json().catch(() => ({}));
    throw this.trouble(new ApiError(response.status, document.error ?? { message: `the server answered ${response.status}` }));
  }

  /** @param {ApiError} error */
  trouble(error) {
    if (error.status === 401 || error.status === 0) this.onTrouble(error);
    return error;
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | null | undefined>} [query]
   * @returns {Promise<any>}
   */
  async json(path, query = {}) {
    return (await this.answer(path, query)).json();
  }
}

/** @typedef {{ state: "live" } | { state: "waiting", until: number } | { state: "over", why?: string }} Connection */

/** The stream of events, opened again after it broke. */
export class Events {
  /**
   * @param {Api} api
   * @param {Record<string, string | number | undefined>} query
   * @param {(name: string, data: any) => void} onEvent
   * @param {(connection: Connection) => void} onConnection
   */
  constructor(api, query, onEvent, onConnection) {
    this.api = api;
    this.query = query;
    this.onEvent = onEvent;
    this.onConnection = onConnection;
    this.isOver = false;
    this.wait = FIRST_WAIT;
    this.ending = new AbortController();
    this.wake = () => {};
    // A browser opens few connections to one server: pages in the background leave theirs to the others.
    this.onSight = () => document.hidden && this.ending.abort();
    void this.follow();
  }

  close() {
    this.isOver = true;
    document.removeEventListener("visibilitychange", this.onSight);
    this.ending.abort();
    this.wake();
  }

  async follow() {
    document.addEventListener("visibilitychange", this.onSight);
    while (!this.isOver) {
      await inSight();
      try {
        await this.read();
      } catch (error) {
        if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
          this.isOver = true;
          return this.onConnection({ state: "over", why: error.message });
        }
      }
      if (this.isOver) return;
      if (document.hidden) continue;
      this.onConnection({ state: "waiting", until: Date.now() + this.wait });
      await new Promise((resolve) => {
        this.wake = () => resolve(undefined);
        setTimeout(resolve, this.wait);
      });
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    }
  }

  /** Reads the stream up to its end. */
  async read() {
    this.ending = new AbortController();
    const { signal } = this.ending;
    let silent = setTimeout(() => this.ending.abort(), SILENCE);
    try {
      const response = await this.api.answer("events", this.query, { signal, headers: { Accept: "text/event-stream" } });
      this.onConnection({ state: "live" });
      this.wait = FIRST_WAIT;
      const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silent);
        silent = setTimeout(() => this.ending.abort(), SILENCE);
        const parts = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
        rest = parts.pop() ?? "";
        parts.forEach((part) => this.take(part));
      }
    } finally {
      clearTimeout(silent);
    }
  }

  /** @param {string} text of one event */
  take(text) {
    let name = "message";
    const data = [];
    for (const line of text.split("\n")) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
      else if (line.startsWith("id:")) this.query = { ...this.query, after: line.slice(3).trim() };
    }
    if (data.length === 0) return;
    const event = JSON.parse(data.join("\n"));
    if (name !== "error") return this.onEvent(name, event);
    // What the server cannot read now, it cannot read a moment later.
    this.close();
    this.onConnection({ state: "over", why: event.error?.message });
  }
}

/** Waits until the page can be seen. */
async function inSight() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/**
 * The address of a run or of a part of it within the page.
 * @param {string} run
 * @param {string} [path]
 */
export function addressOf(run, path = "") {
  return `#/${encodeURIComponent(run)}${path && `/${encodeURIComponent(path)}`}`;
}

/** @implements {Source} */
export class ServerSource {
  /**
   * @param {Api} api
   * @param {string} id of the run
   * @param {(connection: Connection) => void} onConnection
   */
  constructor(api, id, onConnection) {
    this.api = api;
    this.id = id;
    this.onConnection = onConnection;
    this.addressOf = addressOf;
    this.program = "dhenara";
    this.seq = 0;
  }

  /**
   * @param {string} name
   * @param {Record<string, string | number | null | undefined>} [query]
   * @returns {Promise<any>}
   */
  ask(name, query) {
    return this.api.json(`runs/${encodeURIComponent(this.id)}${name && `/${name}`}`, query);
  }

  async run() {
    const run = await this.ask("");
    this.program = run.program;
    this.seq = run.seq;
    return run;
  }

  /**
   * @param {string | null} of
   * @param {number} from
   * @param {number} within
   */
  children(of, from, within) {
    return this.ask("children", { of, from, limit: PORTION_OF_CHILDREN, within: within || null });
  }

  /**
   * @param {string} of
   * @param {{ cells?: number, length?: number }} by
   */
  ranges(of, by) {
    return this.ask("ranges", { of, ...by });
  }

  /** @param {string} path */
  async node(path) {
    try {
      return await this.ask("node", { path });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return null;
      throw error;
    }
  }

  /** @param {import("./source.js").Query} query */
  async find(query) {
    const direction = query.before === undefined ? "after" : "before";
    let place = query[direction];
    /** @type {TreeNode[]} */
    let found = [];
    for (let count = 0; count < MOST_QUESTIONS; count += 1) {
      const answer = await this.ask("find", { ...query, limit: query.limit - found.length, [direction]: place });
      found = direction === "after" ? [...found, ...answer.found] : [...answer.found, ...found];
      place = answer.next;
      if (!place || found.length >= query.limit) return { found, more: answer.more };
    }
    return { found, more: true };
  }

  /**
   * @param {string} path
   * @param {number} [limit]
   */
  step(path, limit) {
    return this.ask("step", { path, limit });
  }

  spending() {
    return this.ask("spending");
  }

  /** @param {string} [of] */
  timeline(of) {
    return this.ask("timeline", { of });
  }

  /**
   * @param {string} path
   * @param {string | undefined} after
   */
  lines(path, after) {
    return this.ask("lines", { path, after });
  }

  /**
   * @param {string} path
   * @param {string} name
   * @param {number} from
   * @param {number} length
   */
  async artifact(path, name, from, length) {
    const response = await this.api.answer(`runs/${encodeURIComponent(this.id)}/artifact`, { path, name }, { headers: { Range: `bytes=${from}-${from + length - 1}` } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const total = Number(response.headers.get("Content-Range")?.split("/")[1] ?? bytes.length);
    return { bytes, total };
  }

  async madeFrom() {
    return (await this.api.json("runs", { parent: this.id, limit: 100 })).runs;
  }

  /** @param {(changed: import("./source.js").Changed) => void} onChange */
  follow(onChange) {
    const take = (/** @type {string} */ name, /** @type {any} */ data) => name === "changed" && onChange({ nodes: data.nodes ?? [], more: Boolean(data.more) });
    const events = new Events(this.api, { run: this.id, after: this.seq }, take, this.onConnection);
    return () => events.close();
  }

  /**
   * @param {string} words before the id of the run
   * @param {...string} more
   */
  command(words, ...more) {
    return [this.program, words, this.id, ...more.map(quoted)].join(" ");
  }
}
