//! The program `bwrap` (bubblewrap), and why it cannot do what it is to do.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dad_runner::NodeError;

use super::around::{real, text};
use super::mounts::Mounts;
use super::settings::SandboxBounds;
use crate::environment::passed;

/// The longest that a sandbox may take to execute nothing.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

/// The arguments before those of a command that executes in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(Vec<String>);

impl Prefix {
    pub(crate) fn new(
        bounds: &SandboxBounds,
        mounts: Mounts,
        working_dir: Option<&Path>,
    ) -> Result<Self, NodeError> {
        let mut arguments = vec![text(&find()?)?];
        let mut add = |argument: &str| arguments.push(argument.to_owned());
        // Whatever this process may do, what is executed may not.
        for option in [
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
        ] {
            add(option);
        }
        if bounds.network {
            add("--share-net");
        }
        for argument in ["--setenv", "TMPDIR", "/tmp"] {
            add(argument);
        }
        arguments.extend(mounts.into_arguments()?);
        let working_dir = working_dir.map_or_else(|| PathBuf::from("/"), real);
        arguments.extend(["--chdir".to_owned(), text(&working_dir)?, "--".to_owned()]);
        Ok(Self(arguments))
    }

    /// The whole command.
    pub(crate) fn around(&self, argv: Vec<String>) -> Vec<String> {
        self.0.iter().cloned().chain(argv).collect()
    }

    /// Executes nothing in the sandbox.
    pub(crate) fn probe(&self) -> Result<(), NodeError> {
        let [program, arguments @ ..] = &*self.0 else {
            return Ok(());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("true")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let unavailable =
            |reason: &str| unavailable(&format!("`{program}` failed: {reason}"), remedy(reason));
        let mut child = command.spawn().map_err(|error| unavailable(&error.to_string()))?;
        let since = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if since.elapsed() < LONGEST_PROBE => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(unavailable("it does not end"));
                }
                Err(error) => return Err(unavailable(&error.to_string())),
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            // What it says is for people; one that is not text says nothing.
            let _ = stderr.take(4096).read_to_string(&mut said);
        }
        Err(match said.trim() {
            "" => unavailable(&status.to_string()),
            said => unavailable(said),
        })
    }
}

/// Whether what a command complained about may be the sandbox's complaint and not its own.
pub(crate) fn is_its_own_failure(stderr: &str) -> bool {
    stderr.starts_with("bwrap: ")
}

fn find() -> Result<PathBuf, NodeError> {
    if !cfg!(target_os = "linux") {
        let reason = "sandboxes are made by bubblewrap, which is for Linux alone";
        return Err(unavailable(reason, WITHOUT));
    }
    let path = passed("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let found = places.find_map(|dir| Some(dir.join("bwrap")).filter(|program| program.is_file()));
    found.ok_or_else(|| {
        let remedy = format!("install bubblewrap, such as by `apt-get install bubblewrap`; {WITHOUT}");
        unavailable("there is no program `bwrap` on PATH", &remedy)
    })
}

/// The hint that always helps.
const WITHOUT: &str = "or execute commands without a sandbox, by `sandbox: off` in your own configuration (`~/.config/dhenara/config.yaml`)";

fn remedy(reason: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["proc"]) {
        return "a container lets nothing mount `/proc`: start it with `--security-opt systempaths=unconfined`, or execute \
                commands without a sandbox, by `sandbox: off` in your own configuration (`~/.config/dhenara/config.yaml`)";
    }
    if says(&[
        "namespace",
        "uid map",
        "Operation not permitted",
        "Permission denied",
        "loopback",
    ]) {
        return "let users make namespaces: `sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000`, on \
                Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`; a container needs `--security-opt \
                seccomp=unconfined` or `--cap-add SYS_ADMIN`; or execute commands without a sandbox, by `sandbox: off` in \
                your own configuration (`~/.config/dhenara/config.yaml`)";
    }
    "install bubblewrap 0.5 or newer, or execute commands without a sandbox, by `sandbox: off` in your own configuration \
     (`~/.config/dhenara/config.yaml`)"
}

fn unavailable(reason: &str, remedy: &str) -> NodeError {
    NodeError::new(
        "sandbox_unavailable",
        format!("no sandbox can be made here: {reason}"),
    )
    .with_hint(remedy)
    .permanent()
}
