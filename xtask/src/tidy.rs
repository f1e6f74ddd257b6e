//! The house rules that no other tool knows.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;
use std::{fs, io};

use crate::process::{TaskError, output};
use crate::workspace_root;
use crate::{book, errors, outcomes};

/// The most lines of a source file before its tests.
///
/// Nine in ten files of the workspaces we learn from stay below it; one that grows past it has found its second
/// concern, which deserves a file.
pub const MAX_LINES: usize = 900;

/// Text that may not stand in a source file. In pieces, as this is a source file.
const FORBIDDEN_IN_SOURCE: &[(&str, &str)] = &[
    (concat!("dbg", "!("), "left over from debugging"),
    (concat!("todo", "!("), "finish it or leave it out"),
    (concat!("#[ig", "nore"), "assert what holds today instead"),
    (
        concat!("#[al", "low("),
        "use `#[expect(…, reason = \"…\")]`, which ends with its cause",
    ),
    (
        concat!("#![al", "low("),
        "use `#![expect(…, reason = \"…\")]`, which ends with its cause",
    ),
];

/// Words for people and acts that do not say who acts, or which act it is. In pieces, as this is a source file.
const VAGUE: &[(&str, &str)] = &[
    (concat!("some", "body"), NAME_THE_ACTOR),
    (concat!("some", "one"), NAME_THE_ACTOR),
    (concat!("no", "body"), NAME_THE_ACTOR),
    (concat!("any", "body"), NAME_THE_ACTOR),
    (concat!("who", "ever"), NAME_THE_ACTOR),
    (concat!("is", " told"), NAME_THE_ACT),
    (concat!("are", " told"), NAME_THE_ACT),
    (concat!("goes", " on with"), NAME_THE_ACT),
    (concat!("go", " on with"), NAME_THE_ACT),
    (concat!("going", " on with"), NAME_THE_ACT),
    (concat!("left", " alone"), NAME_THE_ACT),
];
const NAME_THE_ACTOR: &str = "name the one who acts: user, driver, caller, provider, reader, program";
const NAME_THE_ACT: &str = "name the act: resume, report, rate limited, unchanged";

/// Words that begin a clause where a doc comment has a noun.
const CLAUSES: &[&str] = &["What", "Who", "Whom", "How", "Where"];

/// Beginnings of paths that exist only on one machine.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

/// The source files that read the environment of the process: of its user one, of what describes the terminal, the editor and the
/// log events to show three, and those that pass it on to children, or find what git, as their child, would find by it.
pub const READS_ENVIRONMENT: &[&str] = &[
    "crates/dad-project/src/user.rs",
    "crates/dad-project/src/observability/variables.rs",
    "crates/dad-cli/src/logging.rs",
    "crates/dad-terminal/src/screen.rs",
    "crates/dad-terminal/src/prompt/editor.rs",
    "crates/dad-nodes/src/folder_analyzer/repository.rs",
    "crates/dad-nodes/src/git_call.rs",
    "crates/dad-nodes/src/environment.rs",
    "crates/dad-nodes/src/shell/arrival.rs",
];

const README: &str = "README.md";
const HELLO: &str = "examples/hello/hello.yaml";

/// A file of the repository.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path from the root, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
}

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, from 1, where the rule is about one.
    pub line: Option<usize>,
    /// The problem, and the remedy.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Checks this repository, and the [links of its pages](book).
///
/// # Errors
/// If its files cannot be read or break a rule.
pub fn run() -> Result<(), TaskError> {
    let files = files()?;
    let mut findings = check(&files);
    findings.extend(book::check(&files));
    findings.extend(errors::check(&files));
    findings.extend(outcomes::check(&files));
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(TaskError(format!("{count} findings"))),
    }
}

