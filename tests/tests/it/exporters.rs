//! Exporters of signals: receivers that are away, slow, or refuse, and what reaches them in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

const SECRET: &str = "sk-receiver-0123456789";

/// The files of a run, with the lists of their requests.
const FILES: [(&str, &str, [&str; 3]); 3] = [
    (
        "trace.jsonl",
        "/v1/traces",
        ["resourceSpans", "scopeSpans", "spans"],
    ),
    (
        "metrics.jsonl",
        "/v1/metrics",
        ["resourceMetrics", "scopeMetrics", "metrics"],
    ),
    (
        "logs.jsonl",
        "/v1/logs",
        ["resourceLogs", "scopeLogs", "logRecords"],
    ),
];

/// A request that a receiver got.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Its records.
    fn records(&self) -> Vec<Value> {
        let (_, _, levels) = FILES.iter().find(|(_, path, _)| *path == self.path).unwrap();
        records_in(&self.json(), levels)
    }
}

fn records_in(request: &Value, levels: &[&str; 3]) -> Vec<Value> {
    let [outer, scopes, records] = levels;
    let list = |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
    let scopes = list(request, outer)
        .into_iter()
        .flat_map(|resource| list(&resource, scopes));
    scopes.flat_map(|scope| list(&scope, records)).collect()
}

/// The reaction of a receiver to a request.
enum Answer {
    /// It answers with a status, headers and a body.
    Status(u16, &'static str, String),
    /// It never answers.
    Silence,
    /// It answers a byte in a second.
    Drip,
    /// It closes the connection in the middle of the answer to a request that it took.
    Break,
}

impl Answer {
    fn ok() -> Self {
        Self::Status(200, "", "{}".to_owned())
    }
}

/// A receiver on this machine, which decides about each request by its number, from 0, and by what it is.
struct Receiver {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    fn start(answer: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (all, answer) = (Arc::clone(&received), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream.unwrap(), &all, &*answer));
            }
        });
        Self { address, received }
    }

    fn ok() -> Self {
        Self::start(|_, _| Answer::ok())
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The ids of all spans that arrived, as often as they did.
    fn spans(&self) -> Vec<String> {
        ids(self
            .received()
            .iter()
            .filter(|request| request.path == "/v1/traces"))
    }
}

fn ids<'a>(requests: impl Iterator<Item = &'a Received>) -> Vec<String> {
    let spans = requests.flat_map(Received::records);
    spans
        .map(|span| span["spanId"].as_str().unwrap().to_owned())
        .collect()
}

/// Reads a request and answers it. The client may go away at any time.
fn serve(
    stream: &TcpStream,
    all: &Mutex<Vec<Received>>,
    answer: &dyn Fn(usize, &Received) -> Answer,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let request = Received { path, headers, body };
    let answer = {
        let mut all = all.lock().unwrap();
        all.push(request.clone());
        answer(all.len() - 1, &request)
    };
    let mut stream = stream;
    match answer {
        Answer::Status(status, more, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n");
            stream.write_all((head + &body).as_bytes()).ok()
        }
        Answer::Silence => {
            std::thread::sleep(Duration::from_secs(60));
            None
        }
        Answer::Drip => {
            for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" {
                stream.write_all(&[*byte]).ok()?;
                std::thread::sleep(Duration::from_secs(1));
            }
            None
        }
        Answer::Break => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-len").ok(),
    }
}

/// A project with a flow of three steps.
fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    let step =
        |name: &str| json!({ "node": name, "type": "command", "settings": { "commands": [["echo", name]] } });
    let flow = json!({
        "schema_version": 1,
        "kind": "flow",
        "elements": [step("one"), step("two"), step("three")],
        "output": "done",
    });
    env.write("flow.json", &flow.to_string());
    env
}

/// The command with a receiver in its environment.
fn command(env: &TestEnvironment, address: &str, args: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command(program, &env.project());
    command
        .args(args)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-key={SECRET}"));
    command
}

