//! The page of runs: its modules by the checker of types, an exported page and one of a server in a browser.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};
use crate::workspace_root;

const TESTS: &str = "tests/browser";

/// The place of the packages and of the runs, below the root of the workspace.
const PLACE: &str = "target/browser";

/// Checks the types of the page's modules, and opens exported pages and those of a server in Chromium; the variable `CHROMIUM` names
/// another one than that of the system.
///
/// # Errors
/// If Node.js, npm or the browser is missing, or a check fails.
pub fn run() -> Result<(), TaskError> {
    let root = workspace_root();
    let place = installed(root)?;
    let mut types = Command::new(place.join("node_modules/.bin/tsc"));
    run_command(types.arg("--project").arg(root.join(TESTS).join("tsconfig.json")))?;
    let mut build = Command::new(cargo());
    run_command(build.args(["build", "--quiet", "--locked", "--package", "dad-cli"]))?;
    for pages in ["page.mjs", "served.mjs"] {
        let mut node = Command::new("node");
        node.arg(root.join(TESTS).join(pages))
            .arg(root.join("target/debug/dhenara"))
            .arg(&place);
        run_command(&mut node)?;
    }
    Ok(())
}

/// The directory with the packages. The registry is asked only if other ones were installed before, or none.
fn installed(root: &Path) -> Result<PathBuf, TaskError> {
    let place = root.join(PLACE);
    let failed = |action: &str, error: std::io::Error| TaskError(format!("cannot {action}: {error}"));
    fs::create_dir_all(&place).map_err(|error| failed("make the directory of the packages", error))?;
    let lock = root.join(TESTS).join("package-lock.json");
    let wanted = fs::read(&lock).map_err(|error| failed("read `package-lock.json`", error))?;
    let stamp = place.join("installed.json");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(place);
    }
    eprintln!("installing the packages of `{TESTS}` into {}", place.display());
    for name in ["package.json", "package-lock.json"] {
        fs::copy(root.join(TESTS).join(name), place.join(name))
            .map_err(|error| failed("copy the list of packages", error))?;
    }
    let mut install = Command::new("npm");
    install
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&place);
    run_command(&mut install).map_err(|error| {
        TaskError(format!(
            "{error}; this task needs `npm`, a registry, `node` and Chromium"
        ))
    })?;
    fs::write(&stamp, wanted).map_err(|error| failed("write the list of packages", error))?;
    Ok(place)
}
