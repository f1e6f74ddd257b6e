//! The public interface of the published crates, as rustdoc knows it, compared with `xtask/api/CRATE.txt`.
//!
//! A listing has one line for each item. It leaves out what follows from the rest: automatic and blanket implementations, and
//! the functions of implemented traits. Every library of others whose types stand in a listing needs a row in the table of
//! `ARCHITECTURE.md`.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use public_api::{Builder, PublicApi};
use serde::Deserialize;

use crate::layers::LAYERS;
use crate::process::{TaskError, cargo, run as run_command};
use crate::workspace_root;

/// The directory of the listings, below the root of the workspace.
const LISTINGS: &str = "xtask/api";

/// The page with the table of the libraries in public signatures, and the heading above the table.
const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Libraries in public signatures";

/// The version of rustdoc's JSON that `public-api` reads.
const JSON_FORMAT: u32 = 57;

/// Set for cargo, which starts this program in the place of rustdoc.
const AS_RUSTDOC: &str = "DHENARA_XTASK_AS_RUSTDOC";

/// The crates of the language, whose types may stand in every signature.
const LANGUAGE: &[&str] = &["alloc", "core", "std"];

/// Libraries of others, each with the crates in whose public signatures its types stand.
pub type Libraries = BTreeMap<String, BTreeSet<String>>;

/// Compares the listings of all published crates, or writes them with `--update`.
///
/// # Errors
/// If a listing differs, the table of libraries is wrong, or rustdoc fails. If the toolchain's rustdoc writes JSON that this
/// program cannot read, nothing is checked, and the log says so.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let update = match options {
        [] => false,
        ["--update"] => true,
        _ => {
            return Err(TaskError(
                "`cargo xtask api` knows the option `--update` only".to_owned(),
            ));
        }
    };
    document()?;
    let mut changed = Vec::new();
    let mut found = Libraries::new();
    for (krate, _) in LAYERS {
        let json = json_of(krate);
        let format = format_of(&json)?;
        if format != JSON_FORMAT {
            eprintln!(
                "not checked: this rustdoc writes JSON of format {format}; `public-api` reads {JSON_FORMAT}"
            );
            return Ok(());
        }
        let lines = listing(&json)?;
        for library in libraries(&lines) {
            found.entry(library).or_default().insert((*krate).to_owned());
        }
        if !is_recorded(krate, &lines, update)? {
            changed.push(*krate);
        }
    }
    let wrong_rows = table_problems(&found, &table(&read(&workspace_root().join(PAGE))?)?);
    for row in &wrong_rows {
        eprintln!("{row}");
    }
    if !changed.is_empty() {
        return Err(TaskError(format!(
            "the public interface of {} is another one than xtask/api says; if the change is meant, `cargo xtask api --update` \
             writes it down",
            changed.join(", ")
        )));
    }
    if !wrong_rows.is_empty() {
        return Err(TaskError(format!(
            "the table below \"{HEADING}\" in {PAGE} needs {} changes",
            wrong_rows.len()
        )));
    }
    Ok(())
}

