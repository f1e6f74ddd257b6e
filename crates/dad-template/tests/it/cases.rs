//! The recorded cases of the original system: what was right there comes out here, what was wrong does not.

use std::collections::BTreeMap;

use dad_template::{Limits, RenderOptions, Template, Value};
use serde_json::Value as Json;

use crate::scope::TestScope;

const CASES: &str = include_str!("../data/template_cases.jsonl");

/// The number of lines of each verdict; a line that is lost must not go unnoticed.
const COUNTS: [(&str, usize); 5] = [
    ("agree", 174),
    ("fault", 64),
    ("open", 30),
    ("strict", 10),
    ("textform", 17),
];

/// Decisions where the original left a corner open; the reasons are in `docs/templates.md`.
enum Decision {
    Is(&'static str),
    StepResult,
    Fails(&'static str),
}

const DECISIONS: [(u64, Decision); 30] = [
    (37, Decision::Is(r#""$$var{name}""#)),
    (42, Decision::Is(r#""$var{name}""#)),
    (46, Decision::Is(r#""$var{n}""#)),
    (80, Decision::Fails("template_syntax")),
    (92, Decision::Fails("template_syntax")),
    (93, Decision::Fails("template_syntax")),
    (94, Decision::Fails("template_missing_key")),
    (100, Decision::Fails("template_syntax")),
    (103, Decision::Fails("template_syntax")),
    (117, Decision::Fails("template_undefined")),
    (119, Decision::Fails("template_undefined")),
    (159, Decision::Is("true")),
    (161, Decision::Fails("template_syntax")),
    (174, Decision::Fails("template_missing_key")),
    (262, Decision::Fails("template_undefined")),
    (264, Decision::Is("11")),
    (292, Decision::Fails("template_syntax")),
    (309, Decision::Is(r#""R=World;""#)),
    (310, Decision::Is(r#""R={\"a\":1};""#)),
    (311, Decision::Is(r#""R=$var{name};""#)),
    (331, Decision::Is(r#""World""#)),
    (332, Decision::Is(r#""World""#)),
    (334, Decision::Is("true")),
    (341, Decision::Is(r#""$42""#)),
    (342, Decision::Is(r#""$42""#)),
    (382, Decision::Is(r#""2026-01-02T03:04:05""#)),
    (393, Decision::StepResult),
    (394, Decision::StepResult),
    (395, Decision::StepResult),
    (
        396,
        Decision::Is(
            r#"{"text":"Plan: héllo ✓","structured":{"task_name":"Create plan","tasks":[{"id":1,"deps":[],"ok":true},
                {"id":2,"deps":["x","y"],"ok":false}],"meta":{"a b":1,"k":{"deep":[10,20,30]}},"empty":{},"none":null},
                "files":[]}"#,
        ),
    ),
];

/// The scope that the original's prompt layer would make, innermost first: loop, prompt, component and run
/// variables, then the defaults of the prompt.
fn scope(case: &Json) -> TestScope {
    let mut scope = TestScope::default();
    let text_prompt = matches!(case["kind"].as_str(), Some("text" | "str"));
    if text_prompt {
        scope.push(&case["variables"]);
        scope.push(&case["loop"]);
        scope.push(&case["comp_vars"]);
    } else {
        scope.push(&case["loop"]);
        scope.push(&case["comp_vars"]);
        scope.push(&case["variables"]);
    }
    scope.push(&case["run_vars"]);
    let defaults: serde_json::Map<String, Json> = case["defaults"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, default)| (name.clone(), default["default"].clone()))
        .collect();
    scope.push(&Json::Object(defaults));
    scope.steps(&case["hier"]);
    scope.current = case["current"].as_str().unwrap_or_default().to_owned();
    scope
}

/// The value that comes out, or the code of the error.
fn run(case: &Json) -> Result<Value, String> {
    let source = case["template"].as_str().unwrap();
    let mode = case["mode"].as_str().unwrap();
    let template = if mode == "standard" {
        Template::parse_var_only(source)
    } else {
        Template::parse(source)
    };
    let template = template.map_err(|error| {
        assert!(
            source.get(error.span.range()).is_some(),
            "the span is within the template: {source:?}"
        );
        format!("{}: {error}", error.code())
    })?;
    let scope = scope(case);
    let limits = Limits::default();
    let result = if mode == "evaluate" {
        template.evaluate(&scope, &limits)
    } else {
        let mut options = RenderOptions::default();
        if let Some(words) = case["max_words"].as_u64() {
            options = options.max_words(usize::try_from(words).unwrap());
        }
        template.render_with(&scope, &limits, &options).map(Value::from)
    };
    result.map_err(|error| {
        assert!(
            source.get(error.span().range()).is_some(),
            "the span is within the template: {source:?}"
        );
        format!("{}: {error}", error.code())
    })
}

fn same(value: &Value, wanted: &Json, line: &str) -> bool {
    match value.to_json() {
        Ok(json) => json == *wanted,
        // An integer of more than 64 bits: the digits are compared with those of the line.
        Err(_) => line.contains(&format!("\"wanted\": {}", value.to_text())),
    }
}

#[test]
fn every_recorded_case_comes_out_as_wanted() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut decided = BTreeMap::new();
    for line in CASES.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let verdict = case["verdict"].as_str().unwrap();
        *counts.entry(verdict.to_owned()).or_default() += 1;
        let id = case["id"].as_u64().unwrap();
        let result = run(&case);
        let good = match (&result, case.get("wanted")) {
            _ if verdict == "open" => {
                decided.insert(id, result);
                continue;
            }
            (Ok(value), Some(wanted)) => same(value, wanted, line),
            (Err(_), None) => case["wanted_error"] == Json::Bool(true),
            _ => false,
        };
        if !good {
            wrong.push(format!(
                "{id} {} wanted {} got {result:?}",
                case["template"], case["wanted"]
            ));
        }
    }
    println!("cases by verdict: {counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let recorded: BTreeMap<String, usize> = COUNTS
        .iter()
        .map(|(verdict, count)| ((*verdict).to_owned(), *count))
        .collect();
    assert_eq!(counts, recorded);
    assert_eq!(
        decided.keys().copied().collect::<Vec<_>>(),
        DECISIONS.map(|(id, _)| id)
    );
    for (id, decision) in &DECISIONS {
        match (&decided[id], decision) {
            (Ok(value), Decision::Is(wanted)) => {
                assert_eq!(
                    value.to_json().unwrap(),
                    serde_json::from_str::<Json>(wanted).unwrap(),
                    "case {id}"
                );
            }
            (Ok(value), Decision::StepResult) => {
                let json = match value.as_str() {
                    Some(text) => serde_json::from_str(text).unwrap(),
                    None => value.to_json().unwrap(),
                };
                assert_eq!(json["node_identifier"], "build", "case {id}");
                assert_eq!(
                    json["error"],
                    Json::Null,
                    "fields that are left out are null in case {id}"
                );
            }
            (Err(error), Decision::Fails(code)) => assert!(error.starts_with(code), "case {id}: {error}"),
            (result, _) => panic!("case {id}: {result:?}"),
        }
    }
}
