//! The reference of the command line, as a page of Markdown.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::cli;

/// Returns the reference of all commands as Markdown: their arguments and options, with values and defaults.
#[must_use]
pub fn reference() -> String {
    let mut root = cli::command();
    root.build();
    let mut page =
        "# Command line\n\n`cargo xtask reference --update` writes this page from the command itself.\n"
            .to_owned();
    section(&mut page, &root, &[]);
    page
}

/// Adds a command and the commands below it.
fn section(page: &mut String, command: &Command, above: &[&str]) {
    let words: Vec<&str> = above.iter().copied().chain([command.get_name()]).collect();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim);
    let usage = usage.collect::<Vec<_>>().join("\n");
    let name = words.join(" ");
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "\n## {name}\n\n{}\n\n```text\n{usage}\n```\n",
        about.trim_end()
    );
    rows(page, command, above.is_empty());
    let below = command.get_subcommands();
    for command in below.filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        section(page, command, &words);
    }
}

/// Adds the table of the arguments of a command. Global options stand at the root alone.
fn rows(page: &mut String, command: &Command, is_root: bool) {
    let is_shown = |arg: &&Arg| {
        let is_automatic = arg.get_id() == "help" || arg.get_id() == "version";
        !is_automatic && !arg.is_hide_set() && (is_root || !arg.is_global_set())
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(is_shown).collect();
    if arguments.is_empty() {
        return;
    }
    page.push_str("\n| argument | meaning |\n|---|---|\n");
    for arg in arguments {
        let _ = writeln!(page, "| `{}` | {} |", cell(&written(arg)), cell(&meaning(arg)));
    }
}

/// The forms of an argument on the command line: `-n, --limit <N>`.
fn written(arg: &Arg) -> String {
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(_)) => format!("-{short}, {arg}"),
        _ => arg.to_string(),
    }
}

/// The help of an argument, with the values that it takes and its default.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    // Clap leaves out the last full stop.
    let mut text = format!("{}.", help.trim_end().trim_end_matches('.'));
    if !arg.get_action().takes_values() {
        return text;
    }
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    let named: Vec<String> = shown.map(|value| format!("`{}`", value.get_name())).collect();
    if !named.is_empty() {
        let _ = write!(text, " Values: {}.", named.join(", "));
    }
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<String> = defaults
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() {
        let _ = write!(text, " Default: {}.", defaults.join(", "));
    }
    text
}

/// A text on one line of a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