/// Reads the files that git tracks in this repository; those that are no text count as empty.
///
/// # Errors
/// If git cannot list them, or one cannot be read.
pub fn files() -> Result<Vec<SourceFile>, TaskError> {
    let listed = output(Command::new("git").args(["ls-files", "-z"]))?;
    let mut files = Vec::new();
    for path in listed.split_terminator('\0') {
        let bytes = match fs::read(workspace_root().join(path)) {
            Ok(bytes) => bytes,
            // Removed, and still tracked until the next commit.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(TaskError(format!("cannot read `{path}`: {error}"))),
        };
        files.push(SourceFile {
            path: path.to_owned(),
            // A file that is no text, such as a picture, is there for links and has no lines to check.
            text: String::from_utf8(bytes).unwrap_or_default(),
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Returns every place in a repository where a rule is broken.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        check_text(file, &mut findings);
        if file.path.ends_with(".rs") {
            check_source(file, &mut findings);
        }
    }
    check_crate_list(files, &mut findings);
    check_changelog(files, &mut findings);
    check_readme(files, &mut findings);
    check_named_files(files, &mut findings);
    findings
}

/// Source files that a page names exist.
fn check_named_files(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let pages = files
        .iter()
        .filter(|file| file.path.ends_with(".md") && file.path != "CHANGELOG.md");
    for page in pages {
        for (number, line) in (1..).zip(page.text.lines()) {
            let quoted = line.split('`').skip(1).step_by(2);
            let is_file = |name: &&str| name.ends_with(".rs") && !name.contains([' ', '*', '{', '<']);
            for name in quoted.filter(is_file) {
                let is_there = files
                    .iter()
                    .any(|file| file.path == name || file.path.ends_with(&format!("/{name}")));
                if !is_there {
                    findings.push(Finding {
                        path: page.path.clone(),
                        line: Some(number),
                        message: format!("names `{name}`, which does not exist"),
                    });
                }
            }
        }
    }
}

fn check_text(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let mut report = |message: String| {
            findings.push(Finding {
                path: file.path.clone(),
                line: Some(number),
                message,
            });
        };
        // What tools record is kept as they wrote it; what rustfmt leaves in a source file stands in a string.
        let is_exempt = [".snap", ".rs"].iter().any(|end| file.path.ends_with(end));
        if !is_exempt && !file.path.contains("/data/") && line.ends_with([' ', '\t']) {
            report("white space at the end of the line".to_owned());
        }
        for path in MACHINE_PATHS {
            if starts_a_path(line, path) {
                report(format!("`{path}` exists on one machine only"));
            }
        }
        for (word, instead) in VAGUE {
            if !is_data(&file.path) && has_word(line, word) {
                report(format!("`{word}`: {instead}"));
            }
        }
    }
}

/// Whether a file is data of tests or examples, whose text is what it is.
fn is_data(path: &str) -> bool {
    // The last one quotes the application of the tutorial.
    [
        "/data/",
        "/cassettes/",
        "examples/tutorial/app/",
        "tests/it/tutorial.rs",
    ]
    .iter()
    .any(|part| path.contains(part))
}

/// Whether words stand in a line, in a sentence or in a name.
fn has_word(line: &str, word: &str) -> bool {
    let line = line.to_lowercase().replace('_', " ");
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(char::is_alphanumeric)
            && !line[at + word.len()..].starts_with(char::is_alphanumeric)
    })
}

/// Whether a path begins so somewhere in the line; in the middle of one the same text is an ordinary folder.
fn starts_a_path(line: &str, beginning: &str) -> bool {
    line.match_indices(beginning).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-.*}>)]/\\".contains(before))
    })
}

fn check_source(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        for (text, instead) in FORBIDDEN_IN_SOURCE {
            if line.contains(text) {
                let message = format!("`{text}`: {instead}");
                findings.push(Finding {
                    path: file.path.clone(),
                    line: Some(number),
                    message,
                });
            }
        }
    }
    if !is_data(&file.path) {
        check_doc_comments(file, findings);
    }
    let whole = |message: String| Finding {
        path: file.path.clone(),
        line: None,
        message,
    };
    let is_library = file.path.starts_with("crates/") && file.path.contains("/src/");
    let reads = file.text.contains(concat!("std::env", "::var"));
    if is_library && reads && !READS_ENVIRONMENT.contains(&file.path.as_str()) {
        findings.push(whole(
            "reads the environment, which `dad_project::User` does once for all".to_owned(),
        ));
    }
    if is_library && file.text.contains("dad_tests") {
        findings.push(whole(
            "uses `dad_tests`, which no package has: move the test to `tests/`, or the help into the crate"
                .to_owned(),
        ));
    }
    let is_module = file.path.contains("/src/") && !file.path.ends_with("/tests.rs");
    if is_module && !file.text.starts_with("//!") {
        findings.push(whole("begins without module documentation".to_owned()));
    }
    let before_tests = file
        .text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count();
    let is_test = file.path.contains("/tests/") || file.path.starts_with("tests/");
    if !is_test && before_tests > MAX_LINES {
        findings.push(whole(format!(
            "{before_tests} lines without its tests, more than {MAX_LINES}: split it"
        )));
    }
}

