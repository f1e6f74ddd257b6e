//! A place of its own for a test: home, project, temporary directory and environment.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;

use dad_tests::{Schemas, check_run_dir, find_run_dirs};
use dhenara::Project;
use dhenara::project::User;
use serde_json::Value;

/// A place of its own for a test. When it is dropped, every run directory in it is checked.
pub(crate) struct TestEnvironment {
    root: tempfile::TempDir,
    shown: Rc<Shown>,
    _filters: insta::internals::SettingsBindDropGuard,
    /// Whether the test checks what is left by itself.
    is_checked: std::cell::Cell<bool>,
}

impl TestEnvironment {
    /// A place with a project that has no agents yet.
    pub(crate) fn new() -> Self {
        let env = Self::without_project();
        env.write(".dhenara/config.yaml", "environments: {}\n");
        env
    }

    /// As [`new`](Self::new), with a path of the same length on every machine, on which the places depend where lines are broken.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_short_path() -> Self {
        let env = Self::in_dir(tempfile::tempdir_in("/tmp").unwrap());
        env.write(".dhenara/config.yaml", "environments: {}\n");
        env
    }

    /// A place whose `project` directory is none yet.
    pub(crate) fn without_project() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(root: tempfile::TempDir) -> Self {
        for dir in ["home", "project", "tmp"] {
            std::fs::create_dir(root.path().join(dir)).unwrap();
        }
        let canonical = root.path().canonicalize().unwrap();
        Self {
            shown: Rc::new(Shown {
                root: canonical.to_string_lossy().into_owned(),
                runs: RefCell::default(),
            }),
            root,
            _filters: filters(),
            is_checked: std::cell::Cell::new(false),
        }
    }

    /// A path below the directory of all, with its links resolved.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        Path::new(&self.shown.root).join(relative)
    }

    /// The project.
    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let file = self.root.path().join("project").join(relative);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Copies a directory, links and runs left out.
    pub(crate) fn copy_dir(&self, source: &Path, target: &Path) {
        std::fs::create_dir_all(target).unwrap();
        for entry in std::fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            let to = target.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && entry.file_name() != "runs" {
                self.copy_dir(&entry.path(), &to);
            } else if kind.is_file() {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    /// The project, as a program of the user of this place opens it.
    pub(crate) fn opened(&self) -> Project {
        let home = self.path("home").into_os_string();
        let key = ("DHENARA_ORIGIN_KEY", dad_tests::hex_key().into());
        let user = User::from_variables([("HOME", home), key].into_iter().collect());
        user.unwrap().open(self.project()).unwrap()
    }

    /// Calls `dhenara` in the project.
    pub(crate) fn run(&self, args: &[&str]) -> CommandOutput {
        self.run_in(&self.project(), args)
    }

    /// Calls `dhenara` in a directory.
    pub(crate) fn run_in(&self, dir: &Path, args: &[&str]) -> CommandOutput {
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        self.output(self.command(program, dir).args(args))
    }

    /// Calls the program that dies in the middle of a run.
    pub(crate) fn abandon(&self, how: &str) -> CommandOutput {
        let project = self.project();
        let program = env!("CARGO_BIN_EXE_abandon");
        self.output(self.command(program, &project).arg(&project).arg(how))
    }

    /// A program in this place's environment, which is that of a fresh user.
    pub(crate) fn command(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("DHENARA_ORIGIN_KEY", dad_tests::hex_key())
            .env("TMPDIR", self.path("tmp"));
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Starts `dhenara` in the project; [`finish`](Self::finish) waits for it.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        let mut command = if cfg!(target_os = "linux") {
            let mut command = self.command("env", &self.project());
            command.args(["--default-signal=INT,HUP", program]);
            command
        } else {
            self.command(program, &self.project())
        };
        let piped = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        piped.spawn().unwrap()
    }

    /// Sends a signal to a command that was started, such as `INT`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, child: &Child, name: &str) {
        let mut kill = self.command("kill", &self.project());
        let sent = kill.arg(format!("-{name}")).arg(child.id().to_string()).status();
        assert!(sent.unwrap().success(), "{name}");
    }

    /// Waits for a command.
    pub(crate) fn finish(&self, child: Child) -> CommandOutput {
        self.ended(child.wait_with_output().unwrap())
    }

    /// Calls a command that was made for this place.
    pub(crate) fn call(&self, command: &mut Command) -> CommandOutput {
        self.output(command)
    }

    fn output(&self, command: &mut Command) -> CommandOutput {
        self.ended(command.output().unwrap())
    }

    fn ended(&self, output: Output) -> CommandOutput {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        self.runs();
        CommandOutput {
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            code: status.code(),
            shown: Rc::clone(&self.shown),
        }
    }

    /// The run directories there are, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let mut known = self.shown.runs.borrow_mut();
        let found = find_run_dirs(Path::new(&self.shown.root)).into_iter();
        let mut new: Vec<PathBuf> = found
            .filter(|dir| known.iter().all(|(_, there)| there != dir))
            .collect();
        new.sort_by_key(|dir| created_at(dir));
        let id = |dir: &Path| dir.file_name().unwrap().to_string_lossy().into_owned();
        known.extend(new.into_iter().map(|dir| (id(&dir), dir)));
        known.iter().map(|(_, dir)| dir.clone()).collect()
    }

    /// The newest run directory.
    pub(crate) fn last_run(&self) -> PathBuf {
        self.runs().pop().unwrap()
    }

    /// A text as snapshots show it: without what differs from place to place and from run to run.
    pub(crate) fn shown(&self, text: &str) -> String {
        self.runs();
        self.shown.redact(text)
    }

    /// Calls `dhenara` with something that must leave everything as it is: no new file or directory, none less.
    #[track_caller]
    pub(crate) fn unchanged(&self, args: &[&str]) -> CommandOutput {
        let before = everything_below(self.root.path());
        let output = self.run(args);
        let after = everything_below(self.root.path());
        let new: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
        assert_eq!(after, before, "new: {new:?}\n{output}");
        output
    }

    /// Calls `dhenara` with something it must refuse before it makes anything: exit code 2, nothing on standard
    /// output, no run directory, not even a run root.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str]) -> CommandOutput {
        let output = self.unchanged(args).expect(2);
        assert_eq!(output.stdout, "", "{output}");
        output
    }

    /// Calls `dhenara` with something it must refuse: nothing on standard output, and nothing is removed.
    #[track_caller]
    pub(crate) fn refused_removal(&self, args: &[&str]) -> CommandOutput {
        let output = self.unchanged(args);
        assert!(matches!(output.code, Some(2 | 4)), "{output}");
        assert_eq!(output.stdout, "", "{output}");
        output
    }

    /// Says that the test has checked what is left, which is not what a process leaves that ends by itself.
    pub(crate) fn is_checked(&self) {
        self.is_checked.set(true);
    }

    /// Checks every run directory in this place.
    #[track_caller]
    pub(crate) fn check_runs(&self) {
        for dir in find_run_dirs(self.root.path()) {
            let (_, problems) = check_run_dir(&dir);
            assert!(
                problems.is_empty(),
                "in `{}`:\n{}",
                dir.display(),
                problems.join("\n")
            );
        }
    }
}

