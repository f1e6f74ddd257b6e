//! Every fenced block of the README and the book: each is parsed, validated, compiled or executed, by its language.
//!
//! The words behind a fence say what a block is. `yaml` alone is a whole definition. `yaml fragment=elements` is a list of
//! elements, `fragment=keys` keys of a definition and `fragment=settings` those of a model call; the steps and variables around
//! are not there. With `nodes=own` the types of nodes are not known either. `yaml file=PATH` is that file of a project, or of its
//! user's home directory `~`.

use serde_json::Value;

use crate::harness::{TestEnvironment, workspace};
use crate::pages::{Block, blocks, pages};

/// Pages whose files are written and whose commands are executed: by `start_page`, and by `cargo xtask packages`.
const EXECUTED: &[&str] = &["docs/start.md", "docs/start-rust.md"];

/// Problems of a fragment that only the rest of the definition can solve.
const OF_THE_REST: &[&str] = &["unknown_variable", "unknown_step"];

/// Checks a block; the error says what is wrong with it.
fn check(page: &str, block: &Block<'_>) -> Result<(), String> {
    if EXECUTED.contains(&page) && block.word("file").is_some() {
        return Ok(());
    }
    match block.language() {
        "yaml" => check_yaml(block),
        "json" => parse(block.text),
        "jsonl" => block.text.lines().try_for_each(parse),
        "sh" => block.text.lines().try_for_each(check_commands),
        "console" => check_console(block.text),
        "rust" => check_rust(page, block),
        "text" | "ebnf" | "toml" => Ok(()),
        "" => Err("a block has a language; `text` is for what is none".to_owned()),
        other => Err(format!("`{other}` is a language that no check knows")),
    }
}

fn parse(json: &str) -> Result<(), String> {
    let parsed = serde_json::from_str::<Value>(json);
    parsed.map(drop).map_err(|error| format!("no JSON: {error}"))
}

fn check_yaml(block: &Block<'_>) -> Result<(), String> {
    match (block.word("fragment"), block.word("file")) {
        (None, None) => check_definition(block.text, &[]),
        (Some("elements"), None) => {
            let own: &[&str] = match block.word("nodes") {
                Some("own") => &["unknown_node_type"],
                _ => &[],
            };
            let indented: String = block.text.lines().map(|line| format!("  {line}\n")).collect();
            check_definition(
                &format!("schema_version: 1\nkind: flow\nelements:\n{indented}"),
                &[OF_THE_REST, own].concat(),
            )
        }
        (Some("keys"), None) => {
            let whole = format!("schema_version: 1\nkind: flow\n{}elements: []\n", block.text);
            check_definition(&whole, OF_THE_REST)
        }
        (Some("settings"), None) => {
            let indented: String = block.text.lines().map(|line| format!("      {line}\n")).collect();
            let whole = format!(
                "schema_version: 1\nkind: flow\nelements:\n  - node: ask\n    type: ai_model_call\n    settings:\n      \
                 models: [openai/gpt-5-mini]\n{indented}"
            );
            check_definition(&whole, OF_THE_REST)
        }
        (None, Some(file)) => match file.strip_prefix("~/") {
            Some(file) => check_project_file(&format!("home/{file}"), block.text),
            None => check_project_file(&format!("project/{file}"), block.text),
        },
        _ => Err(format!("`{}` is no kind of block", block.info)),
    }
}

/// Validates a definition as a user does, with the problems of these codes left out.
fn check_definition(text: &str, but: &[&str]) -> Result<(), String> {
    let env = TestEnvironment::new();
    env.write("flow.yaml", text);
    let output = env.run(&["validate", "flow.yaml", "--json"]);
    let document: Value = serde_json::from_str(&output.stdout).map_err(|_| output.to_string())?;
    let problems = document["definitions"].as_array().into_iter().flatten();
    let problems = problems.flat_map(|file| file["problems"].as_array().into_iter().flatten());
    let is_left = |problem: &&Value| !but.contains(&problem["code"].as_str().unwrap_or_default());
    let left: Vec<String> = problems.filter(is_left).map(Value::to_string).collect();
    if left.is_empty() && document["error"].is_null() {
        return Ok(());
    }
    Err(format!("{}{}", left.join("\n"), document["error"]))
}

fn check_project_file(name: &str, text: &str) -> Result<(), String> {
    let env = TestEnvironment::new();
    let file = env.path(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    for arguments in [&["config", "show"], &["models", "list"]] {
        let output = env.run(arguments);
        if output.code != Some(0) {
            return Err(output.stderr);
        }
    }
    Ok(())
}

fn check_console(text: &str) -> Result<(), String> {
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    if commands.is_empty() {
        return Err("no line begins with `$ `".to_owned());
    }
    commands.into_iter().try_for_each(check_commands)
}

/// The commands of a line parse.
fn check_commands(line: &str) -> Result<(), String> {
    for words in commands(line) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let given = match words.as_slice() {
            ["dhenara", given @ ..] | ["cargo", "run", "--bin", "dhenara", "--", given @ ..] => given,
            _ => continue,
        };
        check_command(given)?;
    }
    Ok(())
}

