//! The published crates as packages: their lists of files, and programs of others that use them.
//!
//! The packages are unpacked below `target/packages`, which becomes a workspace outside of this one. In it, the programs of
//! [`PROGRAMS`], the one that `dhenara new rust` makes and [the one of a page](start_rust) find the crates where users find
//! them, under their names and versions; a `[patch]` leads from the registry to the unpacked packages.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::layers;
use crate::process::{TaskError, cargo, output, run as run_command};
use crate::{start_rust, workspace_root};

/// The examples that use published names only.
pub const PROGRAMS: &[&str] = &["own-node", "runs-report", "webserver"];

/// The program that `dhenara new rust` makes.
const NEW_PROGRAM: &str = "new-program";

/// The place of the unpacked packages.
const PLACE: &str = "target/packages";

/// The files that each package has.
const REQUIRED: &[&str] = &[
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/lib.rs",
];

/// The files that cargo adds.
const ADDED: &[&str] = &[".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];

/// The directories of a package, and the program that prepares its build.
const DIRECTORIES: &[&str] = &["assets/", "data/", "src/", "build.rs"];

/// Whether cargo builds each package while it makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Each package, from a clean working copy.
    Yes,
    /// None; changes that are not committed are packaged too.
    No,
}

/// Makes the packages, checks their lists, and builds and tests the programs of [`PROGRAMS`] from them.
///
/// # Errors
/// If a package cannot be made, has a wrong list, or a program does not pass.
pub fn run() -> Result<(), TaskError> {
    unpack(Verify::No)?;
    programs()
}

/// Builds and tests the programs from the unpacked packages.
pub(crate) fn programs() -> Result<(), TaskError> {
    let mut command = in_place("test");
    for program in programs_of_users() {
        command.args(["--package", program]);
    }
    run_command(&mut command)?;
    start_rust::check(&workspace_root().join(PLACE))
}

fn programs_of_users() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().copied().chain([NEW_PROGRAM, start_rust::PROGRAM])
}

/// The names of the published crates, in the order in which they are published: each after those that it uses.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    layers::LAYERS.iter().map(|(name, _)| *name)
}

/// A command of cargo in the workspace of the unpacked packages. It shares the directory of what is built with this one.
pub(crate) fn in_place(subcommand: &str) -> Command {
    let mut command = Command::new(cargo());
    // Offline: the versions are those of the lock file of this workspace, which are here.
    command
        .args([subcommand, "--offline", "--manifest-path"])
        .arg(workspace_root().join(PLACE).join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", workspace_root().join("target"));
    command
}

/// Makes the packages, checks their lists of files, and unpacks them beside the programs.
pub(crate) fn unpack(verify: Verify) -> Result<(), TaskError> {
    let version = layers::metadata()?.version()?;
    let mut command = Command::new(cargo());
    command
        .args(["package", "--quiet", "--locked"])
        // Else each package is verified in a directory of its own, with all libraries built anew.
        .env("CARGO_TARGET_DIR", workspace_root().join("target"));
    if verify == Verify::No {
        command.args(["--no-verify", "--allow-dirty"]);
    }
    for name in names() {
        command.args(["--package", name]);
    }
    run_command(&mut command)?;

    let place = workspace_root().join(PLACE);
    let emptied = match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(&place),
    };
    emptied.map_err(|error| at(&place, &error))?;
    let mut problems = Vec::new();
    for name in names() {
        let package = format!("{name}-{version}");
        let file = workspace_root().join(format!("target/package/{package}.crate"));
        let listed = output(Command::new("tar").arg("-tzf").arg(&file))?;
        problems.extend(check(&package, listed.lines()));
        // `-m`: cargo tells by their times whether sources changed, and all files of a package have the same.
        let mut untar = Command::new("tar");
        run_command(untar.arg("-xmzf").arg(&file).arg("-C").arg(&place))?;
    }
    for problem in &problems {
        eprintln!("packages: {problem}");
    }
    if !problems.is_empty() {
        return Err(TaskError(format!("{} problems of packages", problems.len())));
    }
    make_program(&place)?;
    start_rust::write(&place).map_err(|error| at(&place, &error))?;
    copy_programs(&place, &version).map_err(|error| at(&place, &error))
}

/// Makes a program as a user does.
fn make_program(place: &Path) -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "dad-cli",
            "--",
            "new",
            "rust",
        ])
        .arg(place.join(NEW_PROGRAM))
        .current_dir(workspace_root());
    output(&mut command).map(drop)
}

fn at(path: &Path, error: &io::Error) -> TaskError {
    TaskError(format!("cannot write `{}`: {error}", path.display()))
}

