//! Compiled definitions.

use std::collections::HashMap;

use dad_core::{ComponentKind, Digest, NodeType};
use dad_definition::{Compiled, NodeTypeInfo, NodeTypes, Program, TemplateTree, compile};
use dad_template::{Limits, Value};
use serde_json::json;

use crate::loading::{AUTOCODER, id, load};
use crate::registry::Registry;

fn program(yaml: &str) -> Program {
    let loaded = load(yaml);
    compile(
        &loaded.definition,
        &id("root"),
        &Registry::new(),
        Some(&loaded.spans),
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
}

const NESTED: &str = r#"
schema_version: 1
kind: agent
variables: { depth: 2 }
elements:
  - subagent: first
    elements:
      - flow: work
        variables: { before: "$expr{depth}" }
        elements:
          - { node: check, type: command, settings: { commands: [one] } }
          - { node: report, type: command, settings: { commands: ["$expr{ $hier{check}.outcome }"] } }
  - flow: second
    variables: { found: "$hier{first.work.check}" }
    elements:
      - { node: check, type: command, settings: { commands: ["$hier{first.work.check}", "$hier{report}"] } }
      - subflow: inner
        on_error: continue
        elements:
          - { node: last_one, type: command, settings: { commands: ["$hier{check}", "$hier{root.first}"] } }
    finally:
      - { node: clean, type: command, settings: { commands: ["$hier{inner}", "$hier{inner.last_one}"] } }
output: { all: "$hier{second}", text: "x $hier{clean}" }
"#;

#[test]
fn paths_follow_the_document() {
    let program = program(NESTED);
    let paths: Vec<String> = program.paths().iter().map(ToString::to_string).collect();
    assert_eq!(
        paths,
        [
            "root",
            "root.first",
            "root.first.work",
            "root.first.work.check",
            "root.first.work.report",
            "root.second",
            "root.second.check",
            "root.second.inner",
            "root.second.inner.last_one",
            "root.second.clean",
        ]
    );
    let first = program.component(&"root.first".parse().unwrap()).unwrap();
    assert_eq!(
        (first.kind, first.place.as_str()),
        (ComponentKind::Agent, "elements[0]")
    );
    for path in program.paths().iter().skip(1) {
        assert_eq!(program.element(path).unwrap().path(), path);
    }
    assert!(program.element(&"root.first.nothing".parse().unwrap()).is_none());
    assert!(
        program
            .element(&"root.first.work.check.x".parse().unwrap())
            .is_none()
    );
}

#[test]
fn names_mean_the_nearest() {
    let program = program(NESTED);
    let references = |path: &str| -> Vec<(String, String)> {
        let step = program.step(&path.parse().unwrap()).unwrap();
        step.references
            .iter()
            .map(|(name, path)| (name.to_owned(), path.to_string()))
            .collect()
    };
    let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    assert_eq!(
        references("root.first.work.report"),
        [pair("check", "root.first.work.check")]
    );
    assert_eq!(
        references("root.second.check"),
        [
            pair("first.work.check", "root.first.work.check"),
            pair("report", "root.first.work.report")
        ]
    );
    assert_eq!(
        references("root.second.inner.last_one"),
        [
            pair("check", "root.second.check"),
            pair("root.first", "root.first")
        ]
    );
    assert_eq!(
        references("root.second.clean"),
        [
            pair("inner", "root.second.inner"),
            pair("inner.last_one", "root.second.inner.last_one")
        ]
    );
    let second = program.component(&"root.second".parse().unwrap()).unwrap();
    assert_eq!(
        second.references.get("first.work.check").unwrap().path.as_str(),
        "root.first.work.check"
    );
    let output = program.output.as_ref().unwrap();
    assert_eq!(
        output.references.get("second").unwrap().path.as_str(),
        "root.second"
    );
    assert_eq!(
        output.references.get("clean").unwrap().path.as_str(),
        "root.second.clean"
    );
    assert_eq!(output.references.len(), 2);
}

#[test]
fn trees_render_with_types() {
    let yaml = r#"
schema_version: 1
kind: flow
required: [n]
elements:
  - node: a
    type: ai_model_call
    settings:
      models: ["m$var{n}", plain, "$$var{n}"]
      model_call_config: { max_output_tokens: "$expr{n + 1}", options: { x: 1 } }
      prompt: { text: "$var{who}", variables: { who: { default: you } } }
"#;
    let program = program(yaml);
    let step = program.steps().next().unwrap();
    assert_eq!(
        step.prompt_variables,
        *json!({ "who": "you" }).as_object().unwrap()
    );
    let scope: HashMap<String, Value> = [
        ("n".to_owned(), Value::from(json!(3))),
        ("who".to_owned(), Value::from(json!("all"))),
    ]
    .into();
    let rendered = step.settings.render(&scope, &Limits::default()).unwrap();
    assert_eq!(
        rendered,
        json!({
            "models": ["m3", "plain", "$var{n}"],
            "model_call_config": { "max_output_tokens": 4, "options": { "x": 1 } },
            "prompt": { "text": "all", "variables": { "who": { "default": "you" } } },
        })
    );
    let places: Vec<String> = step
        .settings
        .templates()
        .into_iter()
        .map(|(place, _)| place)
        .collect();
    assert_eq!(
        places,
        ["models[0]", "model_call_config.max_output_tokens", "prompt.text"]
    );

    let error = step.settings.render(&(), &Limits::default()).unwrap_err();
    assert_eq!(
        (error.pointer.as_str(), error.template.as_str()),
        ("models[0]", "m$var{n}")
    );
    assert_eq!(error.source.code(), "template_undefined");
    assert_eq!(error.to_string(), "cannot evaluate `models[0]`");

    let TemplateTree::Object(fields) = &step.settings else {
        panic!()
    };
    assert_eq!(fields.len(), 3);
}

#[test]
fn digests_follow_the_meaning() {
    let one = program(AUTOCODER);
    assert_eq!(
        one.digest,
        Digest::of_json(&serde_json::to_value(&*one.definition).unwrap())
    );
    // Comments, order of keys and spelling of durations do not matter, a changed text does.
    let same = program(
        &AUTOCODER
            .replace("timeout: 30m", "timeout: 1800")
            .replace("# or: flow", ""),
    );
    assert_eq!(one.digest, same.digest);
    let other = program(&AUTOCODER.replace("[cargo, test,", "[cargo, check,"));
    assert_ne!(one.digest, other.digest);
    let digests = |program: &Program| -> Vec<Digest> { program.steps().map(|step| step.digest).collect() };
    let changed: Vec<bool> = digests(&one)
        .into_iter()
        .zip(digests(&other))
        .map(|(one, other)| one != other)
        .collect();
    assert_eq!(changed, [false, false, false, true, false, false]);
}

#[test]
fn without_spans_problems_have_their_place_in_the_definition() {
    let definition = load(&AUTOCODER.replace("$expr{task}", "$expr{tsk}")).definition;
    let problems = compile(&definition, &id("root"), &Registry::new(), None).unwrap_err();
    insta::assert_snapshot!(problems, @"
    error[unknown_variable]: unknown variable `tsk`
      = at: elements[0].elements[1].settings.prompt
      = hint: did you mean `task`?
    ");
}

#[test]
fn a_type_that_forgets_to_refuse_unknown_keys_does_not_accept_them() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Lenient {
        number: Option<u32>,
        #[schemars(flatten)]
        more: More,
    }
    #[derive(schemars::JsonSchema)]
    #[schemars(tag = "mode")]
    #[expect(dead_code, reason = "only its schema is used")]
    enum More {
        One { path: String },
        Two { text: String },
    }
    struct Types(NodeTypeInfo);
    impl NodeTypes for Types {
        fn names(&self) -> Vec<&str> {
            vec!["lenient"]
        }

        fn node_type(&self, _: &NodeType) -> Option<&NodeTypeInfo> {
            Some(&self.0)
        }
    }
    let types = Types({
        let mut node_type_info = NodeTypeInfo::any(1);
        node_type_info.settings_schema = schemars::schema_for!(Lenient).to_value();
        node_type_info.compile = |settings| {
            let mut compiled = Compiled::default();
            compiled.prompt_variables = settings["names"].as_object().cloned().unwrap_or_default();
            compiled
        };
        node_type_info
    });
    let reported = |settings: &str| -> Vec<String> {
        let yaml = format!(
            "schema_version: 1\nkind: flow\nelements:\n  - node: a\n    type: lenient\n    settings: {settings}\n"
        );
        let loaded = load(&yaml);
        match compile(&loaded.definition, &id("root"), &types, Some(&loaded.spans)) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| problem.message.clone()).collect(),
        }
    };
    let none: [&str; 0] = [];
    assert_eq!(
        reported("{ mode: One, path: x, number: 3, sleep_before: 1.5 }"),
        none
    );
    assert_eq!(reported("{ mode: Two, text: '$var{run_id}' }"), none);
    assert_eq!(
        reported("{ mode: One, path: x, nmber: 3 }"),
        ["unknown key `nmber`"]
    );
    assert_eq!(
        reported("{ mode: Three, path: x }"),
        ["expected one of `One`, `Two`, found the text `Three`"]
    );
    assert_eq!(
        reported("{ mode: One, path: x, names: { run_id: 1 } }"),
        [
            "`run_id` is a variable of every run and cannot be defined again",
            "unknown key `names`"
        ]
    );
}