impl Drop for TestEnvironment {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.is_checked.get() {
            self.check_runs();
        }
    }
}

fn everything_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// When a run was made, as a text that sorts by time.
fn created_at(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join(".run/journal.jsonl")).unwrap_or_default();
    let first: Value = text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or(Value::Null);
    let at = first["at"].as_str().unwrap_or_default().trim_end_matches('Z');
    let (seconds, fraction) = at.split_once('.').unwrap_or((at, ""));
    format!("{seconds}.{fraction:0<9}")
}

/// The filters for text that differs between runs of the same thing and is no name that the harness knows.
fn filters() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    // With the spaces that align what comes after it.
    settings.add_filter(r"\b\d+(\.\d+)? m?s  +", "[time]  ");
    settings.add_filter(r"\b\d+(\.\d+)? m?s\b", "[time]");
    settings.add_filter(r"\b\d+(\.\d+)? [KM]?B\b", "[size]");
    settings.add_filter(r"\b\d+ lines differ", "[number] lines differ");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[timestamp]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "0000-00-00 00:00:00 UTC");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[digest]");
    settings.bind_to_scope()
}

/// The names of a place, and what they are shown as.
struct Shown {
    root: String,
    /// Ids and directories, in the order in which they came into being.
    runs: RefCell<Vec<(String, PathBuf)>>,
}