/// The command accepts a command line, up to the end of which `--help` prevents that it does anything.
fn check_command(given: &[&str]) -> Result<(), String> {
    let env = TestEnvironment::without_project();
    // Options stand before tags.
    let tags = given.iter().position(|word| word.starts_with('+'));
    let (given, tags) = given.split_at(tags.unwrap_or(given.len()));
    let output = env.run(&[given, &["--help"], tags].concat());
    match output.code {
        Some(0) => Ok(()),
        _ => Err(format!("`dhenara {}`: {}", given.join(" "), output.stderr)),
    }
}

/// The words of each command of a line of a shell, without comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (' ' | '|' | '&' | ';' | '>', None) => {
                found.last_mut().unwrap().extend(word.take());
                if c != ' ' {
                    found.push(Vec::new());
                }
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    found.last_mut().unwrap().extend(word);
    found
}

/// Documentation tests compile and execute the blocks of a page that `xtask/src/lib.rs` includes.
fn check_rust(page: &str, block: &Block<'_>) -> Result<(), String> {
    let tested = std::fs::read_to_string(workspace().join("xtask/src/lib.rs")).unwrap();
    if block.info.contains("ignore") {
        return Err("is not compiled".to_owned());
    }
    if !tested.contains(&format!("include_str!(\"../../{page}\")")) {
        return Err(format!("`xtask/src/lib.rs` does not include `{page}`"));
    }
    Ok(())
}

#[test]
fn each_block_is_what_it_says() {
    let mut problems = Vec::new();
    let mut count = 0;
    for (name, text) in pages() {
        for block in blocks(&text) {
            count += 1;
            if let Err(problem) = check(&name, &block) {
                problems.push(format!("{name}:{}: {problem}", block.line));
            }
        }
    }
    assert!(count > 80, "{count}");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Commands in sentences and tables: `RUN` and `[STEP]`, which is optional, stand for what a user writes there.
#[test]
fn each_command_in_a_sentence_is_one() {
    let mut problems = Vec::new();
    let mut count = 0;
    for (name, text) in pages() {
        // Its text comes from the command itself.
        if name == "docs/reference/command-line.md" {
            continue;
        }
        let prose: String = text.split("\n```").step_by(2).collect();
        let quoted = prose.split('`').skip(1).step_by(2);
        for command in quoted.filter(|quoted| quoted.starts_with("dhenara ")) {
            count += 1;
            if let Err(problem) = check_commands(&command.replace('\n', " ").replace(['[', ']'], "")) {
                problems.push(format!("{name}: {problem}"));
            }
        }
    }
    assert!(count > 80, "{count}");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn wrong_blocks_are_found() {
    let wrong = |info: &str, text: &str| {
        let page = format!("```{info}\n{text}\n```\n");
        let [block] = blocks(&page).try_into().ok().unwrap();
        check("docs/a.md", &block).unwrap_err()
    };
    for (info, text, expected) in [
        ("", "x", "a block has a language"),
        ("python", "x", "no check knows"),
        ("yaml", "kind: flow\nelements: []", "schema_version"),
        (
            "yaml fragment=elements",
            "- { node: a, type: command, settings: { comands: [] } }",
            "unknown key",
        ),
        (
            "yaml fragment=elements",
            "- { node: a, type: mine, settings: {} }",
            "mine",
        ),
        ("yaml fragment=keys", "approval: []", "unknown key"),
        ("yaml fragment=settings", "prompts: a", "unknown key"),
        ("yaml fragment=other", "a: 1", "no kind of block"),
        (
            "yaml file=.dhenara/config.yaml",
            "environments: { default: { x: 1 } }",
            "unknown key",
        ),
        ("yaml file=.dhenara/models.yaml", "- name: 1", "name"),
        (
            "yaml file=~/.config/dhenara/config.yaml",
            "allow: []",
            "unknown key",
        ),
        ("json", "{", "no JSON"),
        ("jsonl", "{}\n{", "no JSON"),
        ("sh", "cd a && dhenara rums list  # all", "rums"),
        ("sh", "dhenara run a --var 'a=b c' --bogus", "--bogus"),
        ("console", "$ dhenara run --budget cost=x a\nprinted", "cost=x"),
        ("console", "dhenara run a", "no line begins"),
        ("rust", "fn a() {}", "does not include"),
        ("rust,ignore", "fn a() {}", "is not compiled"),
    ] {
        let found = wrong(info, text);
        assert!(found.contains(expected), "{info}: {found}");
    }
}
