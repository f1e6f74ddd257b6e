//! The floors within a crate, as a table, and the circles among its files.
//!
//! The modules of a crate stand on floors, and a file imports only from its own floor or from a lower one. Within a floor,
//! files may import each other, but at most [`MAX_CIRCLE`] of them in a circle: more can only be understood all at once. An
//! import through a re-export counts for the file that defines the item. Re-exports themselves and tests do not count.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::imports::{Import, imports};
use crate::process::TaskError;
use crate::tidy::{SourceFile, files};

/// The modules on each floor of a crate, lowest floor first. The files beside `lib.rs` that no floor names stand on the ground
/// floor, below all of them.
pub const FLOORS: &[(&str, &[&[&str]])] = &[
    (
        "dad-run",
        &[&["journal"], &["rerun"], &["store"], &["live"], &["setup"]],
    ),
    (
        "dad-runner",
        &[
            &["render"],
            &["concurrency"],
            &["session"],
            &["ask"],
            &["node"],
            &["step"],
            &["flow"],
            &["forecast"],
            &["report"],
            &["error"],
            &["set_up"],
            &["runner", "complete"],
        ],
    ),
    (
        "dad-cli",
        &[
            &["error", "output"],
            &["app"],
            &["session"],
            &["commands"],
            &["cli", "words"],
            &["reference"],
        ],
    ),
];

/// The largest number of files that may import each other in a circle.
pub const MAX_CIRCLE: usize = 3;

