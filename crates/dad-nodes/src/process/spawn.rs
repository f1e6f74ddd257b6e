//! The start of a program: behind a gate that opens once its process is recorded.

use dad_run::TOKEN_VARIABLE;
use dad_runner::NodeError;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};

/// A program to run.
pub(crate) struct Program<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) working_dir: &'a Path,
    pub(crate) env: &'a [(String, OsString)],
    pub(crate) stdin: Option<&'a str>,
    pub(crate) timeout: Duration,
    /// The number of bytes of each of its outputs that are kept; one that prints more is ended.
    pub(crate) longest_output: u64,
    /// Whether it ends with the thread that started it, so that this is one of a process that stays.
    pub(crate) ends_with_thread: bool,
    /// Whether it has a terminal of its own, on which its outputs are one.
    pub(crate) has_terminal: bool,
}

/// The word that a program waits for before it begins, which is after its process has been recorded. If this process dies
/// before that, the program ends too, so that a crash leaves no unrecorded process.
pub(super) const BEGIN: &str = "begin";

/// The command behind a shell that waits for [`BEGIN`] on its standard input, of which it reads no more than that line.
#[cfg(unix)]
fn gated_command(program: &Program<'_>, name: &str) -> Result<Command, NodeError> {
    if let Some((reason, hint)) = why_not(program, name) {
        let missing = io::Error::new(io::ErrorKind::NotFound, reason);
        let error = spawn_error(&missing, name, program.working_dir);
        return Err(match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        });
    }
    let input = match (program.stdin.is_some(), program.has_terminal) {
        (true, _) => "",
        (false, true) => " </dev/tty",
        (false, false) => " </dev/null",
    };
    let execute = match program.ends_with_thread {
        true => format!("\"$@\"{input}; exit $?"),
        false => format!("exec \"$@\"{input}"),
    };
    let script = format!(
        "read -r dad_word && test \"$dad_word\" = {BEGIN} || exit 0; export {GATE_VARIABLE}=$$; {execute}"
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, "sh", name]);
    Ok(command)
}

/// The variable by which a process is known that left the group of its command: the number of the group.
pub(super) const GATE_VARIABLE: &str = "DHENARA_COMMAND";

/// Why a program cannot be started; the shell would not always say it, or say something else.
#[cfg(unix)]
fn why_not(program: &Program<'_>, name: &str) -> Option<(String, Option<&'static str>)> {
    if name.is_empty() {
        return Some(("it names no program".to_owned(), None));
    }
    if !name.contains('/') {
        // Of several the last one is given to the program.
        let path = program.env.iter().rfind(|(variable, _)| variable == "PATH");
        let path = path.map_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, path)| path);
        let places = std::env::split_paths(path).map(|dir| program.working_dir.join(dir).join(name));
        let may_be_started = |file: &std::path::PathBuf| {
            file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        };
        return match places.into_iter().find(may_be_started) {
            Some(file) => missing_interpreter(&file, program.working_dir),
            None => Some(("there is no such program".to_owned(), None)),
        };
    }
    let file = program.working_dir.join(name);
    if !file.exists() {
        return Some(("there is no such program".to_owned(), None));
    }
    if file.is_dir() {
        return Some(("it is a directory".to_owned(), None));
    }
    if rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_err() {
        let hint =
            "make it executable by `chmod +x`, or write the program that reads it first, as in `[sh, FILE]`";
        return Some(("it is not executable".to_owned(), Some(hint)));
    }
    missing_interpreter(&file, program.working_dir)
}

/// The interpreter that the first line of a script names, if there is none: the system then says that there is no script.
#[cfg(unix)]
fn missing_interpreter(file: &Path, working_dir: &Path) -> Option<(String, Option<&'static str>)> {
    use std::io::Read as _;
    // The system reads no more of it.
    let mut line = Vec::new();
    // Anything else could be waited for without end.
    if !file.is_file() {
        return None;
    }
    let opened = std::fs::File::open(file).ok()?;
    opened.take(256).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    if interpreter.is_empty() || working_dir.join(interpreter).exists() {
        return None;
    }
    let reason = format!(
        "there is no `{}`, which its first line names",
        interpreter.escape_debug()
    );
    let hint = "its lines end as on Windows, with a carriage return: write them with line feeds alone";
    Some((reason, interpreter.ends_with('\r').then_some(hint)))
}

#[cfg(not(unix))]
fn gated_command(_: &Program<'_>, name: &str) -> Result<Command, NodeError> {
    Ok(Command::new(name))
}

/// A program behind its gate, and its outputs.
pub(super) struct Spawned {
    pub(super) child: Child,
    pub(super) out: Option<Pipe>,
    pub(super) err: Option<Pipe>,
}

type Pipe = Box<dyn AsyncRead + Send + Unpin>;

pub(super) fn spawn(program: &Program<'_>, token: &str) -> Result<Spawned, NodeError> {
    let (name, arguments) = program
        .argv
        .split_first()
        .ok_or_else(|| NodeError::new("empty_command", "a command names no program").permanent())?;
    let mut command = gated_command(program, name)?;
    command
        .args(arguments)
        .current_dir(program.working_dir)
        .env_clear()
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .env(TOKEN_VARIABLE, token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let started = match program.has_terminal {
        true => super::terminal::spawn(command),
        false => spawn_in_session(command),
    };
    started.map_err(|error| spawn_error(&error, name, program.working_dir))
}

/// Starts a program in a session without a terminal.
fn spawn_in_session(mut command: Command) -> io::Result<Spawned> {
    #[cfg(unix)]
    {
        use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
        // Only what it does to a command is wanted: children are waited for and ended here.
        ProcessSession.pre_spawn(&mut command, &CommandWrap::with_new("", |_| {}))?;
    }
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    Ok(Spawned {
        child,
        out: out.map(|pipe| Box::new(pipe) as Pipe),
        err: err.map(|pipe| Box::new(pipe) as Pipe),
    })
}

fn spawn_error(source: &io::Error, name: &str, working_dir: &Path) -> NodeError {
    if !working_dir.is_dir() {
        let what = match working_dir.exists() {
            true => "is no directory",
            false => "does not exist",
        };
        let message = format!("the working directory `{}` {what}", working_dir.display());
        return NodeError::new("working_dir", message).permanent();
    }
    let error = NodeError::new(
        "command_not_started",
        format!("`{name}` cannot be started: {source}"),
    );
    if source.kind() == io::ErrorKind::ArgumentListTooLong {
        return error.permanent().with_hint(
            "one argument or variable of a program has at most 128 KiB on Linux: give what is longer by `stdin`, or by a file",
        );
    }
    match name.split_once(' ') {
        Some((program, _)) if !program.is_empty() => error.with_hint(format!(
            "the first item of a list is the program alone: give `{program}` and its arguments as items of their own, or write \
             the command as one text, which a shell reads"
        )),
        _ => error,
    }
}