impl Shown {
    /// Replaces run ids by numbered ones of the same width, and the directory of all by its name.
    fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.root, "[root]");
        for (index, (id, _)) in self.runs.borrow().iter().enumerate() {
            // Root and key decide it: it is the same everywhere.
            if id.starts_with("key_") {
                continue;
            }
            let stem = id.len().saturating_sub("20251123_141516_9f3a1c".len());
            text = text.replace(id, &format!("{}00000000_000000_{:06}", &id[..stem], index + 1));
        }
        text
    }
}

/// The outputs and the exit code of a command; shows all three.
#[must_use = "a command's output is to be looked at"]
pub(crate) struct CommandOutput {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    shown: Rc<Shown>,
}

impl CommandOutput {
    /// Refuses any other exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// The document on standard output, which must be the only thing there and as its schema says.
    #[track_caller]
    pub(crate) fn json(&self, schema: &str) -> Value {
        let document = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"));
        Schemas::get().validate(schema, &document);
        document
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.stdout.lines() {
            writeln!(f, "{}", self.shown.redact(line).trim_end())?;
        }
        // Notes beside the progress of a run are printed by another task, in an order of their own.
        let is_note = |line: &&str| line.starts_with("stopping the run;");
        let lines: Vec<&str> = self.stderr.lines().collect();
        for (title, notes) in [("stderr", false), ("notes", true)] {
            let mut lines = lines.iter().filter(|line| is_note(line) == notes).peekable();
            if lines.peek().is_some() {
                writeln!(f, "---- {title}")?;
            }
            for line in lines {
                writeln!(f, "{}", self.shown.redact(line).trim_end())?;
            }
        }
        match self.code {
            Some(code) => write!(f, "---- exit code {code}"),
            None => write!(f, "---- ended by a signal"),
        }
    }
}

/// A file of JSON.
#[track_caller]
pub(crate) fn read_json(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// A file of JSON lines.
#[track_caller]
pub(crate) fn read_lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The records of a run.
#[track_caller]
pub(crate) fn journal(run: &Path) -> Vec<Value> {
    read_lines(&run.join(".run/journal.jsonl"))
}

/// Changes the records of a run as a driver with the key of the tests would have written them.
pub(crate) fn edit_journal(run: &Path, change: impl Fn(&mut Value)) {
    let mut records = journal(run);
    records.iter_mut().for_each(change);
    std::fs::write(run.join(".run/journal.jsonl"), dad_tests::seal(&records)).unwrap();
}

/// As [`edit_journal`], but a driver with another key wrote it.
pub(crate) fn edit_journal_elsewhere(run: &Path, change: impl Fn(&mut Value)) {
    let mut records = journal(run);
    records.iter_mut().for_each(change);
    std::fs::write(
        run.join(".run/journal.jsonl"),
        dad_tests::seal_with(&records, &[9; 32]),
    )
    .unwrap();
}

/// The records of a type.
pub(crate) fn records(run: &Path, kind: &str) -> Vec<Value> {
    journal(run)
        .into_iter()
        .filter(|record| record["type"] == kind)
        .collect()
}

/// Tells people something about a test that passes. Not by `println!`, whose lines are shown only of tests that fail.
pub(crate) fn tell(text: &str) {
    let mut screen = std::io::stderr();
    screen.write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// The workspace this package is part of.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Whether `git` can be called. Without it the examples that need it cannot run: the test says so and is over.
pub(crate) fn has_git() -> bool {
    has("git", &["--version"])
}

/// Whether bubblewrap makes sandboxes here.
#[cfg(target_os = "linux")]
pub(crate) fn has_sandbox() -> bool {
    has(
        "bwrap",
        &["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
    )
}

fn has(tool: &str, arguments: &[&str]) -> bool {
    let output = Command::new(tool).args(arguments).output();
    let found = output.is_ok_and(|output| output.status.success());
    if !found {
        assert_ne!(
            std::env::var("DHENARA_REQUIRE_TOOLS").as_deref(),
            Ok("1"),
            "{tool} does not work here, and DHENARA_REQUIRE_TOOLS is 1"
        );
        tell(&format!("skipped: {tool} does not work here"));
    }
    found
}

/// Calls git in a working tree, as a user with a name; what it prints.
pub(crate) fn git(tree: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    let output = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(tree)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
