//! The tables of names in `docs/`: events, variables, functions, keys and settings. Each has every name of the program, and no
//! other.

use std::collections::BTreeSet;

use dhenara::EventType;
use dhenara::definition::RUN_VARIABLES;
use dhenara::template::function_names;
use serde_json::Value;

use crate::harness::{TestEnvironment, workspace};

fn page(name: &str) -> String {
    std::fs::read_to_string(workspace().join("docs").join(name)).unwrap()
}

/// The part of a page from a heading to the next one of its level or above.
fn section(name: &str, heading: &str) -> String {
    let page = page(name);
    let (_, rest) = page
        .split_once(&format!("{heading}\n"))
        .unwrap_or_else(|| panic!("{name} has no `{heading}`"));
    let level = heading.find(' ').unwrap();
    let mut is_code = false;
    let is_within = |line: &&str| {
        is_code ^= line.starts_with("```");
        is_code || !line.starts_with('#') || line.find(' ').is_none_or(|found| found > level)
    };
    let lines = rest.lines().take_while(is_within);
    lines.map(|line| format!("{line}\n")).collect()
}

/// The words in code within a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words in code in a column of the tables of a text, of those whose first heading is given.
fn column(text: &str, heading: &str, column: usize) -> BTreeSet<String> {
    let head = format!("| {heading} |");
    let tables = text
        .split("\n\n")
        .map(str::trim_start)
        .filter(|table| table.starts_with(&head));
    let rows = tables.flat_map(|table| table.lines().skip(2));
    let cells = rows.filter_map(|row| row.split(" | ").nth(column).or(Some(row)));
    let names = cells.flat_map(|cell| code(cell).flat_map(str::split_whitespace));
    names.map(|name| name.trim_end_matches(":").to_owned()).collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_table_of_variables_is_complete() {
    let table = section("projects.md", "## Variables of every run");
    assert_eq!(
        column(&table, "variable", 0),
        names(RUN_VARIABLES.iter().copied())
    );
}

#[test]
fn the_tables_of_functions_and_methods_are_complete() {
    let table = section("templates.md", "## Functions");
    let functions = column(&table, "function", 0);
    let listed = functions.iter().map(|name| name.split('(').next().unwrap());
    assert_eq!(names(listed), names(function_names().iter().copied()));
    let table = section("templates.md", "## Methods");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .collect();
    let constants = [
        &["NAMES"][..],
        &["LIST", "TUPLE"],
        &["OBJECT"],
        &["SET"],
        &["INT", "FLOAT"],
    ];
    assert_eq!(rows.len(), constants.len());
    for (row, constants) in rows.into_iter().zip(constants) {
        let of = constants.iter().flat_map(|name| constant(name));
        assert_eq!(
            names(code(row).flat_map(str::split_whitespace)),
            of.collect(),
            "{row}"
        );
    }
}

/// The texts of a list of methods in the source, which no public function gives.
fn constant(name: &str) -> Vec<String> {
    let dir = workspace().join("crates/dad-template/src/methods");
    let read = |file| std::fs::read_to_string(dir.join(file)).unwrap();
    let source = read("mod.rs") + &read("str.rs");
    let (_, rest) = source.split_once(&format!("const {name}: [&str;")).unwrap();
    let (_, list) = rest.split_once("= [").unwrap();
    let list = list.split(']').next().unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_table_of_events_is_complete() {
    let refused = "no event".parse::<EventType>().unwrap_err().to_string();
    let (_, known) = refused.split_once("there are ").unwrap();
    let table = section("extending.md", "## Events");
    assert_eq!(column(&table, "event", 0), names(known.split(", ")));
    let of_rust = |name: &str| {
        let words = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        format!("{}Event", words.collect::<String>())
    };
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut words = code(row);
        let event = words.next().unwrap();
        assert_eq!(words.next().unwrap(), of_rust(event));
    }
}

/// The keys that an error names where the program meets an unknown one.
fn keys(stderr: &str) -> BTreeSet<String> {
    let (_, keys) = stderr.split_once("the keys are ").unwrap();
    names(keys.lines().next().unwrap().split(", "))
}

#[test]
fn the_tables_of_keys_are_complete() {
    let env = TestEnvironment::new();
    env.write(".dhenara/config.yaml", "environments: { default: { x: 1 } }\n");
    let refused = env.unchanged(&["agents"]).expect(2);
    let table = section("projects.md", "## Environments");
    assert_eq!(column(&table, "key", 0), keys(&refused.stderr));
    env.write(".dhenara/config.yaml", "environments: {}\n");
    let mine = env.path("home/.config/dhenara/config.yaml");
    std::fs::create_dir_all(mine.parent().unwrap()).unwrap();
    std::fs::write(mine, "x: 1\n").unwrap();
    let refused = env.unchanged(&["agents"]).expect(2);
    let table = section("projects.md", "## Yours");
    assert_eq!(column(&table, "key", 0), keys(&refused.stderr));
}

/// The names of all properties of a schema of the settings of a node, those of their parts included.
fn settings_of(schema: &Value, node: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let own = format!("node.{node}");
    for (name, part) in schema["$defs"].as_object().unwrap() {
        if *name == own || name.starts_with(&format!("{own}.")) {
            add_properties(part, &mut found);
        }
    }
    found
}

fn add_properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let ("properties", Value::Object(properties)) = (name.as_str(), value) {
                    found.extend(properties.keys().cloned());
                }
                add_properties(value, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| add_properties(element, found)),
        _ => {}
    }
}

#[test]
fn each_setting_is_described_and_each_described_one_exists() {
    let env = TestEnvironment::new();
    let printed = env.run(&["schema", "flow"]).expect(0);
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    for (node, text) in [
        ("folder_analyzer", section("nodes.md", "## Folder analyzer")),
        ("file_operation", section("nodes.md", "## File operation")),
        ("command", section("nodes.md", "## Command")),
        ("http", section("nodes.md", "## HTTP request")),
        ("ai_model_call", page("models.md")),
    ] {
        let settings = settings_of(&schema, node);
        let text = section("nodes.md", "## Settings of every node") + &text;
        let is_word = |c: char| !c.is_alphanumeric() && c != '_';
        let described = names(code(&text).flat_map(|code| code.split(is_word)));
        let missing: Vec<_> = settings.difference(&described).collect();
        assert!(missing.is_empty(), "not described of `{node}`: {missing:?}");
        let rows = column(&text, "setting", 0);
        let unknown: Vec<_> = rows
            .iter()
            .filter(|row| !settings.contains(row.trim_end_matches(',')))
            .collect();
        assert!(unknown.is_empty(), "no settings of `{node}`: {unknown:?}");
    }
}

#[test]
fn the_tables_of_telemetry_are_complete() {
    let read = |file: &str| {
        let source = workspace().join("crates/dad-observability/src").join(file);
        std::fs::read_to_string(source).unwrap()
    };
    let sources = read("names.rs") + &read("genai.rs");
    let constants = sources.lines().filter(|line| line.starts_with("pub const "));
    let known = constants.filter_map(|line| line.split('"').nth(1));
    let is_name = |name: &&str| name.contains('.') && !name.contains('/') && !name.ends_with(".jsonl");
    let table = section("observability.md", "## Names");
    let mut listed = BTreeSet::new();
    for first in ["attribute", "event of a record", "instrument"] {
        listed.extend(column(&table, first, 0));
    }
    assert_eq!(listed, names(known.filter(is_name)));
}
