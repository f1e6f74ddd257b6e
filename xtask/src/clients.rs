//! The official clients of the providers against the strict servers of the tests, and our client through proxies of others.
//!
//! They are Python packages, which come from the registry into `target/official-clients`. What the servers refuse of them is a
//! rule that is wrong.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::process::{TaskError, cargo, run as run_command};
use crate::proxies;
use crate::workspace_root;

const REQUIREMENTS: &str = "tests/clients/requirements.txt";
const SCRIPT: &str = "tests/clients/official.py";
const RECORDED: &str = "tests/data/clients/requests.json";

/// Runs the official clients; with `--record` it also writes down the requests that they send.
///
/// # Errors
/// If the packages cannot be installed, a client fails, or a server refuses a request.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let record = match options {
        [] => None,
        ["--record"] => Some(workspace_root().join(RECORDED)),
        _ => {
            return Err(TaskError(
                "`cargo xtask clients` knows the option `--record` only".to_owned(),
            ));
        }
    };
    let python = installed("target/official-clients", REQUIREMENTS)?;
    let mut build = Command::new(cargo());
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "dad-tests",
        "--bin",
        "strict-server",
        "--bin",
        "through-proxy",
    ]);
    run_command(&mut build)?;
    let mut server = Server::start(record.as_deref())?;
    let mut clients = Command::new(python);
    clients.arg(workspace_root().join(SCRIPT)).arg(&server.url);
    // No proxy reaches a server of this machine.
    clients.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let outcome = run_command(&mut clients);
    let refused = server.end()?;
    eprint!("{refused}");
    outcome?;
    match refused.lines().count() {
        0 => proxies::run(),
        count => Err(TaskError(format!(
            "the strict servers refused {count} requests of the official clients"
        ))),
    }
}

/// The Python in which packages are installed, in the versions that the requirements name.
///
/// # Errors
/// If Python is missing, or the registry does not give the packages.
pub(crate) fn installed(place: &str, requirements: &str) -> Result<PathBuf, TaskError> {
    let place = workspace_root().join(place);
    let python = place.join("bin/python");
    let wanted = fs::read_to_string(workspace_root().join(requirements))
        .map_err(|error| TaskError(format!("cannot read `{requirements}`: {error}")))?;
    let stamp = place.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    eprintln!("installing `{requirements}` into {}", place.display());
    let made = run_command(Command::new("python3").args(["-m", "venv"]).arg(&place));
    made.map_err(|error| TaskError(format!("this task needs python3 with `venv`: {error}")))?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    run_command(install.arg(workspace_root().join(requirements))).map_err(|error| {
        TaskError(format!(
            "the registry did not give the packages of `{requirements}`: {error}"
        ))
    })?;
    fs::write(&stamp, wanted)
        .map_err(|error| TaskError(format!("cannot write `{}`: {error}", stamp.display())))?;
    Ok(python)
}

/// A strict server that is running.
pub(crate) struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(record: Option<&Path>) -> Result<Self, TaskError> {
        let program = workspace_root().join("target/debug/strict-server");
        let failed = |error: std::io::Error| TaskError(format!("the strict server did not start: {error}"));
        let mut command = Command::new(program);
        command.args(record).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let lines = child
            .stdout
            .take()
            .ok_or_else(|| TaskError("the strict server has no output".to_owned()))?;
        let mut lines = BufReader::new(lines);
        let mut url = String::new();
        lines.read_line(&mut url).map_err(failed)?;
        Ok(Self {
            child,
            lines,
            url: url.trim().to_owned(),
        })
    }

    /// Ends the server, which does so when its input ends, and gives the lines about what it refused.
    pub(crate) fn end(&mut self) -> Result<String, TaskError> {
        let failed = |error: std::io::Error| TaskError(format!("the strict server did not end: {error}"));
        self.child.stdin = None;
        let mut refused = String::new();
        self.lines.read_to_string(&mut refused).map_err(failed)?;
        self.child.wait().map_err(failed)?;
        Ok(refused)
    }
}
