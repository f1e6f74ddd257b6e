//! The commands of the pages are executed, from the top of each page to its end, in a project as the page describes it.

use std::collections::HashMap;

use crate::harness::workspace;
use crate::models::{Scripted, says};
use crate::pages::{Block, blocks};
use crate::start_page::{Shell, write};

/// Writes a text with a model that a server of the test plays.
const POET: &str = r#"schema_version: 1
kind: flow
variables: { topic: spring }
output: $expr{ $hier{draft}.outcome.text }
elements:
  - node: draft
    type: ai_model_call
    settings: { models: [local/tiny], prompt: "Write a poem about $var{topic}." }
"#;

/// Has a step of each kind that `concepts.md` speaks of: one that is reused, and one that a person approves.
const REVIEWER: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: read, type: command, settings: { commands: [[echo, read]] } }
  - { node: publish, type: command, requires_approval: true, settings: { commands: [[echo, published]] } }
"#;

/// A page whose commands are executed.
struct Page<'a> {
    file: &'a str,
    /// Files of the project, by path.
    files: &'a [(&'a str, &'a str)],
    /// Commands before those of the page.
    before: &'a str,
    /// Words of the page, and the words in their place: `RUN` has no meaning for a shell.
    words: &'a [(&'a str, &'a str)],
    /// Beginnings of lines whose exit code is another than 0, or which are left out (`None`) for a reason that stands here.
    codes: &'a [(&'a str, Option<i32>)],
}

/// The newest directory of runs with this beginning.
const NEWEST_BATCH: &str = "\"$(ls -d runs/each_* | tail -n 1 | cut -d / -f 2)\"";

const PAGES: [Page<'_>; 8] = [
    Page {
        file: "README.md",
        files: &[],
        before: "",
        words: &[],
        codes: &[
            // What continuous integration does, of which this is a part.
            ("cargo xtask ci", None),
            // The tests of the example execute them.
            ("cargo run ", None),
            ("dhenara rerun last --from code_generator_file_ops", None),
        ],
    },
    Page {
        file: "docs/concepts.md",
        files: &[("flows/reviewer.yaml", REVIEWER)],
        before: "dhenara run reviewer --no-input || test $? -eq 3\ndhenara answer last --approve --no-input\n",
        words: &[],
        codes: &[
            ("dhenara rerun last", Some(3)),
            ("dhenara run reviewer", Some(3)),
            // A run of another user is none that a test of one user has; `foreign_runs` resumes one.
            ("dhenara resume imported", None),
        ],
    },
    Page {
        file: "docs/evaluation.md",
        files: &[("flows/poet.yaml", POET)],
        before: "",
        words: &[
            ("openai/gpt-5-mini", "local/tiny"),
            ("anthropic/claude-haiku-4-5", "local/big"),
            ("each_20261201_093000", NEWEST_BATCH),
        ],
        codes: &[],
    },
    Page {
        file: "docs/howto/ci.md",
        files: &[
            ("flows/poet.yaml", POET),
            ("rows.jsonl", "{\"variables\": {\"topic\": \"tea\"}}\n"),
        ],
        // The first commands of the page use what those below them record.
        before: "dhenara run poet\nmkdir -p tests/cassettes/poet\ncp -r \"$(dhenara runs path last)/poet_root\" tests/cassettes/poet/\n",
        words: &[
            // Another machine has no such run.
            (
                "dhenara runs import",
                "rm -rf runs; imported=$(dhenara runs import",
            ),
            (
                "tests/poet.tar\ndhenara run poet --replay run_20261201_044542_756caa",
                "tests/poet.tar)\ndhenara run poet --replay \"$imported\"",
            ),
        ],
        codes: &[],
    },
    Page {
        file: "docs/howto/look.md",
        files: &[("flows/poet.yaml", POET)],
        before: "dhenara run poet\n",
        words: &[("STEP", "draft")],
        codes: &[
            // It ends with Ctrl-C; `viewing` starts it.
            ("dhenara view", None),
            // There is no such machine.
            ("ssh ", None),
        ],
    },
    Page {
        file: "docs/howto/traces.md",
        files: &[("flows/poet.yaml", POET)],
        before: "dhenara run poet\n",
        words: &[],
        // Not every machine has it.
        codes: &[("jq ", None)],
    },
    Page {
        file: "docs/people.md",
        files: &[],
        before: "",
        words: &[],
        codes: &[("dhenara run reply", Some(3))],
    },
    Page {
        file: "docs/rerun.md",
        files: &[("flows/poet.yaml", POET)],
        before: "dhenara run poet\n",
        words: &[("STEP", "draft")],
        codes: &[],
    },
];