fn call(env: &TestEnvironment, address: &str, args: &[&str]) -> CommandOutput {
    env.call(&mut command(env, address, args))
}

/// Runs the flow with a receiver. Its process ends soon whatever that does, and the result is that of any other run.
#[track_caller]
fn run(env: &TestEnvironment, address: &str) -> CommandOutput {
    let begun = Instant::now();
    let output = call(env, address, &["run", "flow.json"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(output.stdout, "done\n", "{output}");
    assert!(!output.stderr.contains(SECRET), "{output}");
    output
}

/// The records in the files of a run, by file.
fn recorded(run: &Path) -> Vec<Vec<Value>> {
    let files = FILES.iter().map(|(file, _, levels)| {
        let text = std::fs::read_to_string(run.join(".trace").join(file)).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.flat_map(|line: Value| records_in(&line, levels)).collect()
    });
    files.collect()
}

/// Checks that everything in the files of a run arrived, and gives the number of spans that arrived once more than they had to.
#[track_caller]
fn all_arrived(receiver: &Receiver, run: &Path) -> usize {
    let recorded = recorded(run);
    for ((_, path, _), records) in FILES.iter().zip(&recorded) {
        let requests = receiver
            .received()
            .into_iter()
            .filter(|request| request.path == *path);
        let arrived: Vec<Value> = requests.flat_map(|request| request.records()).collect();
        for record in records {
            assert!(arrived.contains(record), "{path} lacks {record}");
        }
    }
    let arrived = receiver.spans();
    let different: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(different.len(), recorded[0].len());
    arrived.len() - different.len()
}

#[track_caller]
fn offsets_are_the_lengths(run: &Path) {
    let text = std::fs::read_to_string(run.join(".trace/export.json")).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("127.0.0.1"), "{text}");
    let stored = read_json(&run.join(".trace/export.json"));
    let mut offsets = BTreeMap::new();
    for files in stored["destinations"].as_object().unwrap().values() {
        for (file, offset) in files.as_object().unwrap() {
            offsets.insert(file.clone(), offset.as_u64().unwrap());
        }
    }
    for (file, _, _) in FILES {
        let length = std::fs::metadata(run.join(".trace").join(file)).unwrap().len();
        assert_eq!(
            offsets.get(file).copied().unwrap_or(0),
            length,
            "{file}: {stored}"
        );
    }
}

#[test]
fn everything_arrives_while_the_run_is_driven() {
    let (env, receiver) = (project(), Receiver::ok());
    let output = run(&env, &receiver.address);
    assert!(!output.stderr.contains("warning"), "{output}");
    assert_eq!(all_arrived(&receiver, &env.last_run()), 0);
    offsets_are_the_lengths(&env.last_run());
    for request in receiver.received() {
        assert_eq!(request.headers["x-key"], SECRET);
        assert_eq!(request.headers["content-type"], "application/json");
    }
    // Nothing is left for the command.
    let before = receiver.received().len();
    let pushed = call(&env, &receiver.address, &["trace", "push", "last"]).expect(0);
    assert_eq!(pushed.stdout, "sent 0 records of 1 run\n");
    assert_eq!(receiver.received().len(), before);
    let again = call(
        &env,
        &receiver.address,
        &["trace", "push", "last", "--again", "--json"],
    )
    .expect(0);
    let document = again.json("cli_trace_push");
    let recorded: usize = recorded(&env.last_run()).iter().map(Vec::len).sum();
    assert_eq!(document["sent"], recorded);
    assert_eq!(
        all_arrived(&receiver, &env.last_run()),
        self::recorded(&env.last_run())[0].len()
    );
}

/// A run whose receiver does not take its records has the same result, ends soon, and names the command that sends them.
#[track_caller]
fn later(receiver: &str, why: &str) {
    let env = project();
    let output = run(&env, receiver);
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    // Its lines are folded to the width of the screen.
    let said = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("were not sent to `http://127.0.0.1:"), "{output}");
    assert!(said.contains(why), "{output}");
    assert!(
        said.contains(&format!("`dhenara trace push {id}` sends them")),
        "{output}"
    );
    let spans = recorded(&env.last_run())[0].len();
    assert!(said.contains(&format!("{spans} spans")), "{output}");
    // Another receiver, at another address, has none of them yet.
    let other = Receiver::ok();
    drop(call(&env, &other.address, &["trace", "push", "last"]).expect(0));
    assert_eq!(all_arrived(&other, &env.last_run()), 0);
}