/// Executes rustdoc if cargo started this program in its place. Only rustdoc gets the switch that makes it write JSON: with it,
/// build scripts would choose other features of the compiler, and every library would be compiled again.
#[must_use]
pub fn as_rustdoc() -> Option<ExitCode> {
    env::var_os(AS_RUSTDOC)?;
    let status = Command::new("rustdoc")
        .args(env::args_os().skip(1))
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    let is_success = status.is_ok_and(|status| status.success());
    Some(if is_success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes the JSON of all crates. The selection is that of the step that checks the documentation, so that both share what is
/// compiled.
fn document() -> Result<(), TaskError> {
    let this = env::current_exe().map_err(|error| TaskError(format!("cannot find this program: {error}")))?;
    let mut command = Command::new(cargo());
    command
        .args(["doc", "--workspace", "--no-deps", "--lib", "--locked"])
        .env("RUSTDOC", this)
        .env(AS_RUSTDOC, "1")
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    run_command(&mut command)
}

fn json_of(krate: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let name = format!("doc/{}.json", krate.replace('-', "_"));
    workspace_root().join(target).join(name)
}

fn format_of(json: &Path) -> Result<u32, TaskError> {
    #[derive(Deserialize)]
    struct Head {
        format_version: u32,
    }
    let head: Result<Head, _> = serde_json::from_str(&read(json)?);
    head.map(|head| head.format_version)
        .map_err(|error| TaskError(format!("`{}`: {error}", json.display())))
}

/// The public items of a crate, from its JSON.
fn listing(json: &Path) -> Result<Vec<String>, TaskError> {
    let items = |derived: bool| {
        let api: Result<PublicApi, _> = Builder::from_rustdoc_json(json)
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .omit_auto_derived_impls(!derived)
            .include_function_parameter_names(true)
            .build();
        let api = api.map_err(|error| TaskError(format!("`{}`: {error}", json.display())))?;
        Ok(api.items().map(ToString::to_string).collect::<Vec<String>>())
    };
    let written: HashSet<String> = items(false)?.into_iter().collect();
    Ok(essential(&items(true)?, &written))
}

/// The lines that do not follow from others: of an implemented trait its types and no functions, of one that is derived only
/// that it is implemented. Each line once.
fn essential(items: &[String], written: &HashSet<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut in_trait_of = None;
    let mut kept = Vec::new();
    for line in items {
        let is_impl = line.starts_with("impl");
        if is_impl {
            in_trait_of = implementing(line);
        } else if !["pub fn", "pub const", "pub async", "pub unsafe", "pub type"]
            .iter()
            .any(|start| line.starts_with(start))
        {
            in_trait_of = None;
        }
        // A function of no type may stand right behind an implementation.
        let name = line.split('(').next().unwrap_or_default();
        let in_trait = in_trait_of.is_some_and(|implementing| name.contains(implementing));
        let follows = match is_impl {
            true => line.contains("StructuralPartialEq"),
            false => !written.contains(line) || (in_trait && !line.starts_with("pub type")),
        };
        if !follows && seen.insert(line) {
            kept.push(line.clone());
        }
    }
    kept
}

/// The type that a line says to implement a trait, without its parameters.
fn implementing(line: &str) -> Option<&str> {
    let (_, behind) = line.split_once(" for ")?;
    let whole = behind.split(" where ").next().unwrap_or(behind);
    let name = whole.split('<').next().unwrap_or(whole);
    name.split(' ').next_back()
}

/// The libraries of others whose types stand in a listing.
fn libraries(lines: &[String]) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for line in lines {
        for (at, _) in line.match_indices("::") {
            let word = line[..at]
                .rsplit(|c: char| !is_word(c))
                .next()
                .unwrap_or_default();
            let before = line[..at - word.len()].chars().next_back();
            let is_first = before != Some(':') && word.starts_with(|c: char| c.is_ascii_lowercase());
            let is_ours = word == "dhenara" || word.starts_with("dad_");
            if is_first && !is_ours && !LANGUAGE.contains(&word) {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "a file of the repository")]
fn write(file: &Path, text: &str) -> Result<(), TaskError> {
    fs::write(file, text).map_err(|error| TaskError(format!("cannot write `{}`: {error}", file.display())))
}

/// Whether the recorded listing is this one; with `update` it is from then on. A difference is printed.
fn is_recorded(krate: &str, lines: &[String], update: bool) -> Result<bool, TaskError> {
    let file = workspace_root().join(LISTINGS).join(format!("{krate}.txt"));
    if update {
        write(&file, &(lines.join("\n") + "\n"))?;
        return Ok(true);
    }
    let recorded = if file.exists() {
        read(&file)?
    } else {
        String::new()
    };
    let recorded: Vec<String> = recorded.lines().map(str::to_owned).collect();
    let changes = difference(&recorded, lines);
    if !changes.is_empty() {
        eprintln!("{krate}:");
    }
    for change in &changes {
        eprintln!("  {change}");
    }
    Ok(changes.is_empty())
}

/// The lines that are gone, with `-`, and those that are new, with `+`.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let (old, new): (HashSet<_>, HashSet<_>) = (before.iter().collect(), after.iter().collect());
    let gone = before.iter().filter(|line| !new.contains(line));
    let added = after.iter().filter(|line| !old.contains(line));
    let gone = gone.map(|line| format!("- {line}"));
    gone.chain(added.map(|line| format!("+ {line}"))).collect()
}

/// The table of the page: the library in the first column, the crates in the second.
fn table(page: &str) -> Result<Libraries, TaskError> {
    let (_, section) = page
        .split_once(HEADING)
        .ok_or_else(|| TaskError(format!("{PAGE} has no section \"{HEADING}\"")))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names = |cell: &str| {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let mut table = Libraries::new();
    for row in rows {
        let mut cells = row.split('|').skip(1);
        let (library, crates) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        for library in names(library) {
            table.entry(library).or_default().extend(names(crates));
        }
    }
    Ok(table)
}

/// The differences between the libraries in the listings and in the table, in words.
fn table_problems(found: &Libraries, table: &Libraries) -> Vec<String> {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = found.keys().chain(table.keys()).collect();
    let mut problems = Vec::new();
    for name in names {
        let (found, listed) = (found.get(name).unwrap_or(&none), table.get(name).unwrap_or(&none));
        for krate in found.difference(listed) {
            problems.push(format!(
                "`{name}` stands in a public signature of {krate}, and {PAGE} does not say why"
            ));
        }
        for krate in listed.difference(found) {
            problems.push(format!(
                "{PAGE} says that `{name}` stands in a public signature of {krate}, and it does not"
            ));
        }
    }
    problems
}

fn read(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|error| TaskError(format!("cannot read `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_listing_leaves_out_what_follows_from_the_rest() {
        let items = lines(
            "pub struct a::One
             impl a::One
             pub fn a::One::new() -> Self
             impl core::clone::Clone for a::One
             pub fn a::One::clone(&self) -> a::One
             impl core::marker::StructuralPartialEq for a::One
             impl core::ops::deref::Deref for a::One
             pub type a::One::Target = str
             pub fn a::One::deref(&self) -> &str
             pub trait a::Two
             pub fn a::Two::name(&self) -> &str
             impl core::clone::Clone for a::One
             pub fn a::free()",
        );
        let derived = [
            "impl core::clone::Clone for a::One",
            "pub fn a::One::clone(&self) -> a::One",
        ];
        let written = items.iter().filter(|item| !derived.contains(&item.as_str()));
        let kept = essential(&items, &written.cloned().collect());
        let expected = "pub struct a::One
             impl a::One
             pub fn a::One::new() -> Self
             impl core::clone::Clone for a::One
             impl core::ops::deref::Deref for a::One
             pub type a::One::Target = str
             pub trait a::Two
             pub fn a::Two::name(&self) -> &str
             pub fn a::free()";
        assert_eq!(kept, lines(expected));
    }

    #[test]
    fn libraries_of_others_are_found() {
        let items = lines(
            "pub fn dad_run::one(at: jiff::timestamp::Timestamp) -> core::option::Option<Self::Error>
             pub fn dad_run::two(map: &indexmap::map::IndexMap<alloc::string::String, dad_core::jiff::X>)",
        );
        let found: Vec<String> = libraries(&items).into_iter().collect();
        assert_eq!(found, ["indexmap", "jiff"]);
    }

    #[test]
    fn a_table_that_says_too_little_or_too_much_is_wrong() {
        let page = "# Page\n\n## Libraries in public signatures\n\n| library | crates | for |\n|---|---|---|\n\
                    | `jiff` | `dad-core`, `dad-run` | times |\n\n## Next\n\n| `other` | `dad-run` | |\n";
        let found = Libraries::from([
            ("jiff".to_owned(), BTreeSet::from(["dad-core".to_owned()])),
            ("serde_json".to_owned(), BTreeSet::from(["dad-core".to_owned()])),
        ]);
        let problems = table_problems(&found, &table(page).unwrap());
        assert_eq!(
            problems,
            [
                "ARCHITECTURE.md says that `jiff` stands in a public signature of dad-run, and it does not",
                "`serde_json` stands in a public signature of dad-core, and ARCHITECTURE.md does not say why",
            ]
        );
        assert!(table("# Page\n").is_err());
    }

    #[test]
    fn a_difference_names_what_is_gone_and_what_is_new() {
        let changes = difference(&lines("same\ngone"), &lines("new\nsame"));
        assert_eq!(changes, ["- gone", "+ new"]);
    }
}
