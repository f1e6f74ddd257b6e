//! `docs/start-rust.md`: its files become a program beside the packages, and each of its commands prints what the page shows.
//!
//! `UPDATE_START_PAGE=1` writes into the page what the commands print.
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::process::TaskError;
use crate::workspace_root;

/// The name of the program.
pub const PROGRAM: &str = "notes";

/// The page.
const PAGE: &str = "docs/start-rust.md";

/// The length of the id of a run behind its prefix.
const ID: usize = "20261201_093000_4f2a91".len();

/// A fenced block of the page.
struct Block {
    /// The words behind the fence.
    info: String,
    text: String,
}

/// A command of the page that prints something.
struct Shown {
    command: String,
    output: String,
}

/// Writes the files of the page.
///
/// # Errors
/// If the page cannot be read or a file cannot be written.
pub fn write(place: &Path) -> io::Result<()> {
    let page = fs::read_to_string(workspace_root().join(PAGE))?;
    for block in &blocks(&page) {
        if let Some((_, name)) = block.info.split_once(" file=") {
            let file = place.join(PROGRAM).join(name);
            fs::create_dir_all(file.parent().unwrap_or(place))?;
            fs::write(file, &block.text)?;
        }
    }
    Ok(())
}

/// Executes the commands of the page by the programs that `cargo test` has built, each as `cargo run` does.
///
/// # Errors
/// If a command fails, prints something else than the page shows, or is none that this knows.
pub fn check(place: &Path) -> Result<(), TaskError> {
    let file = workspace_root().join(PAGE);
    let page =
        fs::read_to_string(&file).map_err(|error| TaskError(format!("cannot read `{PAGE}`: {error}")))?;
    let home = place.join("home");
    let _ = fs::remove_dir_all(&home);
    let _ = fs::remove_dir_all(place.join(PROGRAM).join("runs"));
    let mut updated = page.clone();
    for shown in commands(&page)? {
        let printed = execute(&shown, place, &home)?;
        let pair = |output: &str| format!("```sh\n{}\n```\n\n```text\n{output}```\n", shown.command);
        updated = updated.replacen(&pair(&shown.output), &pair(&printed), 1);
    }
    if std::env::var_os("UPDATE_START_PAGE").is_some() {
        fs::write(&file, &updated).map_err(|error| TaskError(format!("cannot write `{PAGE}`: {error}")))?;
    }
    let mut lines = without_ids(&page).zip(without_ids(&updated));
    match lines.find(|(shown, printed)| shown != printed) {
        None => Ok(()),
        Some((shown, printed)) => Err(TaskError(format!(
            "{PAGE} shows `{shown}`, and its program prints `{printed}`; `UPDATE_START_PAGE=1` writes it"
        ))),
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                is_inside = true;
                found.push(Block {
                    info: info.into_string(),
                    text: String::new(),
                });
            }
            Event::Text(text) if is_inside => {
                if let Some(block) = found.last_mut() {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => is_inside = false,
            _ => {}
        }
    }
    found
}

/// The commands of the page with their outputs. Those that make the program and test it print nothing here.
fn commands(page: &str) -> Result<Vec<Shown>, TaskError> {
    let blocks = blocks(page);
    let mut found = Vec::new();
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.info == "sh") {
        let next = blocks.get(index + 1).filter(|next| next.info == "text");
        match (block.text.trim_end(), next) {
            ("cargo new notes\ncd notes" | "cargo test", None) => {}
            (command, Some(next)) => found.push(Shown {
                command: command.to_owned(),
                output: next.text.clone(),
            }),
            (command, None) => return Err(TaskError(format!("{PAGE}: no output is shown of `{command}`"))),
        }
    }
    Ok(found)
}

fn execute(shown: &Shown, place: &Path, home: &Path) -> Result<String, TaskError> {
    let built = workspace_root().join("target/debug");
    let words: Vec<&str> = shown.command.split(' ').collect();
    let (program, arguments) = match words.as_slice() {
        ["cargo", "run", "--quiet", "--example", name] => (built.join("examples").join(name), &[][..]),
        ["cargo", "run", "--quiet", "--", arguments @ ..] => (built.join(PROGRAM), arguments),
        _ => {
            return Err(TaskError(format!(
                "{PAGE}: `{}` is no command that this knows",
                shown.command
            )));
        }
    };
    let dir = place.join(PROGRAM);
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(&dir)
        .env("HOME", home)
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .map_err(|error| TaskError(format!("cannot start `{}`: {error}", program.display())))?;
    let printed = [output.stderr, output.stdout].concat();
    let printed = String::from_utf8_lossy(&printed).replace(&format!("{}/", dir.display()), "");
    if output.status.success() {
        return Ok(printed
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect());
    }
    Err(TaskError(format!(
        "{PAGE}: `{}` failed:\n{printed}",
        shown.command
    )))
}

/// The lines of a text without what differs from run to run: ids and durations.
fn without_ids(text: &str) -> impl Iterator<Item = String> {
    let is_unit = |word: &&str| ["ms", "s"].contains(word);
    text.lines().map(move |line| {
        let mut parts = line.split("run_");
        let mut line = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_id = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit() || c == '_');
            match part.split_at_checked(ID) {
                Some((id, rest)) if is_id(id) => line += &format!("run_ID{rest}"),
                _ => line += &format!("run_{part}"),
            }
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_time = |index: usize| is_unit(&words[index]) || words.get(index + 1).is_some_and(is_unit);
        let kept = (0..words.len()).filter(|index| !is_time(*index));
        kept.map(|index| words[index]).collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_files_and_commands() {
        let page = "# A\n\n```toml file=Cargo.toml\n[package]\n```\n\n```sh\ncargo new notes\ncd notes\n```\n\n\
                    ```sh\ncargo run --quiet -- agents\n```\n\n```text\nnone\n```\n";
        let found = commands(page).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|shown| (shown.command.as_str(), shown.output.as_str()))
            .collect();
        assert_eq!(found, [("cargo run --quiet -- agents", "none\n")]);
        let error = commands("\n```sh\ncargo run\n```\n").err().unwrap().to_string();
        assert_eq!(error, "docs/start-rust.md: no output is shown of `cargo run`");
    }

    #[test]
    fn ids_and_durations_do_not_count() {
        let lines = |text: &str| without_ids(text).collect::<Vec<_>>();
        assert_eq!(
            lines("runs/run_20261201_093000_4f2a91/a in 12 ms\n"),
            lines("runs/run_20261201_093001_000000/a in 3.2 s\n")
        );
        assert_ne!(lines("5 words"), lines("6 words"));
    }
}