#[test]
fn a_receiver_that_is_down_delays_no_result() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    later(&address, "no connection");
}

#[test]
fn a_receiver_that_never_answers_delays_no_result() {
    later(
        &Receiver::start(|_, _| Answer::Silence).address,
        "it does not answer in time",
    );
}

#[test]
fn a_receiver_that_answers_a_byte_a_second_delays_no_result() {
    later(
        &Receiver::start(|_, _| Answer::Drip).address,
        "it does not answer in time",
    );
}

#[test]
fn a_receiver_that_refuses_the_key_gets_the_records_later() {
    let receiver = Receiver::start(|_, _| {
        Answer::Status(
            401,
            "",
            format!("{{\"message\": \"the key {SECRET} is\\n\\u001b[2J wrong\"}}"),
        )
    });
    later(
        &receiver.address,
        "it answers 401 Unauthorized: the key [redacted] is \\u{1b}[2J wrong",
    );
    let paths: BTreeSet<String> = receiver
        .received()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(receiver.received().len(), paths.len(), "each signal once");
}

#[test]
fn redirects_are_not_followed() {
    let target = Receiver::ok();
    let to = Box::leak(format!("location: {}/v1/traces\r\n", target.address).into_boxed_str());
    let receiver = Receiver::start(|_, _| Answer::Status(307, to, String::new()));
    later(&receiver.address, "redirects are not followed");
    assert!(target.received().is_empty());
}

#[test]
fn a_broken_receiver_gets_the_records_when_it_works_again() {
    let asked = Mutex::new(BTreeSet::new());
    let receiver = Receiver::start(move |_, request| {
        let is_first = asked.lock().unwrap().insert(request.path.clone());
        if is_first {
            Answer::Status(500, "", "broken".to_owned())
        } else {
            Answer::ok()
        }
    });
    let env = project();
    drop(run(&env, &receiver.address));
    drop(call(&env, &receiver.address, &["trace", "push", "last"]).expect(0));
    let twice = all_arrived(&receiver, &env.last_run());
    assert!(twice <= recorded(&env.last_run())[0].len(), "{twice}");
    offsets_are_the_lengths(&env.last_run());
}

#[test]
fn a_batch_whose_answer_is_lost_is_sent_once_more() {
    let receiver = Receiver::start(|number, _| if number < 1 { Answer::Break } else { Answer::ok() });
    let env = project();
    drop(run(&env, &receiver.address));
    drop(call(&env, &receiver.address, &["trace", "push", "last"]).expect(0));
    let twice = all_arrived(&receiver, &env.last_run());
    let first = receiver.received().swap_remove(0);
    let lost = if first.path == "/v1/traces" {
        first.records().len()
    } else {
        0
    };
    assert_eq!(twice, lost);
}

#[test]
fn a_busy_receiver_says_when_to_come_again() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Answer::Status(429, "retry-after: 2\r\n", String::new()),
        _ => Answer::ok(),
    });
    let env = project();
    drop(env.run(&["run", "flow.json"]).expect(0));
    let begun = Instant::now();
    drop(call(&env, &receiver.address, &["trace", "push", "last"]).expect(0));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    all_arrived(&receiver, &env.last_run());
}

#[test]
fn messages_are_halved_until_the_receiver_takes_them() {
    let receiver = Receiver::start(|_, request| {
        if request.body.len() > 6000 {
            Answer::Status(413, "", String::new())
        } else {
            Answer::ok()
        }
    });
    let env = project();
    drop(env.run(&["run", "flow.json"]).expect(0));
    write_spans(&env.last_run(), 100, 1);
    drop(call(&env, &receiver.address, &["trace", "push", "last"]).expect(0));
    let taken = receiver.received().into_iter();
    let taken: Vec<Received> = taken
        .filter(|request| request.path == "/v1/traces" && request.body.len() <= 6000)
        .collect();
    let arrived = ids(taken.iter());
    let different: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(different.len(), arrived.len());
    assert_eq!(arrived.len(), recorded(&env.last_run())[0].len());
    env.is_checked();
}

