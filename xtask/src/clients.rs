//! The official clients of the providers against the strict servers of the tests.
//!
//! They are Python packages, which come from the registry into `target/official-clients`. What the servers refuse of them is a
//! rule that is wrong.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::process::{TaskError, cargo, run as run_command};
use crate::python::installed;
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
    let programs = installed("target/official-clients", REQUIREMENTS)?;
    let mut build = Command::new(cargo());
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "dad-tests",
        "--bin",
        "strict-server",
    ]);
    run_command(&mut build)?;
    let mut server = Server::start(record.as_deref())?;
    let mut clients = Command::new(programs.join("python"));
    clients.arg(workspace_root().join(SCRIPT)).arg(&server.url);
    // No proxy reaches a server of this machine.
    clients.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let outcome = run_command(&mut clients);
    let refused = server.end()?;
    eprint!("{refused}");
    outcome?;
    match refused.lines().count() {
        0 => Ok(()),
        count => Err(TaskError(format!(
            "the strict servers refused {count} requests of the official clients"
        ))),
    }
}

/// A strict server that is running.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    url: String,
}

impl Server {
    fn start(record: Option<&Path>) -> Result<Self, TaskError> {
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
        if lines.read_line(&mut url).map_err(failed)? == 0 {
            let status = child.wait().map_err(failed)?;
            return Err(TaskError(format!(
                "the strict server ended with {status} before it printed its address"
            )));
        }
        Ok(Self {
            child,
            lines,
            url: url.trim().to_owned(),
        })
    }

    /// Ends the server by closing its input, and gives the lines about what it refused.
    fn end(&mut self) -> Result<String, TaskError> {
        let failed = |error: std::io::Error| TaskError(format!("the strict server did not end: {error}"));
        self.child.stdin = None;
        let mut refused = String::new();
        self.lines.read_to_string(&mut refused).map_err(failed)?;
        let status = self.child.wait().map_err(failed)?;
        if !status.success() {
            return Err(TaskError(format!("the strict server ended with {status}")));
        }
        Ok(refused)
    }
}