/// A doc comment begins with a noun or a verb, not with a clause.
fn check_doc_comments(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut is_inside = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        let line = line.trim_start();
        let text = line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! "));
        let first = text.and_then(|text| text.split(' ').next()).unwrap_or_default();
        if !is_inside && CLAUSES.contains(&first) {
            findings.push(Finding {
                path: file.path.clone(),
                line: Some(number),
                message: format!("a doc comment begins with a noun, not with `{first}`"),
            });
        }
        is_inside = line.starts_with("///") || line.starts_with("//!");
    }
}

/// The headings of ARCHITECTURE.md that name a crate are the crates that exist.
fn check_crate_list(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let existing: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .filter(|name| !name.contains('/'))
        .collect();
    let path = "ARCHITECTURE.md";
    let text = files
        .iter()
        .find(|file| file.path == path)
        .map_or("", |file| file.text.as_str());
    let named: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    let finding = |message: String| Finding {
        path: path.to_owned(),
        line: None,
        message,
    };
    let missing = existing
        .difference(&named)
        .map(|name| format!("no heading names the crate `{name}`"));
    let stale = named
        .difference(&existing)
        .map(|name| format!("the crate `{name}` does not exist"));
    findings.extend(missing.chain(stale).map(finding));
}

fn check_changelog(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let path = "CHANGELOG.md";
    let has_section = |file: &SourceFile| file.text.lines().any(|line| line == "## [Unreleased]");
    if !files.iter().any(|file| file.path == path && has_section(file)) {
        let message = "has no section `## [Unreleased]`".to_owned();
        findings.push(Finding {
            path: path.to_owned(),
            line: None,
            message,
        });
    }
}