#[test]
fn what_a_receiver_rejects_is_a_warning_with_its_words() {
    let receiver = Receiver::start(|_, request| match &*request.path {
        "/v1/traces" => {
            let partial = json!({ "rejectedSpans": "2", "errorMessage": "two are too old" });
            Answer::Status(200, "", json!({ "partialSuccess": partial }).to_string())
        }
        _ => Answer::Status(400, "", format!("no {SECRET} here")),
    });
    let env = project();
    let output = run(&env, &receiver.address);
    let said = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("2 records of traces were not taken by"), "{output}");
    assert!(said.contains("two are too old"), "{output}");
    assert!(
        said.contains("it answers 400 Bad Request: no [redacted] here"),
        "{output}"
    );
    assert!(!said.contains("trace push"), "nothing is left: {output}");
    offsets_are_the_lengths(&env.last_run());
}

/// Adds lines of spans to the file of a run, each span with an id of its own.
fn write_spans(run: &Path, lines: u64, in_line: u64) {
    let file = run.join(".trace/trace.jsonl");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for line in 0..lines {
        let spans: Vec<Value> = (0..in_line)
            .map(|index| span(1 + line * in_line + index))
            .collect();
        text += &line_of(&spans);
    }
    std::fs::write(file, text).unwrap();
}

fn span(id: u64) -> Value {
    json!({
        "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": format!("f{id:015x}"), "name": "made",
        "kind": 1, "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [],
    })
}

fn line_of(spans: &[Value]) -> String {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "made" } }] });
    let scopes = json!([{ "scope": { "name": "made" }, "spans": spans }]);
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": scopes }] }).to_string() + "\n"
}

#[test]
fn a_long_attribute_and_very_many_spans_arrive_in_messages_below_the_limit() {
    let (env, receiver) = (project(), Receiver::ok());
    drop(env.run(&["run", "flow.json"]).expect(0));
    let run = env.last_run();
    write_spans(&run, 600, 100);
    // One line that is too long for a message, and one span that is.
    let mut text = std::fs::read_to_string(run.join(".trace/trace.jsonl")).unwrap();
    let many: Vec<Value> = (200_000..240_000).map(span).collect();
    text += &line_of(&many);
    let mut long = span(300_000);
    long["attributes"] = json!([
        { "key": "short", "value": { "stringValue": "kept" } },
        { "key": "long", "value": { "stringValue": "ä".repeat(2_500_000) } },
    ]);
    text += &line_of(&[long]);
    // A crash left a part of a line here, behind which the next driver wrote; and one that has no end yet.
    text += "{\"resourceSpans\": [{\"reso\n";
    text += &line_of(&[span(300_001)]);
    let whole = text.len();
    text += "{\"resourceSpans\"";
    std::fs::write(run.join(".trace/trace.jsonl"), text).unwrap();
    let output = call(&env, &receiver.address, &["trace", "push", "last"]).expect(0);
    assert!(
        output.stderr.contains("are no OTLP, and were left out"),
        "{output}"
    );
    let requests = receiver.received();
    let longest = requests.iter().map(|request| request.body.len()).max().unwrap();
    assert!(longest <= 4_000_000, "{longest}");
    let arrived = receiver.spans();
    let made: BTreeSet<&String> = arrived.iter().filter(|id| id.starts_with('f')).collect();
    let all = 60_000 + 40_000 + 2;
    assert!(made.len() >= all, "{} of {all}", made.len());
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), arrived.len());
    let traces = requests.iter().filter(|request| request.path == "/v1/traces");
    let records = traces.flat_map(Received::records);
    let long = records
        .filter(|span| span["spanId"] == format!("f{:015x}", 300_000))
        .collect::<Vec<_>>();
    let attributes = long[0]["attributes"].as_array().unwrap();
    assert_eq!(attributes[0]["value"]["stringValue"], "kept");
    let cut = attributes[1]["value"]["stringValue"].as_str().unwrap();
    assert!(cut.len() > 1_000_000 && cut.ends_with('…'), "{}", cut.len());
    assert_eq!(
        attributes[2],
        json!({ "key": "dhenara.truncated", "value": { "boolValue": true } })
    );
    let stored = read_json(&run.join(".trace/export.json"));
    let stored = stored["destinations"].as_object().unwrap().values();
    let offset = stored.filter_map(|files| files["trace.jsonl"].as_u64()).max();
    assert_eq!(offset, Some(whole as u64));
    env.is_checked();
}

