//! `dhenara view`: the page of all runs as a server on this machine, asked as a browser asks it, and as no browser would.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::time::Duration;

use dhenara::run::{FindNodes, RunIndex, RunView};
use dhenara::types::StepStatus;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, edit_journal, read_lines};
use crate::html_pages::{HOSTILE, LONG_RUN, waiting, with_iterations};
use crate::waiting::{wait_for, wait_until};

/// A server that was started, and a session of it.
struct Server {
    child: Option<std::process::Child>,
    stdout: BufReader<ChildStdout>,
    /// Host and port.
    host: String,
    file: PathBuf,
    key: String,
}

/// The answer to a request.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Its status and the code of its error.
    fn error(&self) -> String {
        let error = self.json()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|said| !said.is_empty()));
        format!("{} {}", self.status, error["code"].as_str().unwrap())
    }
}

impl Server {
    fn start(env: &TestEnvironment, more: &[&str]) -> Self {
        let mut child = env.start(&[&["view", "--no-open"], more].concat());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            stdout.read_line(line).unwrap();
        }
        let [address, file] = lines;
        let host = address.trim().strip_prefix("http://").unwrap();
        let mut server = Self {
            child: Some(child),
            stdout,
            host: host.trim_end_matches('/').to_owned(),
            file: file.trim().into(),
            key: String::new(),
        };
        let code = server.code();
        let opened = server.redeem(&code);
        assert_eq!(opened.status, 200, "{opened:?}");
        wait_until("the next code", || server.code() != code);
        server.key = between(&opened.text(), "name=\"dhenara-session\" content=\"", "\"").to_owned();
        server
    }

    /// The code in the file that opens a session.
    fn code(&self) -> String {
        let file = std::fs::read_to_string(&self.file).unwrap();
        between(&file, "name=\"code\" value=\"", "\"").to_owned()
    }

    /// Posts a code as a browser does that opened the file.
    fn redeem(&self, code: &str) -> Answer {
        let body = format!("code={code}");
        let head = format!(
            "POST /session HTTP/1.1\r\nHost: {}\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        self.send(&(head + &body))
    }

    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        answer_of(&bytes)
    }

    /// Asks with other headers than those of the page.
    fn ask_as(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "Host") {
            write!(request, "Host: {}\r\n", self.host).unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        self.send(&(request + "\r\n"))
    }

    fn ask(&self, target: &str) -> Answer {
        self.ask_as(target, &[("X-Dhenara-Session", &self.key)])
    }

    /// A document below the interface.
    fn get(&self, target: &str) -> Value {
        let answer = self.ask(&format!("/api/v1/{target}"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let document = answer.json();
        assert_eq!(document["schema_version"], 1);
        document
    }

    fn error(&self, target: &str) -> String {
        self.ask(&format!("/api/v1/{target}")).error()
    }

    /// The events of a stream, with their names.
    fn events(&self, words: &str) -> Events {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!(
            "GET /api/v1/events?{words} HTTP/1.1\r\nHost: {}\r\nX-Dhenara-Session: {}\r\n\r\n",
            self.host, self.key
        );
        stream.write_all(request.as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }

    /// Ends the server by Ctrl-C.
    fn end(mut self, env: &TestEnvironment) -> crate::harness::CommandOutput {
        let child = self.child.take().unwrap();
        env.signal(&child, "INT");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        env.finish(child).expect(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A stream of events.
struct Events(BufReader<TcpStream>);

impl Events {
    /// The next event: its name, its document and its id. Lengths of chunks and comments stand in lines of their own.
    fn next(&mut self) -> Option<(String, Value, String)> {
        let (mut name, mut data, mut id) = (String::new(), None, String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(of) = line.strip_prefix("event: ") {
                of.trim().clone_into(&mut name);
            } else if let Some(of) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(of).unwrap());
            } else if let Some(of) = line.strip_prefix("id: ") {
                of.trim().clone_into(&mut id);
            } else if line == "\n"
                && let Some(data) = data.take()
            {
                return Some((name, data, id));
            }
        }
    }
}

fn between<'t>(text: &'t str, before: &str, behind: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(behind).unwrap().0
}

fn answer_of(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    assert!(
        headers.iter().all(|(name, _)| name != "transfer-encoding"),
        "{head}"
    );
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: bytes[end + 4..].to_vec(),
    }
}

fn name_of(run: &Path) -> String {
    run.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_file_for_its_user_alone_opens_a_session_once() {
    let env = TestEnvironment::new();
    let server = Server::start(&env, &[]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.file), 0o600);
    assert_eq!(mode(server.file.parent().unwrap()), 0o700);
    let code = server.code();
    assert!(
        !std::fs::read_to_string(&server.file)
            .unwrap()
            .contains(&server.key)
    );
    assert_eq!(server.redeem(&code).status, 200);
    assert_eq!(server.redeem(&code).error(), "403 code");
    assert_eq!(server.redeem("").error(), "403 code");
    assert_eq!(server.redeem(&"0".repeat(100_000)).error(), "403 code");
    // Another page of the same user needs no other server.
    wait_until("another code", || server.code() != code);
    let opened = server.redeem(&server.code());
    assert!(opened.text().contains(&server.key));
    assert_eq!(opened.header("cache-control"), "no-store");
    let file = server.file.clone();
    assert_snapshot!(server.end(&env), @"
    ---- stderr
    open the file in a browser; Ctrl-C ends the server
    ---- exit code 0
    ");
    assert!(!file.exists());
}

#[test]
fn only_the_page_of_the_server_is_answered() {
    let env = waiting();
    let server = Server::start(&env, &["--read-only"]);
    let key = server.key.clone();
    let about = "/api/v1/about";
    let with = |name: &'static str, value: &str| {
        let headers = [("X-Dhenara-Session", key.as_str()), (name, value)];
        let answer = server.ask_as(about, &headers);
        match answer.status {
            200 => "200".to_owned(),
            _ => answer.error(),
        }
    };
    let port = server.host.split_once(':').unwrap().1;
    assert_eq!(with("Host", &format!("localhost:{port}")), "200");
    for host in [
        "evil.example",
        "localhost",
        "127.0.0.1",
        "127.0.0.1.evil.example",
        "",
    ] {
        assert_eq!(with("Host", host), "403 host", "{host}");
    }
    assert_eq!(with("Host", &format!("evil.example:{port}")), "403 host");
    assert_eq!(with("Origin", &format!("http://{}", server.host)), "200");
    for origin in ["null", "http://evil.example", "http://localhost:1", "file://", ""] {
        assert_eq!(with("Origin", origin), "403 origin", "{origin}");
    }
    assert_eq!(with("Sec-Fetch-Site", "cross-site"), "403 origin");
    assert_eq!(with("Sec-Fetch-Site", "same-origin"), "200");
    assert_eq!(server.ask_as(about, &[]).error(), "401 session");
    for wrong in ["", "0", &key[1..], &format!("{key}0"), &"0".repeat(64)] {
        assert_eq!(
            server.ask_as(about, &[("X-Dhenara-Session", wrong)]).error(),
            "401 session"
        );
    }
    for other in [
        "//api/v1/about",
        "/%61pi/v1/about",
        "/api/v1/../v1/about",
        "/nothing",
    ] {
        assert_eq!(server.ask_as(other, &[]).error(), "401 session", "{other}");
    }
    let of_other_origin = server.ask_as("/", &[("Origin", "http://evil.example")]);
    assert_eq!(of_other_origin.error(), "403 origin");
    let post = format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nX-Dhenara-Session: {key}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        server.host
    );
    assert_eq!(server.send(&post).error(), "405 request");
    for nothing in [
        "/nothing",
        "/assets/dom.js",
        "/assets/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/api/v1/runs/a/b/c",
    ] {
        assert_eq!(server.ask(nothing).error(), "404 not_found", "{nothing}");
    }
}