/// The definition in the README is the one that the tests run.
fn check_readme(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    };
    let shown = text(README).is_some_and(|readme| {
        let blocks = readme
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        blocks.into_iter().any(|block| Some(block) == text(HELLO))
    });
    if !shown {
        let message = format!("does not show {HELLO} as it is");
        findings.push(Finding {
            path: README.to_owned(),
            line: None,
            message,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository without findings, with a file added or replaced.
    #[track_caller]
    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let clean = [
            ("ARCHITECTURE.md", "### `dad-one`\n"),
            ("CHANGELOG.md", "## [Unreleased]\n"),
            ("README.md", "```yaml\nkind: flow\n```\n"),
            ("crates/dad-one/Cargo.toml", ""),
            ("crates/dad-one/src/lib.rs", "//! One.\n"),
            ("examples/hello/hello.yaml", "kind: flow\n"),
        ];
        let others = clean.iter().filter(|(name, _)| *name != path);
        let files: Vec<SourceFile> = others
            .chain([&(path, text)])
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let found: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_file_says_what_it_holds() {
        let finding = "crates/dad-one/src/lib.rs: begins without module documentation";
        check_file("crates/dad-one/src/lib.rs", "mod one;\n", &[finding]);
        let finding = "crates/dad-one/src/a.rs: begins without module documentation";
        check_file("crates/dad-one/src/a.rs", "mod one;\n", &[finding]);
    }

    #[test]
    fn leftovers_are_found_with_their_line() {
        for (text, instead) in FORBIDDEN_IN_SOURCE {
            let finding = format!("crates/dad-one/src/a.rs:2: `{text}`: {instead}");
            check_file(
                "crates/dad-one/src/a.rs",
                &format!("//! A.\n    {text}x)]\n"),
                &[&finding],
            );
        }
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let lines = |count: usize| format!("//! A.\n{}", "x();\n".repeat(count - 1));
        check_file(
            "crates/dad-one/src/a.rs",
            &lines(MAX_LINES + 1),
            &["crates/dad-one/src/a.rs: 901 lines without its tests, more than 900: split it"],
        );
        let tested = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            lines(MAX_LINES),
            lines(MAX_LINES)
        );
        check_file("crates/dad-one/src/a.rs", &tested, &[]);
        check_file("crates/dad-one/tests/it/a.rs", &lines(MAX_LINES + 1), &[]);
    }

    #[test]
    fn white_space_at_the_end_is_found_but_not_in_recorded_files() {
        check_file(
            "docs/a.md",
            "one\ntwo \n",
            &["docs/a.md:2: white space at the end of the line"],
        );
        check_file("crates/dad-one/src/snapshots/a.snap", "two \n", &[]);
    }

    #[test]
    fn machine_paths_are_found_and_folders_of_that_name_are_not() {
        let [place, ..] = MACHINE_PATHS else {
            unreachable!()
        };
        let finding = format!("docs/a.md:1: `{place}` exists on one machine only");
        check_file("docs/a.md", &format!("see {place}tree\n"), &[&finding]);
        check_file("docs/a.md", &format!("see runs{place}tree\n"), &[]);
    }

    #[test]
    fn one_crate_reads_the_environment_of_the_user() {
        let text = concat!("//! A.\nlet home = std::env", "::var_os(\"HOME\");\n");
        let path = "crates/dad-run/src/secrets.rs";
        let finding = format!("{path}: reads the environment, which `dad_project::User` does once for all");
        check_file(path, text, &[&finding]);
        check_file("crates/dad-project/src/user.rs", text, &[]);
        check_file("crates/dad-run/tests/it/main.rs", text, &[]);
    }

    #[test]
    fn the_sources_of_a_package_do_without_the_harness() {
        let text = "//! A.\n//! # let dir = dad_tests::TestProject::new();\n";
        let path = "crates/dad-run/src/lib.rs";
        let finding = format!(
            "{path}: uses `dad_tests`, which no package has: move the test to `tests/`, or the help into the crate"
        );
        check_file(path, text, &[&finding]);
        check_file("crates/dad-run/tests/it/main.rs", text, &[]);
    }

    #[test]
    fn words_that_name_no_actor_and_no_act_are_found() {
        for (word, instead) in VAGUE {
            let finding = format!("docs/a.md:1: `{word}`: {instead}");
            check_file("docs/a.md", &format!("Then {word} it.\n"), &[&finding]);
            check_file("docs/a.md", &format!("Then x{word}x it.\n"), &[]);
            check_file("crates/dad-one/tests/data/a.yaml", &format!("{word}\n"), &[]);
        }
    }

    #[test]
    fn doc_comments_begin_with_a_noun() {
        let path = "crates/dad-one/src/a.rs";
        for clause in CLAUSES {
            let finding = format!("{path}:3: a doc comment begins with a noun, not with `{clause}`");
            check_file(
                path,
                &format!("//! A.\nfn a() {{}}\n/// {clause} it is.\n"),
                &[&finding],
            );
            check_file(
                path,
                &format!("//! A.\nfn a() {{}}\n/// The thing.\n/// {clause} it is.\n"),
                &[],
            );
        }
    }

    #[test]
    fn the_list_of_crates_is_the_existing_ones() {
        check_file(
            "ARCHITECTURE.md",
            "### `dad-two`\n",
            &[
                "ARCHITECTURE.md: no heading names the crate `dad-one`",
                "ARCHITECTURE.md: the crate `dad-two` does not exist",
            ],
        );
    }

    #[test]
    fn pages_name_source_files_that_exist() {
        check_file(
            "docs/a.md",
            "See `dad-one/src/lib.rs`, `lib.rs` and `a/*.rs`.\n",
            &[],
        );
        check_file(
            "docs/a.md",
            "\nSee `two.rs`.\n",
            &["docs/a.md:2: names `two.rs`, which does not exist"],
        );
    }

    #[test]
    fn the_changelog_has_room_for_the_next_change() {
        check_file(
            "CHANGELOG.md",
            "## [0.1.0]\n",
            &["CHANGELOG.md: has no section `## [Unreleased]`"],
        );
    }

    #[test]
    fn the_readme_shows_the_example_that_is_run() {
        check_file(
            "README.md",
            "```yaml\nkind: agent\n```\n",
            &["README.md: does not show examples/hello/hello.yaml as it is"],
        );
    }

    #[test]
    fn this_repository_passes() {
        assert_eq!(check(&files().unwrap()), []);
    }
}