#[test]
fn many_runs_are_sent_at_once_and_a_receiver_that_is_down_is_asked_no_more() {
    let env = project();
    for _ in 0..6 {
        drop(env.run(&["run", "flow.json"]).expect(0));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = call(&env, &down, &["trace", "push", "--all"]).expect(1);
    assert!(
        output
            .stderr
            .contains("2 runs not tried, because the receiver takes no request"),
        "{output}"
    );
    assert!(
        output.stdout.starts_with("sent 0 records of 6 runs, "),
        "{output}"
    );
    // The same answer for each of very many runs is said for the first ones.
    let wrong_address = Receiver::start(|_, _| Answer::Status(404, "", String::new()));
    let output = call(&env, &wrong_address.address, &["trace", "push", "--all"]).expect(1);
    assert!(
        output
            .stderr
            .contains("2 runs not tried, because the receiver takes no request"),
        "{output}"
    );
    let receiver = Receiver::ok();
    let output = call(&env, &receiver.address, &["trace", "push", "--all", "-n", "5"]).expect(0);
    assert!(output.stdout.ends_with(" records of 5 runs\n"), "{output}");
    // Two processes at once send no more than each would.
    let both = [0, 1].map(|_| {
        let mut both = command(&env, &receiver.address, &["trace", "push", "--all"]);
        both.stdout(std::process::Stdio::null()).spawn().unwrap()
    });
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
    let spans: usize = env.runs().iter().map(|run| recorded(run)[0].len()).sum();
    let arrived = receiver.spans();
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), spans);
    let first = recorded(&env.runs()[0])[0].len();
    assert!(arrived.len() <= spans + first, "{} of {spans}", arrived.len());
    for run in env.runs() {
        offsets_are_the_lengths(&run);
    }
}