#[test]
fn page_and_assets_hold_no_data_and_allow_nothing_else() {
    let env = waiting();
    let server = Server::start(&env, &[]);
    let run = name_of(&env.last_run());
    for target in ["/", "/assets/page.css", "/assets/page.js"] {
        let answer = server.ask_as(target, &[]);
        assert_eq!(answer.status, 200, "{target}");
        let text = answer.text();
        for data in [
            run.as_str(),
            "prints",
            &server.key,
            &env.project().to_string_lossy(),
        ] {
            assert!(!text.contains(data) || data == "prints", "{target} holds {data}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
    let page = server.ask_as("/", &[]).text();
    assert!(
        !page.contains("style=") && !page.contains("<style") && !page.contains("onload"),
        "{page}"
    );
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<meta name=\"dhenara-view\" content=\"session\">"));
    let script = server.ask_as("/assets/page.js", &[]).text();
    for word in [
        "\nimport ",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!script.contains(word), "`{word}` stands in the script");
    }
}

#[test]
fn a_run_is_answered_as_the_commands_print_it() {
    let env = waiting();
    let server = Server::start(&env, &[]);
    let run = name_of(&env.last_run());
    let of = |words: &str| server.get(&format!("runs/{run}{words}"));
    let about = server.get("about");
    assert_eq!(about["project"], json!(env.project()));
    assert_eq!(about["read_only"], true);
    let listed = env.run(&["runs", "list", "--json"]).expect(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let runs = server.get("runs");
    assert_eq!((&runs["runs"], &runs["total"]), (&listed["runs"], &json!(1)));

    let shown = env.run(&["runs", "show", "last", "--json"]).expect(0);
    let mut shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let steps = shown.as_object_mut().unwrap().remove("steps").unwrap();
    let answered = of("");
    for (field, value) in shown.as_object().unwrap() {
        assert_eq!(&answered[field], value, "{field}");
    }
    assert_eq!(
        answered["seq"],
        read_lines(&env.last_run().join(".run/journal.jsonl")).len()
    );
    assert_eq!(answered["questions"][0]["path"], "f.asks");
    assert_eq!(answered["root"]["path"], "f");
    assert_eq!(answered["spending"], {
        let mut spending = of("/spending");
        spending.as_object_mut().unwrap().remove("schema_version");
        spending
    });
    for step in steps.as_array().unwrap() {
        let path = step["path"].as_str().unwrap();
        let mut entry = of(&format!("/step?path={path}"))["entry"].clone();
        entry["path"] = json!(path);
        assert_eq!(&entry, step);
        let node = of(&format!("/node?path={path}"))["node"].clone();
        for field in ["path", "status"] {
            assert_eq!(node[field], step[field], "{path}");
        }
    }
    let traced = env.run(&["runs", "trace", "last", "--json"]).expect(0);
    let traced: Value = serde_json::from_str(&traced.stdout).unwrap();
    let timeline = of("/timeline");
    assert_eq!(timeline["rows"], traced["rows"]);
    assert_eq!(
        (&timeline["time"], &timeline["more"]),
        (&traced["time"], &json!(false))
    );
    assert_eq!(
        of("/timeline?of=f.each&limit=2")["rows"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

/// The paths of nodes with those in them.
fn paths(nodes: &Value) -> Vec<String> {
    let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
    let own = |node: &Value| node["path"].as_str().unwrap().to_owned();
    nodes
        .iter()
        .flat_map(|node| [vec![own(node)], paths(&node["inner"])].concat())
        .collect()
}

#[test]
fn the_tree_is_answered_a_part_at_a_time() {
    let env = waiting();
    let server = Server::start(&env, &[]);
    let run = name_of(&env.last_run());
    let of = |words: &str| server.get(&format!("runs/{run}/{words}"));
    assert_eq!(paths(&of("children")["nodes"]), ["f"]);
    let all = of("children?within=200");
    assert_eq!(
        paths(&all["nodes"]),
        [
            "f",
            "f.prints",
            "f.writes",
            "f.each",
            "f.each.iter_0",
            "f.each.iter_0.item",
            "f.each.iter_1",
            "f.each.iter_1.item",
            "f.each.iter_2",
            "f.each.iter_2.item",
            "f.breaks",
            "f.asks"
        ]
    );
    // Whole families only.
    assert_eq!(paths(&of("children?within=6")["nodes"]).len(), 6);
    assert_eq!(paths(&of("children?within=5")["nodes"]), ["f"]);
    let some = of("children?of=f&from=1&limit=2");
    assert_eq!(paths(&some["nodes"]), ["f.writes", "f.each"]);
    assert_eq!((&some["total"], &some["from"]), (&json!(5), &json!(1)));
    let each = &some["nodes"][1];
    assert_eq!(
        (&each["is_loop"], &each["children"], &each["index"]),
        (&json!(true), &json!(3), &json!(2))
    );
    assert_eq!(each["counts"]["completed"], 3);
    let breaks = of("node?path=f.breaks");
    assert_eq!(breaks["node"]["node_type"], "command");
    assert_eq!(breaks["node"]["error"]["code"], "command_failed");
    assert_eq!(
        (&breaks["index"], &breaks["around"][0]["failed"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(of("node?path=f.asks")["node"]["asks_for"], "approval");

    let cells = of("ranges?of=f.each&length=2")["cells"].clone();
    let part = |from: u32, count: u32| json!({ "from": from, "count": count, "status": "completed", "failed": 0, "first": format!("f.each.iter_{from}") });
    assert_eq!(cells, json!([part(0, 2), part(2, 1)]));
    let whole = of("ranges?of=f&cells=1")["cells"][0].clone();
    assert_eq!(
        (&whole["status"], &whole["failed"], &whole["first"]),
        (&json!("failed"), &json!(1), &json!("f.breaks"))
    );
    let found = |words: &str| {
        let found = of(&format!("find?{words}"));
        (paths(&found["found"]), found["more"].as_bool().unwrap())
    };
    assert_eq!(found("status=failed"), (vec!["f.breaks".to_owned()], false));
    assert_eq!(found("status=failed&after=f.breaks"), (vec![], false));
    assert_eq!(
        found("status=failed&before=f.asks&limit=1"),
        (vec!["f.breaks".to_owned()], true)
    );
    assert_eq!(
        found("text=ITEM&limit=1"),
        (vec!["f.each.iter_0.item".to_owned()], true)
    );
    let rest = vec!["f.each.iter_1.item".to_owned(), "f.each.iter_2.item".to_owned()];
    assert_eq!(found("text=item&after=f.each.iter_0.item").0, rest);
    // Its summary has it.
    assert_eq!(found("text=1%20COMMAND&limit=1").0, ["f.prints"]);
    for (words, error) in [
        ("children?of=f.none", "404 not_found"),
        ("children?of=..", "400 request"),
        ("children?from=x", "400 request"),
        ("ranges?of=f.none", "404 not_found"),
        ("node", "400 request"),
        ("node?path=f.none", "404 not_found"),
        ("step?path=f.none", "404 not_found"),
        ("find?status=completed", "400 request"),
        ("find?after=f.none", "404 not_found"),
        ("lines?path=f.prints&after=x", "400 request"),
        ("timeline?of=f.none", "404 not_found"),
    ] {
        assert_eq!(server.error(&format!("runs/{run}/{words}")), error, "{words}");
    }
}

#[test]
fn runs_are_chosen_by_the_words_of_the_address() {
    let env = waiting();
    env.write("other.yaml", "schema_version: 1\nkind: flow\nroot_id: other\nelements:\n  - { node: a, type: command, settings: { commands: [[echo, a]] } }\n");
    for _ in 0..3 {
        drop(env.run(&["run", "flow", "other.yaml"]).expect(0));
    }
    let first = name_of(&env.runs()[0]);
    drop(env.run(&["runs", "tag", &first, "blue"]).expect(0));
    drop(env.run(&["rerun", "last", "--fresh"]).expect(0));
    let server = Server::start(&env, &[]);
    let all = server.get("runs");
    let ids = |runs: &Value| -> Vec<String> {
        let runs = runs["runs"].as_array().unwrap().iter();
        runs.map(|run| run["run_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let newest_first = ids(&all);
    assert_eq!(newest_first.len(), 5);
    let number = |words: &str| server.get(&format!("runs?{words}"))["total"].as_u64().unwrap();
    assert_eq!(number("status=waiting"), 1);
    assert_eq!(number("status=waiting,completed"), 5);
    assert_eq!(number("agent=other"), 4);
    assert_eq!(number("tag=blue"), 1);
    assert_eq!(number("text=BLU"), 1);
    assert_eq!(number("text=other&status=failed"), 0);
    assert_eq!(number("since=2100-01-01T00:00:00Z"), 0);
    assert_eq!(number(&format!("parent={}", newest_first[1])), 1);
    let page = server.get("runs?limit=2");
    assert_eq!(ids(&page), newest_first[..2]);
    let next = server.get(&format!("runs?limit=2&before={}", page["next"].as_str().unwrap()));
    assert_eq!(ids(&next), newest_first[2..4]);
    let last = server.get(&format!("runs?limit=2&before={}", next["next"].as_str().unwrap()));
    assert_eq!(
        (ids(&last), &last["next"]),
        (newest_first[4..].to_vec(), &Value::Null)
    );
    assert_eq!(server.error("runs?status=done"), "400 request");
    assert_eq!(server.error("runs?since=yesterday"), "400 request");

    let mut events = server.events("");
    // The stream holds what changes behind its beginning.
    std::thread::sleep(Duration::from_millis(500));
    drop(env.run(&["run", "flow", "other.yaml"]).expect(0));
    let (name, changed, _) = events.next().unwrap();
    assert_eq!(
        (name.as_str(), &changed["runs"][0]["root_id"]),
        ("runs", &json!("other"))
    );
    drop(env.run(&["runs", "rm", &newest_first[0]]).expect(0));
    let removed = wait_for("the removal", || {
        let (_, changed, _) = events.next().unwrap();
        changed["removed"][0].as_str().map(str::to_owned)
    });
    assert_eq!(removed, newest_first[0]);
    // A stream of events delays no end.
    drop(server.end(&env));
    assert!(events.next().is_none());
}

#[test]
fn a_run_that_executes_is_seen_as_it_goes_on() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", r#"schema_version: 1
kind: flow
root_id: f
elements:
  - { node: first, type: command, settings: { commands: [[echo, first]] } }
  - { node: slow, type: command, settings: { commands: [["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo over"]], working_dir: "$var{project_root}" } }
  - { node: third, type: command, settings: { commands: [[echo, last]] } }
"#);
    let server = Server::start(&env, &[]);
    let driver = env.start(&["run", "flow", "flow.yaml"]);
    let run = wait_for("a run", || env.runs().pop());
    let name = name_of(&run);
    let of = |words: &str| server.ask(&format!("/api/v1/runs/{name}{words}"));
    wait_until("the step that waits", || {
        let node = of("/node?path=f.slow");
        node.status == 200 && node.json()["node"]["status"] == "running"
    });
    let mut events = server.events(&format!("run={name}"));
    let (kind, now, _) = events.next().unwrap();
    assert_eq!((kind.as_str(), &now["status"]), ("changed", &json!("running")));
    let lines = wait_for("the output", || {
        let lines = of("/lines?path=f.slow").json();
        (lines["lines"][0]["text"] == "begun").then_some(lines)
    });
    assert_eq!(
        (&lines["lines"][0]["source"], &lines["ended"]),
        (&json!("stdout"), &json!(false))
    );
    let step = of("/step?path=f.slow").json();
    assert_eq!(
        (&step["entry"]["status"], &step["result"]),
        (&json!("running"), &Value::Null)
    );
    let listed = server.get("runs");
    assert_eq!(listed["runs"][0]["status"], "running");

    env.write("go", "");
    let mut changed = Vec::new();
    let (seq, totals) = loop {
        let (_, document, id) = events.next().unwrap();
        assert_eq!(document["seq"].to_string(), id);
        changed.extend(paths(&document["nodes"]));
        if document["status"] == "completed" {
            break (document["seq"].as_u64().unwrap(), document["totals"].clone());
        }
    };
    for path in ["f", "f.slow", "f.third"] {
        assert!(changed.iter().any(|of| of == path), "{path}: {changed:?}");
    }
    assert_eq!(totals["counts"]["completed"], 3);
    drop(env.finish(driver).expect(0));
    let next = lines["next"].as_str().unwrap();
    let rest = of(&format!("/lines?path=f.slow&after={next}")).json();
    assert_eq!(
        (&rest["lines"][0]["text"], &rest["ended"]),
        (&json!("over"), &json!(true))
    );

    // A page that was away asks for what it missed.
    let missed = |after: u64| {
        server
            .events(&format!("run={name}&after={after}"))
            .next()
            .unwrap()
            .1
    };
    assert_eq!(missed(seq)["nodes"], json!([]));
    let all = paths(&missed(0)["nodes"]);
    assert_eq!(all, ["f", "f.first", "f.slow", "f.third"]);
    drop(server.end(&env));
}

#[test]
fn files_are_given_byte_by_byte_and_only_as_they_were_recorded() {
    let env = TestEnvironment::new();
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    env.write("picture.svg", svg);
    env.write("flow.yaml", "schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - { node: prints, type: command, settings: { commands: [[cat, picture.svg]], working_dir: \"$var{project_root}\" } }\n");
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let run = env.last_run();
    let other = name_of(&run);
    let server = Server::start(&env, &[]);
    let target = |name: &str| format!("/api/v1/runs/{other}/artifact?path=f.prints&name={name}");
    let whole = server.ask(&target("stdout.log"));
    assert_eq!((whole.status, whole.text().as_str()), (200, svg));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(
        whole.header("content-disposition"),
        "attachment; filename=\"stdout.log\""
    );
    assert_eq!(
        whole.header("content-security-policy"),
        "sandbox; default-src 'none'"
    );
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    let result: Value = serde_json::from_slice(&server.ask(&target("result.json")).body).unwrap();
    assert_eq!(result["execution_status"], "completed");

    let range = |asked: &str| {
        let headers = [("X-Dhenara-Session", server.key.as_str()), ("Range", asked)];
        let answer = server.ask_as(&target("stdout.log"), &headers);
        (
            answer.status,
            answer.header("content-range").to_owned(),
            answer.text(),
        )
    };
    let len = svg.len();
    assert_eq!(
        range("bytes=1-3"),
        (206, format!("bytes 1-3/{len}"), "svg".to_owned())
    );
    assert_eq!(
        range("bytes=-6"),
        (
            206,
            format!("bytes {}-{}/{len}", len - 6, len - 1),
            "</svg>".to_owned()
        )
    );
    assert_eq!(range(&format!("bytes={}-999999", len - 1)).2, ">");
    assert_eq!(range("bytes=0-").2, svg);
    assert_eq!(range(&format!("bytes={len}-")).0, 416);
    assert_eq!(range("bytes=3-1").0, 416);
    assert_eq!(range("lines=1-2").0, 200);

    for name in [
        "../../.run/journal.jsonl",
        "..%2f..%2f.run%2fjournal.jsonl",
        "/etc/passwd",
        "none",
        "",
        ".",
        "stdout.log%00",
    ] {
        assert_eq!(server.ask(&target(name)).error(), "404 not_found", "{name}");
    }
    for path in ["..", "f/prints", "%2e%2e", "f..prints", ""] {
        let asked = format!("runs/{other}/artifact?path={path}&name=stdout.log");
        assert_eq!(server.error(&asked), "400 request", "{path}");
    }
    for run in [
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "run_20260101_000000_000000",
        &other[..12],
        "last",
    ] {
        let error = server.error(&format!("runs/{run}/artifact?path=f.prints&name=stdout.log"));
        assert!(
            error.starts_with("404 ") || error.starts_with("400 "),
            "{run}: {error}"
        );
    }
    env.is_checked();
    let file = run.join("f/prints/stdout.log");
    let replaced = |by: &dyn Fn()| {
        std::fs::remove_file(&file).unwrap();
        by();
        let error = server.ask(&target("stdout.log")).error();
        assert!(!error.starts_with("200"), "{error}");
        error
    };
    assert_eq!(
        replaced(&|| std::fs::write(&file, svg.replace("alert", "query")).unwrap()),
        "422 corrupt"
    );
    assert_eq!(
        replaced(&|| std::fs::write(&file, "short").unwrap()),
        "422 corrupt"
    );
    let link = replaced(&|| std::os::unix::fs::symlink(env.project().join("picture.svg"), &file).unwrap());
    assert!(link.starts_with("422") || link.starts_with("500"), "{link}");
    let pipe = replaced(&|| assert!(Command::new("mkfifo").arg(&file).status().unwrap().success()));
    assert!(pipe.starts_with("422") || pipe.starts_with("500"), "{pipe}");
    // A step of which one file is another still shows the rest.
    let step = server.get(&format!("runs/{other}/step?path=f.prints"));
    assert_eq!(step["result"]["value"]["execution_status"], "completed");
}

#[test]
fn hostile_texts_come_as_texts() {
    let env = waiting();
    let long = format!("{}\na\r\nb", "x".repeat(3_000_000));
    env.write("long.txt", &long);
    env.write("unusual.yaml", "schema_version: 1\nkind: flow\nroot_id: u\nelements:\n  - { node: long, type: command, settings: { commands: [[cat, long.txt]], working_dir: \"$var{project_root}\" } }\n");
    let server = Server::start(&env, &[]);
    let run = name_of(&env.last_run());
    let lines = server.get(&format!("runs/{run}/lines?path=f.prints"));
    let text = lines["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["text"].as_str().unwrap());
    assert_eq!(text.collect::<String>(), HOSTILE);
    let answer = server.ask(&format!("/api/v1/runs/{run}/step?path=f.prints"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.json().to_string().contains("alert(1)"));
    // The error of a request repeats what was asked, as a text.
    let said = server.ask("/api/v1/runs/%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    assert_eq!(
        (said.status, said.header("content-type")),
        (404, "application/json")
    );
    drop(env.run(&["run", "flow", "unusual.yaml"]).expect(0));
    let run = name_of(&env.last_run());
    let lines = server.get(&format!("runs/{run}/lines?path=u.long"));
    // The last lines of a long output, without the rest of the line in which they begin.
    assert!(lines["skipped"].as_u64().unwrap() > 2_900_000);
    let texts: Vec<&str> = lines["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!((texts, &lines["ended"]), (vec!["a", "b"], &json!(true)));
    let from_the_start = server.get(&format!("runs/{run}/lines?path=u.long&after=1.0.0.0"));
    let line = &from_the_start["lines"][0];
    assert_eq!(
        (line["text"].as_str().unwrap().len(), &from_the_start["ended"]),
        (16 * 1024, &json!(false))
    );
    assert!(line["cut_bytes"].as_u64().unwrap() > 200_000);
}

#[test]
fn a_damaged_run_says_so_and_disturbs_no_other() {
    let env = waiting();
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    env.is_checked();
    let runs: Vec<String> = env.runs().iter().map(|run| name_of(run)).collect();
    let server = Server::start(&env, &[]);
    assert_eq!(server.get("runs")["total"], 2);
    drop(server.get(&format!("runs/{}", runs[0])));
    let journal = env.runs()[0].join(".run/journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let damaged = text.replacen("\"f.prints\"", "\"f.printz\"", 1);
    std::fs::write(&journal, format!("{damaged}{{\"seq\"")).unwrap();
    // What was read stands until the server reads it anew; another server finds the damage.
    let other = Server::start(&env, &[]);
    assert_eq!(other.error(&format!("runs/{}", runs[0])), "422 journal_damaged");
    let said = other.ask(&format!("/api/v1/runs/{}/children", runs[0])).json()["error"].clone();
    assert!(said["message"].as_str().unwrap().contains("line"), "{said}");
    assert_eq!(other.get(&format!("runs/{}", runs[1]))["status"], "waiting");
    assert_eq!(other.get("runs")["total"], 2);
    // A journal that became shorter is read anew.
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&journal, lines[..lines.len() / 2].join("\n") + "\n").unwrap();
    assert_eq!(server.get(&format!("runs/{}", runs[0]))["status"], "interrupted");
    std::fs::remove_dir_all(&env.runs()[0]).unwrap();
    assert_eq!(server.ask(&format!("/api/v1/runs/{}", runs[0])).status, 404);
}

#[test]
fn a_run_with_other_sums_is_refused() {
    let env = waiting();
    env.is_checked();
    edit_journal(&env.last_run(), |record| {
        if record["type"] == "step_committed" && record["path"] == "f.prints" {
            record["path"] = json!("f.never_begun");
        }
    });
    let server = Server::start(&env, &[]);
    assert_eq!(
        server.error(&format!("runs/{}", name_of(&env.last_run()))),
        "422 journal_damaged"
    );
}

#[test]
fn a_hundred_thousand_steps_need_little_memory_and_small_answers() {
    let env = TestEnvironment::new();
    drop(with_iterations(&env, 100_000));
    let server = Server::start(&env, &[]);
    let of = |words: &str| server.ask(&format!("/api/v1/runs/{LONG_RUN}{words}"));
    assert_eq!(of("").status, 200);
    let each = of("/children?within=200").json();
    assert_eq!(paths(&each["nodes"]), ["f", "f.each"]);
    assert_eq!(each["nodes"][0]["inner"][0]["children"], 100_000);
    let part = of("/children?of=f.each&from=99900&limit=200");
    assert!(part.body.len() < 50_000, "{}", part.body.len());
    assert_eq!(paths(&part.json()["nodes"]).len(), 100);
    let cells = of("/ranges?of=f.each&length=1000").json();
    assert_eq!(cells["cells"].as_array().unwrap().len(), 100);
    let place = of("/node?path=f.each.iter_77777.item").json();
    assert_eq!(
        (&place["index"], &place["around"][2]["index"]),
        (&json!(0), &json!(77_777))
    );
    assert_eq!(
        of("/step?path=f.each.iter_77777.item").json()["entry"]["status"],
        "completed"
    );
    let found = of("/find?text=iter_99999").json();
    // It looks at a part of the tree in one request, and says where to look on.
    assert_eq!((&found["found"], &found["more"]), (&json!([]), &json!(true)));
    assert_eq!(of("/timeline?of=f.each").error(), "422 too_long");
    assert!(of("/timeline").json()["rows"].as_array().unwrap().len() < 10);
    if cfg!(target_os = "linux") {
        let id = server.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak: u64 = between(&status, "VmHWM:", "kB").trim().parse().unwrap();
        assert!(peak < 200_000, "{peak} KiB");
    }
}

#[test]
fn another_port_and_other_run_roots_may_be_named() {
    let env = waiting();
    let runs = env.project().join("runs");
    let server = Server::start(&env, &[&*runs.to_string_lossy()]);
    assert_eq!(server.get("runs")["total"], 1);
    assert_eq!(server.get("about")["run_roots"], json!([runs]));
    let port = server.host.split_once(':').unwrap().1.to_owned();
    let taken = env.run(&["view", "--no-open", "--port", &port]).expect(2);
    let taken = taken.to_string().replace(&port, "PORT");
    assert_snapshot!(taken, @"
    ---- stderr
    error[listen]: the server cannot listen at 127.0.0.1:PORT: Address already in use (os error 98)
      hint: leave `--port` out for a port that is free
    ---- exit code 2
    ");
    drop(server.end(&env));
    let server = Server::start(&env, &["--port", &port]);
    assert!(server.host.ends_with(&port));
    assert_snapshot!(env.run(&["view", "--no-open", "missing"]).expect(2), @"
    ---- stderr
    error[run_root]: `missing` is no directory of runs: No such file or directory (os error 2)
      hint: name a directory that holds runs, or none for those of the project
    ---- exit code 2
    ");
    drop(
        env.run(&["view", "--no-open", "missing", "--run-root", "runs"])
            .expect(2),
    );
}

#[test]
fn a_program_has_the_page_in_its_own_server() {
    let env = waiting();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let router = dad_view::router(env.opened(), dad_view::ViewOptions::default()).unwrap();
    let program = axum::Router::new().nest("/runs/", router);
    let host = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, program).await });
        address
    });
    let ask = |target: &str, more: &str| {
        let mut stream = TcpStream::connect(&host).unwrap();
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: program.example\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        answer_of(&bytes)
    };
    assert!(
        ask("/runs/", "")
            .text()
            .contains("<meta name=\"dhenara-view\" content=\"open\">")
    );
    assert_eq!(ask("/runs/assets/page.js", "").status, 200);
    assert_eq!(ask("/runs/api/v1/runs", "").json()["total"], 1);
    assert_eq!(
        ask("/runs/api/v1/runs", "Origin: https://program.example\r\n").status,
        200
    );
    assert_eq!(
        ask("/runs/api/v1/runs", "Origin: https://evil.example\r\n").error(),
        "403 origin"
    );
}

/// The directories of runs below another one.
fn kept_runs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let found = dirs.flat_map(|entry| match entry.path().join(".run/journal.jsonl").exists() {
        true => vec![entry.path()],
        false => kept_runs(&entry.path()),
    });
    found.collect()
}

#[test]
fn an_index_says_of_a_run_what_a_view_says() {
    let kept = kept_runs(&crate::harness::workspace().join("tests/data/format_1"));
    assert!(kept.len() > 3, "{kept:?}");
    kept.iter().for_each(|run| compare(run));
    let env = waiting();
    let run = env.last_run();
    let mut followed = RunIndex::open(&run).unwrap();
    compare(&run);
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    compare(&run);
    assert!(followed.follow().unwrap());
    assert!(!followed.follow().unwrap());
    let path = "f.asks".parse().unwrap();
    assert_eq!(
        followed.node(&path).unwrap().unwrap().node.status,
        StepStatus::Completed
    );
}

fn compare(run: &Path) {
    let (view, index) = (RunView::open(run).unwrap(), RunIndex::open(run).unwrap());
    assert_eq!(index.status().unwrap(), view.status, "{}", run.display());
    assert_eq!(index.totals(), view.totals, "{}", run.display());
    for (path, entry) in view.entries() {
        let node = index.node(path).unwrap().unwrap().node;
        assert_eq!(node.status, entry.status(), "{path} of {}", run.display());
        let step = index.step(path).unwrap().unwrap();
        assert_eq!(
            json!(step.view.entry(path)),
            json!(entry),
            "{path} of {}",
            run.display()
        );
        assert_eq!(
            step.attempts,
            view.attempts(path).unwrap(),
            "{path} of {}",
            run.display()
        );
    }
    let failed = view.steps().filter(|step| step.status == StepStatus::Failed);
    let found = index
        .find(&FindNodes::default().failed(true).most(1000_usize))
        .unwrap();
    assert_eq!(found.nodes.len(), failed.count(), "{}", run.display());
}
