//! `trace convert`: the spans of a run in formats of other tools.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment};

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: ["true"] } }
  - parallel: both
    elements:
      - { node: one, type: command, settings: { commands: ["sleep 0.2"] } }
      - { node: two, type: command, settings: { commands: ["sleep 0.2"] } }
"#;

fn ran() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    env
}

fn events(output: &CommandOutput) -> Vec<Value> {
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    document["traceEvents"].as_array().unwrap().clone()
}

/// Checks complete events by the description of the Trace Event Format, and that those of a lane nest.
#[track_caller]
fn check(events: &[Value]) {
    let mut lanes: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for event in events {
        let lane = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        assert!(event["name"].is_string() && event["args"].is_object(), "{event}");
        match event["ph"].as_str() {
            Some("M") => drop(named.insert((event["name"].to_string(), lane))),
            Some("X") => {
                let (at, took) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
                assert!(at >= 0.0 && took >= 0.0, "{event}");
                lanes.entry(lane).or_default().push((at, at + took));
            }
            other => panic!("{other:?} in {event}"),
        }
    }
    for (lane, mut spans) in lanes {
        assert!(
            named.contains(&("\"thread_name\"".to_owned(), lane)),
            "{lane:?} has no name"
        );
        assert!(
            named.contains(&("\"process_name\"".to_owned(), (lane.0, 0))),
            "{lane:?}"
        );
        spans.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut open: Vec<f64> = Vec::new();
        for (from, to) in spans {
            open.retain(|end| *end > from);
            // A thousandth of a microsecond is a nanosecond, and sums of such numbers are not exact.
            assert!(
                open.iter().all(|end| to <= end + 1e-3),
                "{from} to {to} in {lane:?}"
            );
            open.push(to);
        }
    }
}

#[test]
fn for_perfetto_each_lane_nests() {
    let env = ran();
    let converted = env
        .unchanged(&["trace", "convert", "last", "--to", "chrome"])
        .expect(0);
    let events = events(&converted);
    check(&events);
    let named = |name: &str| {
        events
            .iter()
            .find(|event| event["ph"] == "X" && event["name"] == name)
            .unwrap()
    };
    assert_eq!(named("two")["args"]["dhenara.path"], "flow_root.both.two");
    assert_ne!(
        named("one")["tid"],
        named("two")["tid"],
        "they ran at the same time"
    );
    assert_eq!(named("first")["pid"], 1);
    // The same in a file, which appears whole and replaces none.
    let made = env
        .run(&["trace", "convert", "last", "--to", "chrome", "-o", "trace.json"])
        .expect(0);
    assert!(made.stderr.contains("spans in `trace.json`"), "{made}");
    let file = std::fs::read_to_string(env.project().join("trace.json")).unwrap();
    assert_eq!(file, converted.stdout);
    let again = env
        .unchanged(&["trace", "convert", "last", "--to", "chrome", "-o", "trace.json"])
        .expect(2);
    assert!(again.stderr.contains("there is a file of this name"), "{again}");
}

/// A span: name, id, parent, begin and end in nanoseconds, session.
type Fixture<'a> = (&'a str, u64, u64, u64, u64, Option<u64>);

/// A line of spans.
fn spans(spans: &[Fixture<'_>]) -> String {
    let spans = spans.iter().map(|(name, id, parent, from, to, session)| {
        let mut attributes = vec![json!({ "key": "text", "value": { "stringValue": "\u{1b}[2J" } })];
        attributes.extend(session.map(|number| json!({ "key": "dhenara.session", "value": { "intValue": number.to_string() } })));
        let mut span = json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": format!("{id:016x}"), "name": name, "kind": 3,
            "startTimeUnixNano": from.to_string(), "endTimeUnixNano": to.to_string(), "attributes": attributes,
            "status": { "code": 2, "message": "it broke" },
        });
        if *parent > 0 {
            span["parentSpanId"] = json!(format!("{parent:016x}"));
        }
        span
    });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": {}, "spans": spans.collect::<Vec<_>>() }] }] }).to_string()
}

#[test]
fn spans_of_several_sessions_and_damaged_lines_are_converted_too() {
    let env = ran();
    env.is_checked();
    let lines = [
        spans(&[("a", 3, 2, 1_000, 4_001, None), ("b", 4, 2, 2_000, 9_000, None)]),
        "torn {".to_owned(),
        spans(&[
            ("session", 2, 0, 1_000, 9_000, Some(1)),
            ("later", 6, 5, 20_000, 20_000, None),
        ]),
        spans(&[
            ("backwards", 7, 5, 21_000, 20_500, None),
            ("session", 5, 0, 20_000, 30_000, Some(2)),
        ]),
    ];
    std::fs::write(env.last_run().join(".trace/trace.jsonl"), lines.join("\n")).unwrap();
    let converted = env
        .unchanged(&["trace", "convert", "last", "--to", "chrome"])
        .expect(0);
    let events = events(&converted);
    check(&events);
    let sessions: Vec<(&str, u64, u64)> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| {
            (
                event["name"].as_str().unwrap(),
                event["pid"].as_u64().unwrap(),
                event["tid"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        sessions,
        [
            ("a", 1, 0),
            ("b", 1, 1),
            ("session", 1, 0),
            ("later", 2, 0),
            ("backwards", 2, 0),
            ("session", 2, 0)
        ]
    );
    assert!(converted.stderr.contains("left out: 1 line of "), "{converted}");
    let a = events.iter().find(|event| event["name"] == "a").unwrap();
    assert_eq!((&a["ts"], &a["dur"]), (&json!(0.0), &json!(3.001)));
    assert_eq!(a["args"]["error"], "it broke");

    let zipkin = env
        .unchanged(&["trace", "convert", "last", "--to", "zipkin"])
        .expect(0);
    let zipkin: Vec<Value> = serde_json::from_str(&zipkin.stdout).unwrap();
    assert_eq!(zipkin.len(), 6);
    assert_eq!(zipkin[0]["parentId"], "0000000000000002");
    assert_eq!(zipkin[0]["kind"], "CLIENT");
    assert_eq!(zipkin[0]["localEndpoint"]["serviceName"], "shop");
    for span in &zipkin {
        assert!(
            span["timestamp"].as_u64().unwrap() > 0 && span["duration"].as_u64().unwrap() > 0,
            "{span}"
        );
        assert!(
            span["tags"].as_object().unwrap().values().all(Value::is_string),
            "{span}"
        );
    }
}

#[test]
fn without_spans_the_error_names_what_there_is() {
    let env = ran();
    env.is_checked();
    std::fs::remove_file(env.last_run().join(".trace/trace.jsonl")).unwrap();
    for more in [&[][..], &["-o", "made.json"]] {
        let refused = env.refused(&[&["trace", "convert", "last", "--to", "chrome"], more].concat());
        assert!(
            refused.stderr.contains("has no spans") && refused.stderr.contains("dhenara runs trace run_"),
            "{refused}"
        );
    }
}
