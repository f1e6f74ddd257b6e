//! The checks before a release, and the commands that publish it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer tool talks to its terminal"
)]

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::packages::{Verify, in_place, names, programs, unpack};
use crate::process::{TaskError, output, run as run_command};
use crate::{layers, workspace_root};

/// Checks everything that a release needs, and prints the commands that publish the packages. Publishes nothing.
///
/// # Errors
/// If the working copy has changes, the changelog does not have the version, or a package does not build or pass its tests
/// alone.
pub fn run() -> Result<(), TaskError> {
    let start = Instant::now();
    let version = layers::metadata()?.version()?;
    let changes = output(Command::new("git").args(["status", "--porcelain"]))?;
    if !changes.is_empty() {
        return Err(TaskError(format!("commit these changes first:\n{changes}")));
    }
    let changelog = fs::read_to_string(workspace_root().join("CHANGELOG.md"))
        .map_err(|error| TaskError(format!("cannot read `CHANGELOG.md`: {error}")))?;
    let is_described = has_version(&changelog, &version);
    unpack(Verify::Yes)?;
    programs()?;
    each_alone()?;
    eprintln!("\n==== checked in {:.1} s", start.elapsed().as_secs_f64());
    if !is_described {
        return Err(TaskError(format!(
            "`CHANGELOG.md` has no section of the version: name the section of the unreleased changes `## [{version}] - DATE`"
        )));
    }
    println!("git tag v{version} && git push origin v{version}");
    for name in names() {
        println!("cargo publish --locked --package {name}");
    }
    Ok(())
}

/// The unit tests and doctests of each package, built from the unpacked packages with the features that it asks for itself.
///
/// # Errors
/// If one does not build or pass.
pub fn packages_alone() -> Result<(), TaskError> {
    unpack(Verify::No)?;
    each_alone()
}

fn each_alone() -> Result<(), TaskError> {
    for name in names() {
        let start = Instant::now();
        run_command(
            in_place("test")
                .args(["--quiet", "--package", name])
                .env("INSTA_UPDATE", "no"),
        )?;
        eprintln!(
            "==== {name}: passed alone in {:.1} s",
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Whether a changelog has a section of a version.
fn has_version(changelog: &str, version: &str) -> bool {
    let heading = format!("## [{version}]");
    changelog.lines().any(|line| line.starts_with(&heading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_has_the_version_of_a_release_as_a_heading() {
        let changelog = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-01-02\n\nSince 0.3.0\n";
        assert!(has_version(changelog, "0.2.0"));
        assert!(!has_version(changelog, "0.3.0"));
        assert!(!has_version(changelog, "0.2"));
    }
}
