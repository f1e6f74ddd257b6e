//! The server over HTTP on the loopback address, killed and started again.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dad_testing::TestProject;
use serde_json::{Value, json};

/// The longest time that a run of these tests takes.
const PATIENCE: Duration = Duration::from_secs(60);

const GREETER: &str = "schema_version: 1
kind: agent
root_id: greeter_root
variables: { name: { required: true } }
pre_events: [component_input_required]
elements:
  - flow: main
    elements:
      - { node: greet, type: command, settings: { commands: [[echo, \"Hello, $var{name}!\"]] } }
";

/// The second step waits for the file `go`, so that a test can stop the server while it executes.
const SLOW: &str = "schema_version: 1
kind: agent
root_id: slow_root
elements:
  - flow: main
    elements:
      - { node: first, type: command, settings: { commands: [[echo, first]] } }
      - { node: second, type: command, settings: { working_dir: \"$var{project_root}\", commands: [[sh, -c, \"touch begun; until [ -e go ]; do sleep 0.05; done\"]] } }
";

/// A server process; it is killed when this is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(test: &TestProject) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_webserver"))
            .args([test.path().to_str().unwrap(), "127.0.0.1:0"])
            .env("DHENARA_ORIGIN_KEY", "07".repeat(32))
            .env("HOME", test.path())
            .env_remove("XDG_CONFIG_HOME")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { process, address }
    }

    /// The status and the body of the answer to a request; a stream of events is read to its end.
    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\n");
        write!(connection, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.request("POST", path, &body.to_string());
        (status, serde_json::from_str(&body).unwrap())
    }

    fn start_run(&self, agent: &str) -> String {
        let (status, body) = self.post(&format!("/agents/{agent}/runs"), &json!({}));
        assert_eq!(status, 201, "{body}");
        body["run"].as_str().unwrap().to_owned()
    }

    /// The events of a run until it is not driven any more.
    fn events(&self, run: &str) -> Vec<Value> {
        let (status, body) = self.request("GET", &format!("/runs/{run}/events"), "");
        assert_eq!(status, 200, "{body}");
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last status of a run.
    fn end(&self, run: &str) -> String {
        let events = self.events(run);
        events.last().unwrap()["status"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: the process writes nothing any more.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn project() -> TestProject {
    let test = TestProject::new();
    test.write("agents/greeter/agent.yaml", GREETER)
        .write("agents/slow/agent.yaml", SLOW);
    test
}

#[test]
fn a_question_outlives_the_server_and_takes_one_answer() {
    let test = project();
    let server = Server::start(&test);
    let run = server.start_run("greeter");
    assert_eq!(server.end(&run), "waiting");
    drop(server);

    let server = Server::start(&test);
    let listed = server.get("/runs");
    assert_eq!(
        (&listed[0]["run"], &listed[0]["status"]),
        (&json!(run), &json!("waiting"))
    );
    let questions = listed[0]["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 1, "{listed}");
    let id = questions[0]["id"].as_str().unwrap();
    let path = format!("/runs/{run}/questions/{id}");

    let (status, refusal) = server.post(&path, &json!({ "variables": { "nam": "Ada" } }));
    assert_eq!((status, &refusal["code"]), (422, &json!("invalid_input")));
    assert!(refusal["message"].as_str().unwrap().contains("nam"), "{refusal}");
    assert_eq!(server.get("/runs"), listed, "the question stays open");

    assert_eq!(
        server.post(&path, &json!({ "variables": { "name": "Ada" } })).0,
        202
    );
    let (status, refusal) = server.post(&path, &json!({ "variables": { "name": "Bob" } }));
    assert_eq!(status, 409, "{refusal}");
    assert_eq!(server.end(&run), "completed");
    let outcome = test
        .path()
        .join("runs")
        .join(&run)
        .join("greeter_root/main/greet/outcome.json");
    let outcome = std::fs::read_to_string(outcome).unwrap();
    assert!(outcome.contains("Hello, Ada!"), "{outcome}");
    assert_eq!(server.get("/runs")[0]["questions"], json!([]));
}

#[test]
fn an_interrupted_run_is_resumed_by_the_next_server() {
    let test = project();
    let server = Server::start(&test);
    let run = server.start_run("slow");
    let began = Instant::now();
    while !test.path().join("begun").exists() {
        assert!(began.elapsed() < PATIENCE, "the second step did not begin");
        sleep(Duration::from_millis(20));
    }
    drop(server);

    test.write("go", "");
    let server = Server::start(&test);
    let events = server.events(&run);
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    let ended: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "node_execution_completed")
        .map(|event| event["path"].as_str().unwrap())
        .collect();
    assert_eq!(events.last().unwrap()["status"], "completed", "{names:?}");
    assert_eq!(names[0], "run_started");
    assert_eq!(ended, ["slow_root.main.second"], "the first step stands");
    assert_eq!(server.get("/runs")[0]["status"], "completed");
}

#[test]
fn events_are_streamed_and_unknown_names_are_refused() {
    let test = project();
    test.write("go", "");
    let server = Server::start(&test);
    let run = server.start_run("slow");
    assert_eq!(server.end(&run), "completed");
    let events = server.events(&run);
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(
        (of("run_started"), of("node_execution_completed"), of("status")),
        (1, 2, 1)
    );
    drop(server);
    let server = Server::start(&test);
    assert_eq!(server.events(&run).len(), 1, "this process did not drive it");
    for path in [
        "/agents/nothing/runs",
        "/runs/run_20260102_030405_0a1b2c/questions/1",
    ] {
        let (status, refusal) = server.post(path, &json!({}));
        assert_eq!(status, 404, "{refusal}");
    }
}