#[test]
fn without_a_receiver_or_a_run_the_error_says_how_to_name_one() {
    let env = project();
    drop(env.run(&["run", "flow.json"]).expect(0));
    insta::assert_snapshot!(env.unchanged(&["trace", "push", "last"]).expect(2), @"
    ---- stderr
    error[no_receiver]: there is no receiver to send traces to
      hint: give `--endpoint URL`, set OTEL_EXPORTER_OTLP_ENDPOINT, or write `observability: { endpoint: URL }` into an environment of `.dhenara/config.yaml`
    ---- exit code 2
    ");
    let receiver = Receiver::ok();
    insta::assert_snapshot!(env.unchanged(&["trace", "push", "--endpoint", &receiver.address]).expect(2), @"
    ---- stderr
    error[no_run]: no run is named
      hint: name runs, such as `last`, choose some with `--since 7d`, or send all with `--all`
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["trace", "push", "last", "--endpoint", "localhost:4318"]).expect(2), @"
    ---- stderr
    error[observability]: given: the endpoint of traces: expected a URL such as `http://localhost:4318` or `https://otlp.example.com`
    ---- exit code 2
    ");
    let named = format!("http://user:{SECRET}@127.0.0.1:4318");
    insta::assert_snapshot!(env.unchanged(&["trace", "push", "last", "--endpoint", &named]).expect(2), @"
    ---- stderr
    error[observability]: given: the endpoint of traces: it has a user or a password before the host: send them in a header
    ---- exit code 2
    ");
    let protocol = &[
        "trace",
        "push",
        "last",
        "--endpoint",
        &receiver.address,
        "--protocol",
        "http",
    ];
    assert!(env.unchanged(protocol).expect(2).stderr.contains("http/protobuf"));
}

#[test]
fn the_console_exporter_prints_readable_lines_and_the_files_stay() {
    let env = project();
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command(program, &env.project());
    command
        .args(["run", "flow.json", "--quiet"])
        .env("OTEL_TRACES_EXPORTER", "console,zipkin")
        .env("OTEL_METRICS_EXPORTER", "console");
    let output = env.call(&mut command).expect(0);
    assert_eq!(output.stdout, "done\n");
    assert!(
        output
            .stderr
            .contains("`OTEL_TRACES_EXPORTER` names the exporter `zipkin`"),
        "{output}"
    );
    let lines = |begin: &str| {
        output
            .stderr
            .lines()
            .filter(|line| line.starts_with(begin))
            .count()
    };
    let recorded = recorded(&env.last_run());
    assert_eq!(lines("span "), recorded[0].len(), "{output}");
    assert_eq!(lines("metric "), recorded[1].len(), "{output}");
    assert!(
        output
            .stderr
            .lines()
            .any(|line| line.starts_with("span ") && line.contains("one"))
    );
}

#[test]
fn the_configuration_names_receivers_and_headers_with_secrets() {
    let (env, receiver) = (project(), Receiver::ok());
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets: {{ COLLECTOR: {SECRET} }}\n"),
    );
    let configured = |headers: &str| {
        let (at, traces) = (&receiver.address, format!("{}/of/traces", receiver.address));
        let config = format!(
            "environments:\n  default:\n    observability:\n      endpoint: {at}\n      protocol: http/json\n      service_name: tested\n      \
             headers: {{ {headers} }}\n      logs: {{ exporter: file }}\n      traces: {{ endpoint: '{traces}', compression: gzip }}\n"
        );
        env.write(".dhenara/config.yaml", &config);
    };
    configured("authorization: 'Bearer $secret{COLLECTOR}', x-tenant: red");
    drop(env.run(&["run", "flow.json"]).expect(0));
    let requests = receiver.received();
    let paths: BTreeSet<&str> = requests.iter().map(|request| &*request.path).collect();
    assert_eq!(paths, BTreeSet::from(["/of/traces", "/v1/metrics"]));
    for request in &requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {SECRET}"));
        assert_eq!(request.headers["x-tenant"], "red");
        let is_compressed = request.headers.contains_key("content-encoding");
        assert_eq!(is_compressed, request.path == "/of/traces");
        assert_eq!(request.body.starts_with(&[0x1f, 0x8b]), is_compressed);
    }
    let shown = env.unchanged(&["config", "show", "--origin"]).expect(0);
    assert!(shown.stdout.contains("observability.headers"), "{shown}");
    assert!(
        !shown.stdout.contains(SECRET) && !shown.stdout.contains("red\""),
        "{shown}"
    );
    let first = &recorded(&env.last_run())[0];
    assert!(!first.is_empty());
    let text = std::fs::read_to_string(env.last_run().join(".trace/trace.jsonl")).unwrap();
    assert!(
        text.contains(r#"{"key":"service.name","value":{"stringValue":"tested"}}"#),
        "{text}"
    );
    // A key itself is no part of the configuration.
    configured(&format!("authorization: 'Bearer {SECRET}'"));
    insta::assert_snapshot!(env.unchanged(&["run", "flow.json"]).expect(2), @"
    ---- stderr
    error[observability]: .dhenara/config.yaml: the header `authorization` holds a key, and keys stand in no configuration
      hint: write `authorization: $secret{NAME}`, and the key into the environment variable NAME, or below `secrets` in `.dhenara/.secrets/.credentials.yaml`
    ---- exit code 2
    ");
    configured("authorization: 'Bearer $secret{MISSING}'");
    insta::assert_snapshot!(env.unchanged(&["run", "flow.json"]).expect(2), @"
    ---- stderr
    error[observability]: .dhenara/config.yaml: the header `authorization`: there is no secret `MISSING`: neither in `[root]/project/.dhenara/.secrets/.credentials.yaml` nor in the environment
      hint: set MISSING in the environment, or write into [root]/project/.dhenara/.secrets/.credentials.yaml:
            secrets:
              MISSING: …
    ---- exit code 2
    ");
}

#[test]
fn a_key_of_the_user_goes_to_no_server_that_a_project_names_alone() {
    let (env, receiver) = (project(), Receiver::ok());
    let endpoint = &receiver.address;
    env.write(
        ".dhenara/config.yaml",
        &format!("environments: {{ default: {{ observability: {{ endpoint: '{endpoint}', protocol: http/json }} }} }}\n"),
    );
    let call = |name: &str| {
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        let mut command = env.command(program, &env.project());
        env.call(
            command
                .args(["run", "flow.json"])
                .env(name, format!("x-key={SECRET}")),
        )
    };
    let refused = call("OTEL_EXPORTER_OTLP_HEADERS").expect(2);
    assert!(
        refused
            .stderr
            .contains("`OTEL_EXPORTER_OTLP_HEADERS` of yours would be sent to"),
        "{refused}"
    );
    assert!(env.runs().is_empty() && receiver.received().is_empty());
    std::fs::create_dir_all(env.path("home/.config/dhenara")).unwrap();
    std::fs::write(
        env.path("home/.config/dhenara/config.yaml"),
        "allow_key: ['127.0.0.1']\n",
    )
    .unwrap();
    drop(call("OTEL_EXPORTER_OTLP_HEADERS").expect(0));
    assert_eq!(receiver.received()[0].headers["x-key"], SECRET);
}

#[test]
fn variables_of_opentelemetry_come_before_the_configuration() {
    let (env, receiver) = (project(), Receiver::ok());
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: { observability: { endpoint: 'http://127.0.0.1:1', service_name: other } } }\n",
    );
    let mut named = command(&env, &receiver.address, &["run", "flow.json"]);
    named
        .env("OTEL_SERVICE_NAME", "named")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,team=a%20b")
        .env("OTEL_LOGS_EXPORTER", "none");
    drop(env.call(&mut named).expect(0));
    let requests = receiver.received();
    assert!(requests.iter().all(|request| request.path != "/v1/logs"));
    let resource = requests[0].json();
    let field = if requests[0].path == "/v1/traces" {
        "resourceSpans"
    } else {
        "resourceMetrics"
    };
    let attributes = resource[field][0]["resource"]["attributes"]
        .as_array()
        .unwrap()
        .clone();
    let of = |key: &str| {
        let mut found = attributes.iter().filter(|attribute| attribute["key"] == key);
        found
            .next()
            .map(|attribute| attribute["value"]["stringValue"].clone())
    };
    assert_eq!(of("service.name"), Some(json!("named")));
    assert_eq!(of("team"), Some(json!("a b")));
    assert!(of("host.name").is_some() && of("telemetry.sdk.language").is_some());
    // Mistakes are named by their variable.
    for (name, value, wanted) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http",
            "expected one of http/protobuf",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", SECRET, "has no `=`"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "localhost:4318",
            "expected a URL such as",
        ),
    ] {
        let mut wrong = command(&env, &receiver.address, &["run", "flow.json"]);
        let output = env.call(wrong.env(name, value)).expect(2);
        assert!(
            output.stderr.contains(&format!("${name}")) && output.stderr.contains(wanted),
            "{output}"
        );
        assert!(!output.stderr.contains(SECRET), "{output}");
    }
    let mut disabled = command(&env, &receiver.address, &["run", "flow.json"]);
    drop(env.call(disabled.env("OTEL_SDK_DISABLED", "true")).expect(0));
    assert!(!env.last_run().join(".trace/trace.jsonl").exists());
}