/// The problems of a package's list of files.
fn check<'a>(package: &str, listed: impl Iterator<Item = &'a str>) -> Vec<String> {
    let prefix = format!("{package}/");
    let files: BTreeSet<&str> = listed.filter_map(|file| file.strip_prefix(&prefix)).collect();
    let missing = REQUIRED.iter().filter(|name| !files.contains(*name));
    let missing = missing.map(|name| format!("{package}: `{name}` is missing"));
    let is_known = |file: &&&str| {
        REQUIRED.contains(file)
            || ADDED.contains(file)
            || DIRECTORIES.iter().any(|directory| file.starts_with(directory))
    };
    let stray = files.iter().filter(|file| !is_known(file));
    let stray = stray.map(|file| format!("{package}: `{file}` does not belong into a package"));
    missing.chain(stray).collect()
}

/// The programs, and the workspace around them and the packages.
fn copy_programs(place: &Path, version: &str) -> io::Result<()> {
    for program in PROGRAMS {
        copy(
            &workspace_root().join("examples").join(program),
            &place.join(program),
        )?;
    }
    let root = fs::read_to_string(workspace_root().join("Cargo.toml"))?;
    fs::write(place.join("Cargo.toml"), manifest(&root, version))?;
    fs::copy(workspace_root().join("Cargo.lock"), place.join("Cargo.lock"))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target): (PathBuf, PathBuf) = entry.map(|e| (e.path(), to.join(e.file_name())))?;
        if entry.is_dir() {
            copy(&entry, &target)?;
        } else {
            fs::copy(&entry, &target)?;
        }
    }
    Ok(())
}

/// The manifest of the workspace of the packages, made from the one of this workspace: crates come from the registry, and the
/// registry has the unpacked packages.
fn manifest(root: &str, version: &str) -> String {
    let packages: Vec<String> = names().map(|name| format!("{name}-{version}")).collect();
    let members = packages.iter().map(|member| format!("{member:?}"));
    let members: Vec<String> = members
        .chain(programs_of_users().map(|member| format!("{member:?}")))
        .collect();
    let mut made = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n",
        members.join(", ")
    );
    let rest = root
        .find("[workspace.package]")
        .map_or("", |start| &root[start..]);
    for line in rest.lines() {
        match line.split_once("path = \"") {
            None => made += &format!("{line}\n"),
            Some((before, after)) if after.starts_with("crates/") => {
                let after = after.split_once("\", ").map_or("", |(_, after)| after);
                made += &format!("{before}{after}\n");
            }
            // A member that is not published.
            Some(_) => {}
        }
    }
    made += "\n[patch.crates-io]\n";
    for (name, package) in names().zip(&packages) {
        made += &format!("{name} = {{ path = {package:?} }}\n");
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_files_and_no_other() {
        let complete = [
            "Cargo.toml",
            "Cargo.lock",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "README.md",
            "src/lib.rs",
            "data/models.json",
        ];
        let problems = |files: &[&str]| {
            let listed: Vec<String> = files.iter().map(|file| format!("one-1.0.0/{file}")).collect();
            check("one-1.0.0", listed.iter().map(String::as_str))
        };
        assert_eq!(problems(&complete), [""; 0]);
        let mut wrong = complete.to_vec();
        wrong[4] = "notes.txt";
        wrong.push("tests/it/main.rs");
        assert_eq!(
            problems(&wrong),
            [
                "one-1.0.0: `README.md` is missing",
                "one-1.0.0: `notes.txt` does not belong into a package",
                "one-1.0.0: `tests/it/main.rs` does not belong into a package",
            ]
        );
    }

    #[test]
    fn the_workspace_of_the_packages_takes_crates_from_the_registry() {
        let root = "[workspace]\nmembers = [\n    \"crates/*\",\n]\n\n[workspace.package]\nversion = \"1.2.0\"\n\n\
             [workspace.dependencies]\nchatbot = { path = \"examples/chatbot\" }\n\
             dad-core = { path = \"crates/dad-core\", version = \"1.2.0\" }\nserde = \"1\"\n";
        let made = manifest(root, "1.2.0");
        let (head, rest) = made.split_once("\n\n").unwrap();
        assert!(
            head.contains("\"dad-core-1.2.0\"")
                && head.contains("\"webserver\"")
                && head.contains(NEW_PROGRAM),
            "{head}"
        );
        let (middle, patches) = rest.split_once("\n[patch.crates-io]\n").unwrap();
        assert_eq!(
            middle,
            "[workspace.package]\nversion = \"1.2.0\"\n\n[workspace.dependencies]\n\
             dad-core = { version = \"1.2.0\" }\nserde = \"1\"\n"
        );
        assert!(
            patches.starts_with("dad-core = { path = \"dad-core-1.2.0\" }\n"),
            "{patches}"
        );
    }
}