impl Page<'_> {
    /// A block as a script; `None` if nothing of it is executed.
    fn script(&self, block: &Block<'_>) -> Option<String> {
        let commands = match block.language() {
            "sh" => block.text.to_owned(),
            "console" => prompted(block.text),
            _ => return None,
        };
        let words = self.words.iter();
        let commands = words.fold(commands, |text, (word, other)| text.replace(word, other));
        let lines = commands.lines().filter_map(|line| {
            let code = self.codes.iter().find(|(begin, _)| line.starts_with(begin));
            match code {
                None => Some(format!("{line}\n")),
                Some((_, None)) => None,
                Some((_, Some(code))) => {
                    let (command, _) = line.split_once(" #").unwrap_or((line, ""));
                    Some(format!("{command} || test $? -eq {code}\n"))
                }
            }
        });
        Some(lines.collect::<String>()).filter(|script| !script.is_empty())
    }
}

/// The commands behind the prompts of a console.
fn prompted(console: &str) -> String {
    let typed = console.lines().filter_map(|line| line.strip_prefix("$ "));
    typed.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_a_page_does_what_the_page_says() {
    let scripted = Scripted::new(vec![says("The quiet of spring.")]).await;
    let models = std::fs::read_to_string(scripted.env.project().join(".dhenara/models.yaml")).unwrap();
    for page in PAGES {
        let mut shell = Shell::new();
        let project = shell.env.project();
        for (name, text) in [(".dhenara/models.yaml", &*models)].iter().chain(page.files) {
            write(&project.join(name), text);
        }
        let text = std::fs::read_to_string(workspace().join(page.file)).unwrap();
        let blocks = blocks(&text);
        for block in &blocks {
            if let Some(name) = block.word("file") {
                write(&project.join(name), block.text);
            }
        }
        if page.file.ends_with("people.md") {
            let definition = blocks.iter().find(|block| block.language() == "yaml").unwrap();
            write(&project.join("flows/reply.yaml"), definition.text);
        }
        if let Some(rows) = blocks.iter().find(|block| block.language() == "jsonl") {
            write(&project.join("rows.jsonl"), rows.text);
        }
        if !page.before.is_empty() {
            shell.execute(page.before);
        }
        let scripts: Vec<String> = blocks.iter().filter_map(|block| page.script(block)).collect();
        assert!(!scripts.is_empty(), "{}: nothing is executed", page.file);
        for script in scripts {
            shell.execute(&script);
        }
    }
}

#[test]
fn each_page_with_commands_is_executed() {
    /// Pages whose commands other tests execute.
    const ELSEWHERE: [&str; 5] = [
        "docs/start.md",
        "docs/start-rust.md",
        // Runs of the original system, which a directory of test data has.
        "docs/howto/migrate.md",
        "docs/reference/command-line.md",
        // They need a receiver: those of `exporters` and of `cargo xtask receivers`.
        "docs/observability.md",
    ];
    let executed: HashMap<&str, ()> = PAGES.iter().map(|page| (page.file, ())).collect();
    let missing: Vec<String> = crate::pages::pages()
        .into_iter()
        .filter(|(_, text)| {
            let blocks = blocks(text);
            blocks
                .iter()
                .any(|block| ["sh", "console"].contains(&block.language()))
        })
        .map(|(name, _)| name)
        .filter(|name| !executed.contains_key(name.as_str()) && !ELSEWHERE.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