/// A break of the rules within a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// An import from a higher floor.
    Up {
        /// The import.
        import: Import,
        /// The floor of the importing file.
        from: String,
        /// The floor of the imported item.
        to: String,
    },
    /// A circle of too many files.
    Circle {
        /// The imports among the files of the circle, one for each pair of files.
        imports: Vec<Import>,
        /// The number of files.
        files: usize,
    },
    /// A floor of the table without a module.
    NoModule {
        /// The crate.
        krate: String,
        /// The name in the table.
        module: String,
    },
    /// A source file that cannot be parsed.
    Unparsable {
        /// The file.
        path: String,
        /// The parser's message.
        reason: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { import, from, to } => {
                write!(f, "{import}, from `{from}` up to `{to}`")
            }
            Self::Circle { imports, files } => {
                write!(
                    f,
                    "{files} files import each other in a circle, more than {MAX_CIRCLE}:"
                )?;
                imports.iter().try_for_each(|import| write!(f, "\n    {import}"))
            }
            Self::NoModule { krate, module } => {
                write!(
                    f,
                    "`{krate}` has no module `{module}`, which xtask/src/floors.rs names"
                )
            }
            Self::Unparsable { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

/// Checks all crates of this repository.
///
/// # Errors
/// If the files cannot be read or break a rule.
pub fn run() -> Result<(), TaskError> {
    let violations = check(&files()?, FLOORS);
    for violation in &violations {
        eprintln!("floors: {violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => Err(TaskError(format!("{count} findings"))),
    }
}

/// Returns every break of the rules among the crates' source files, sorted.
#[must_use]
pub fn check(files: &[SourceFile], floors: &[(&str, &[&[&str]])]) -> Vec<Violation> {
    let mut crates: BTreeMap<&str, Vec<&SourceFile>> = BTreeMap::new();
    for file in files {
        if let Some(krate) = crate_of(&file.path) {
            crates.entry(krate).or_default().push(file);
        }
    }
    let mut found = BTreeSet::new();
    for (krate, sources) in crates {
        match imports(&sources) {
            Ok(imports) => {
                if let Some((_, floors)) = floors.iter().find(|(name, _)| *name == krate) {
                    found.extend(upward(&imports, floors));
                    found.extend(missing(krate, &sources, floors));
                }
                found.extend(circles(&imports));
            }
            Err((path, reason)) => {
                found.insert(Violation::Unparsable { path, reason });
            }
        }
    }
    found.into_iter().collect()
}

/// The crate of a source file, except of the root files, which only gather what the others define.
fn crate_of(path: &str) -> Option<&str> {
    let (krate, file) = path.strip_prefix("crates/")?.split_once("/src/")?;
    file.ends_with(".rs").then_some(krate)
}

/// The name of the module beside `lib.rs` that a file belongs to.
fn top_module(path: &str) -> &str {
    let file = path.split_once("/src/").map_or(path, |(_, file)| file);
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn upward(imports: &BTreeSet<Import>, floors: &[&[&str]]) -> Vec<Violation> {
    // The ground floor is 0.
    let floor_of = |path: &str| {
        let module = top_module(path);
        floors
            .iter()
            .position(|floor| floor.contains(&module))
            .map_or(0, |index| index + 1)
    };
    let name = |floor: usize| match floor.checked_sub(1) {
        Some(index) => floors[index].join(", "),
        None => "ground floor".to_owned(),
    };
    let up = imports.iter().filter_map(|import| {
        let (from, to) = (floor_of(&import.from), floor_of(&import.to));
        (from < to).then(|| Violation::Up {
            import: import.clone(),
            from: name(from),
            to: name(to),
        })
    });
    up.collect()
}

fn missing(krate: &str, sources: &[&SourceFile], floors: &[&[&str]]) -> Vec<Violation> {
    let modules: BTreeSet<&str> = sources.iter().map(|file| top_module(&file.path)).collect();
    let named = floors.iter().flat_map(|floor| floor.iter());
    named
        .filter(|module| !modules.contains(*module))
        .map(|module| Violation::NoModule {
            krate: krate.to_owned(),
            module: (*module).to_owned(),
        })
        .collect()
}

/// The groups of files each of which reaches each other one by imports, of more than [`MAX_CIRCLE`] files.
fn circles(imports: &BTreeSet<Import>) -> Vec<Violation> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        edges.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|from| (*from, reach(from, &edges))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for file in reached.keys() {
        let circle: BTreeSet<&str> = reached[file]
            .iter()
            .copied()
            .filter(|other| reaches(other, file))
            .collect();
        if circle.len() > MAX_CIRCLE && done.insert(circle.clone()) {
            let within = |import: &&Import| circle.contains(&*import.from) && circle.contains(&*import.to);
            let mut pairs = BTreeSet::new();
            let imports = imports
                .iter()
                .filter(within)
                .filter(|import| pairs.insert((&import.from, &import.to)));
            found.push(Violation::Circle {
                imports: imports.cloned().collect(),
                files: circle.len(),
            });
        }
    }
    found
}

fn reach<'a>(start: &str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = edges.get(start).into_iter().flatten().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(edges.get(file).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings in a crate of these files, below `crates/dad-one/src/`.
    #[track_caller]
    fn check_crate(sources: &[(&str, &str)], floors: &[&[&str]], expected: &[&str]) {
        let files: Vec<SourceFile> = sources
            .iter()
            .map(|(path, text)| SourceFile {
                path: format!("crates/dad-one/src/{path}"),
                text: (*text).to_owned(),
            })
            .collect();
        let found: Vec<String> = check(&files, &[("dad-one", floors)])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn imports_go_down_or_stay_on_their_floor() {
        let sources = [
            ("lib.rs", "mod error; mod low; mod high; pub use high::Top;"),
            ("error.rs", "pub struct Failure;"),
            ("low.rs", "use crate::error::Failure; pub struct Base;"),
            ("high/mod.rs", "mod a; mod b; pub use a::Top;"),
            (
                "high/a.rs",
                "use super::b::Side; use crate::low::Base; pub struct Top;",
            ),
            ("high/b.rs", "use crate::Top; pub struct Side;"),
        ];
        check_crate(&sources, &[&["low"], &["high"]], &[]);
    }

    #[test]
    fn imports_that_go_up_are_found_however_they_are_written() {
        let finding = |line: usize, written: &str, to: &str| {
            format!(
                "crates/dad-one/src/low.rs:{line}: imports `{written}` of crates/dad-one/src/{to}, from `low` up to `high`"
            )
        };
        for (text, written, to) in [
            ("use crate::high::a::Top;", "crate::high::a::Top", "high/a.rs"),
            (
                "use crate::high::{a::{Top as T}};",
                "crate::high::a::Top",
                "high/a.rs",
            ),
            ("use crate::high::Top;", "crate::high::Top", "high/a.rs"),
            ("use crate::Top;", "crate::Top", "high/a.rs"),
            ("use crate::high::*;", "crate::high", "high/mod.rs"),
            (
                "fn f() -> crate::high::Top { loop {} }",
                "crate::high::Top",
                "high/a.rs",
            ),
            (
                "fn f() { println!(\"{}\", crate::high::a::TOP) }",
                "crate::high::a::TOP",
                "high/a.rs",
            ),
            (
                "use super::high; fn f() { high::a::go() }",
                "super::high::a::go",
                "high/a.rs",
            ),
            (
                "use crate::high as h; fn f() { h::Top::new() }",
                "crate::high::Top::new",
                "high/a.rs",
            ),
        ] {
            let sources = [
                ("lib.rs", "mod low; mod high; pub use high::Top;"),
                ("low.rs", &format!("\n{text}")),
                ("high/mod.rs", "pub mod a; pub use a::Top;"),
                (
                    "high/a.rs",
                    "pub struct Top; pub const TOP: u8 = 0; pub fn go() {}",
                ),
            ];
            check_crate(&sources, &[&["low"], &["high"]], &[&finding(2, written, to)]);
        }
    }

    #[test]
    fn tests_and_re_exports_do_not_count() {
        let sources = [
            ("lib.rs", "mod low; mod high;"),
            (
                "low.rs",
                "pub use crate::high::Top; #[cfg(test)] mod tests { use crate::high::Top; } #[cfg(test)] use crate::high::Top;",
            ),
            ("low/tests.rs", "use crate::high::Top;"),
            ("low/tests/cases.rs", "use crate::high::Top;"),
            ("high.rs", "pub struct Top;"),
        ];
        check_crate(&sources, &[&["low"], &["high"]], &[]);
    }

    #[test]
    fn a_row_names_modules_that_exist() {
        check_crate(
            &[("lib.rs", "mod low;"), ("low.rs", "")],
            &[&["low"], &["high"]],
            &["`dad-one` has no module `high`, which xtask/src/floors.rs names"],
        );
    }

    #[test]
    fn circles_of_more_than_three_files_are_found() {
        let circle = |names: &[&str]| {
            let mut sources = vec![("lib.rs".to_owned(), String::new())];
            for (index, name) in names.iter().enumerate() {
                let next = names[(index + 1) % names.len()];
                sources[0].1 += &format!("mod {name};");
                sources.push((
                    format!("{name}.rs"),
                    format!("use crate::{next}::Thing as Next; pub struct Thing;"),
                ));
            }
            sources
        };
        let check_circle = |names: &[&str], expected: &[&str]| {
            let sources = circle(names);
            let sources: Vec<(&str, &str)> = sources.iter().map(|(path, text)| (&**path, &**text)).collect();
            check_crate(&sources, &[], expected);
        };
        check_circle(&["a", "b", "c"], &[]);
        check_circle(
            &["a", "b", "c", "d"],
            &["4 files import each other in a circle, more than 3:\n    \
               crates/dad-one/src/a.rs:1: imports `crate::b::Thing` of crates/dad-one/src/b.rs\n    \
               crates/dad-one/src/b.rs:1: imports `crate::c::Thing` of crates/dad-one/src/c.rs\n    \
               crates/dad-one/src/c.rs:1: imports `crate::d::Thing` of crates/dad-one/src/d.rs\n    \
               crates/dad-one/src/d.rs:1: imports `crate::a::Thing` of crates/dad-one/src/a.rs"],
        );
    }

    #[test]
    fn this_repository_passes() {
        assert_eq!(check(&files().unwrap(), FLOORS), []);
    }
}
