mod members;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dad_core::{SecretRegistry, StreamRedactor};
use dad_fs::{AppendFile, Dir};
use dad_run::layout::{STDERR, STDOUT};
use dad_run::{TOKEN_VARIABLE, process_start_time};
use dad_runner::{Guard, NodeContext, NodeError, look};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use self::members::{MOST_SHOWN, Member, inside, left_of, members_of, stopped};

/// Variables a child gets from the environment of this process; nothing else passes unless it is named.
const PASSED_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SYSTEMROOT",
    "PATHEXT",
    "COMSPEC",
];

/// What a program that is started by the command line gets of the environment of this process: no keys.
pub fn passed_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    PASSED_VARIABLES
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// A variable of this process that is passed on.
pub(crate) fn passed(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|_| PASSED_VARIABLES.contains(&name))
}

/// How much of an output a result holds at its beginning and at its end, in bytes; the log files hold all of it.
const KEPT: usize = 128 * 1024;

/// Time between asking a process group to end and ending it.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// Time for what was printed to arrive, after the program has ended.
const DRAIN: Duration = Duration::from_millis(300);

/// Time between two looks at whether processes have ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The code of an output that is too long.
pub(crate) const OUTPUT_TOO_LONG: &str = "output_too_long";

/// The variable that may hold the user's origin key, with which runs are signed: no child of a run gets it.
pub(crate) const ORIGIN_KEY: &str = "DHENARA_ORIGIN_KEY";

/// Names of environment variables that end so hold secrets.
const SECRET_ENDINGS: &[&str] = &["_TOKEN", "_KEY", "_SECRET", "_PASSWORD", "_CREDENTIALS"];

/// A program to run.
pub(crate) struct Program<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) working_dir: &'a Path,
    pub(crate) env: &'a [(String, OsString)],
    pub(crate) stdin: Option<&'a str>,
    pub(crate) timeout: Duration,
    /// How many bytes of each of its outputs are kept; one that prints more is ended.
    pub(crate) longest_output: u64,
    /// Whether it ends with the thread that started it, so that this is one of a process that stays.
    pub(crate) ends_with_thread: bool,
    /// Whether it has a terminal of its own, on which its outputs are one.
    pub(crate) has_terminal: bool,
}

/// How a program ended.
pub(crate) struct Finished {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The name of the signal that ended it.
    pub(crate) signal: Option<&'static str>,
    pub(crate) stdout: String,
    /// How many bytes of it the log has got.
    pub(crate) stdout_len: u64,
    pub(crate) stderr: String,
    pub(crate) timed_out: bool,
    /// Whether a signal had stopped it at its time limit.
    pub(crate) is_stopped: bool,
    /// Whether it was ended because it printed too much.
    pub(crate) is_cut: bool,
    /// Whether a process that left the group still holds its output, of which nothing more is read.
    pub(crate) abandoned: bool,
    /// What it left running in its session, and the signal that ended that.
    pub(crate) ended: Vec<Ended>,
    /// What left its session and goes on.
    pub(crate) left_running: Vec<Member>,
}

/// A process that a program left running and that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    pub(crate) command: String,
    pub(crate) by: &'static str,
}

/// Files that output is streamed to.
pub(crate) struct Logs {
    stdout: AppendFile,
    stderr: AppendFile,
    /// Whether each ends in the midst of a line.
    has_open_line: [bool; 2],
}

/// Environment of a child: the passed variables, those named, then those given.
pub(crate) fn environment<'a>(
    inherit: impl Iterator<Item = &'a str>,
    given: impl Iterator<Item = (String, String)>,
) -> Vec<(String, OsString)> {
    let inherit = inherit.filter(|name| *name != ORIGIN_KEY);
    let names = PASSED_VARIABLES.iter().copied().chain(inherit);
    let passed = names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
    let given = given.map(|(name, value)| (name, value.into()));
    passed.chain(given).collect()
}

/// Refuses variables whose values are no text: neither could a secret in them be masked, nor are they compared by a re-run.
pub(crate) fn check_texts<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), NodeError> {
    let is_other = |name: &&str| matches!(std::env::var(name), Err(std::env::VarError::NotUnicode(_)));
    let Some(name) = names.find(is_other) else {
        return Ok(());
    };
    let message = format!("the environment variable `{name}`, which `inherit_env` names, is no UTF-8 text");
    let hint = "set it to a text, or give the command the name of a file that holds the bytes";
    Err(NodeError::new("inherit_env", message).with_hint(hint).permanent())
}

/// The values of variables that are passed on by name and hold secrets by theirs.
pub(crate) fn inherited_secrets<'a>(inherit: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let secret = inherit.filter(|name| is_secret(name));
    secret.filter_map(|name| std::env::var(name).ok())
}

/// Variables with their values.
pub(crate) fn values_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, Option<String>)> {
    let value = |name: &str| (name.to_owned(), std::env::var(name).ok());
    names.map(value).collect()
}

/// Whether a variable holds a secret, by its name.
pub(crate) fn is_secret(name: &str) -> bool {
    let upper = name.to_uppercase();
    SECRET_ENDINGS.iter().any(|ending| upper.ends_with(ending))
}

impl Logs {
    /// Those of a step, in its directory.
    pub(crate) fn of_step(dir: &Dir) -> Result<Self, NodeError> {
        Ok(Self {
            stdout: dir.append(STDOUT)?,
            stderr: dir.append(STDERR)?,
            has_open_line: [false; 2],
        })
    }

    /// Ends lines that a program has left open, so that what another one prints begins on a line of its own.
    fn end_lines(&mut self) -> Result<(), NodeError> {
        for (log, is_open) in [&mut self.stdout, &mut self.stderr]
            .into_iter()
            .zip(self.has_open_line)
        {
            if is_open {
                log.append(b"\n")?;
            }
        }
        Ok(())
    }
}

/// Runs a program in a session and process group of its own, which is ended as a whole: on timeout and cancellation, and when
/// the program has ended, because what it leaves behind would keep its output open. Only a process that left the session
/// (`setsid`) goes on. It has no terminal, or one of its own, so that it does not wait for the user of the run.
pub(crate) async fn run(
    program: &Program<'_>,
    logs: &mut Logs,
    cx: &NodeContext,
) -> Result<Finished, NodeError> {
    logs.end_lines()?;
    let Spawned { mut child, out, err } = spawn(program, cx.run().process_token())?;
    let group = Group {
        id: child.id(),
        guard: Some(cx.guard()),
        is_sandboxed: program.ends_with_thread,
    };
    if let Some(pgid) = group.id {
        cx.process_started(pgid, process_start_time(pgid))?;
    }
    let stdin = let_begin(child.stdin.take(), program).await;
    let longest = program.longest_output;
    let mut out = Capture::new(out, &mut logs.stdout, longest, cx.run().secrets());
    let mut err = Capture::new(err, &mut logs.stderr, longest, cx.run().secrets());
    let mut timed_out = false;
    let mut is_stopped = false;
    let mut is_cut = false;
    let mut abandoned = false;
    let mut ended = Vec::new();
    let status = {
        let talk = async { tokio::try_join!(feed(stdin, program.stdin), out.read(), err.read()).map(drop) };
        let mut talk = std::pin::pin!(talk);
        let mut limit = std::pin::pin!(tokio::time::sleep(program.timeout));
        let mut heard = false;
        let over = loop {
            tokio::select! {
                status = child.wait() => break Some(status),
                talked = &mut talk, if !heard => {
                    heard = true;
                    match talked {
                        Err(error) if error.info.code == OUTPUT_TOO_LONG => {
                            is_cut = true;
                            break None;
                        }
                        talked => talked?,
                    }
                }
                () = &mut limit => {
                    timed_out = true;
                    is_stopped = !group.look_at(stopped).await.is_empty();
                    break None;
                }
                () = cx.cancelled() => break None,
            }
        };
        let is_its_own = over.is_some();
        let status = match over {
            Some(status) => status,
            None => group.end(&mut child, &mut talk, &mut heard).await?,
        };
        // What was printed is there already; longer waits only for what was left behind.
        if !heard {
            heard = within(DRAIN, &mut talk).await?;
        }
        let left = group.end_leftovers().await;
        // A program that was ended itself says why in its failure.
        if is_its_own {
            ended = left;
        }
        if !heard {
            abandoned = !within(DRAIN, &mut talk).await?;
        }
        status
    };
    let status = status.map_err(|error| NodeError::from_error("command", &error))?;
    // What was ended from outside may have been in the midst of a word.
    let whole = status.code().is_some() && !timed_out && !is_cut && !abandoned && !cx.is_cancelled();
    let (stdout, stdout_len) = out.finish(whole)?;
    let stderr = err.finish(whole)?.0;
    let is_open = |text: &String| !text.is_empty() && !text.ends_with('\n');
    logs.has_open_line = [is_open(&stdout), is_open(&stderr)];
    Ok(Finished {
        code: status.code(),
        signal: signal_of(status),
        stdout,
        stdout_len,
        stderr,
        timed_out,
        is_stopped,
        is_cut,
        abandoned,
        ended,
        left_running: group.left_running(cx.run().process_token()).await,
    })
}

/// Whether a talk comes to its end in time.
async fn within(
    time: Duration,
    talk: &mut (impl Future<Output = Result<(), NodeError>> + Unpin),
) -> Result<bool, NodeError> {
    match tokio::time::timeout(time, talk).await {
        Ok(talked) => talked.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// A process group. It is ended when this is dropped, and its step is not over before.
struct Group {
    id: Option<u32>,
    guard: Option<Guard>,
    /// Whether it holds a sandbox, with which everything in it ends.
    is_sandboxed: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        signal_group(self.id, Signal::Kill);
        let (id, guard) = (self.id, self.guard.take());
        if has_members(id)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Killed is not gone yet: what it has open is still being closed.
            runtime.spawn(async move {
                gone(id).await;
                drop(guard);
            });
        }
    }
}

/// Waits until a process group has no members, but no longer than they may take to end.
async fn gone(group: Option<u32>) {
    let since = tokio::time::Instant::now();
    while has_members(group) && since.elapsed() < DRAIN {
        tokio::time::sleep(PAUSE).await;
    }
}

impl Group {
    /// Asks every process of the group to end, and after a while ends those that did not. Reads on meanwhile: a program
    /// that writes its last words must not wait for that.
    async fn end(
        &self,
        child: &mut Child,
        talk: &mut (impl Future<Output = Result<(), NodeError>> + Unpin),
        heard: &mut bool,
    ) -> Result<io::Result<std::process::ExitStatus>, NodeError> {
        self.ask_to_end().await;
        let mut grace = std::pin::pin!(tokio::time::sleep(TERM_GRACE));
        let mut is_over = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    // Grandchildren that ignored the request are still in the group.
                    signal_group(self.id, Signal::Kill);
                    return Ok(status);
                }
                talked = &mut *talk, if !*heard => {
                    *heard = true;
                    talked?;
                }
                () = &mut grace, if !is_over => {
                    is_over = true;
                    signal_group(self.id, Signal::Kill);
                    // Where there are no groups, at least the child itself ends.
                    drop(child.start_kill());
                }
            }
        }
    }

    /// Asks every process to end; in a sandbox those in it, because it would end them all at once.
    async fn ask_to_end(&self) {
        let group = self.id.filter(|_| self.is_sandboxed);
        let inside = look(move |_| Ok(group.map(inside).unwrap_or_default()));
        let inside = inside.await.unwrap_or_default();
        match inside.is_empty() {
            true => signal_group(self.id, Signal::Terminate),
            false => inside.into_iter().for_each(|pid| signal(pid, Signal::Terminate)),
        }
    }

    /// Ends what a program that has ended left running in its session, and says what that was.
    async fn end_leftovers(&self) -> Vec<Ended> {
        let left = self.look_at(members_of).await;
        if left.is_empty() && !has_members(self.id) {
            return Vec::new();
        }
        signal_group(self.id, Signal::Terminate);
        // A shell gives each of its jobs a group, if it has a terminal.
        left.iter()
            .for_each(|member| signal(member.pid, Signal::Terminate));
        let since = tokio::time::Instant::now();
        let mut still = left.clone();
        while (has_members(self.id) || !still.is_empty()) && since.elapsed() < DRAIN {
            tokio::time::sleep(PAUSE).await;
            still = self.look_at(members_of).await;
        }
        signal_group(self.id, Signal::Kill);
        still.iter().for_each(|member| signal(member.pid, Signal::Kill));
        let ended = left.into_iter().map(|member| Ended {
            by: match still.iter().any(|other| other.pid == member.pid) {
                true => "SIGKILL",
                false => "SIGTERM",
            },
            command: member.command,
        });
        ended.take(MOST_SHOWN).collect()
    }

    /// What the program started, left the session, and goes on.
    async fn left_running(&self, token: &str) -> Vec<Member> {
        let token = token.to_owned();
        self.look_at(move |gate| left_of(gate, &token)).await
    }

    /// Looks at the processes of this machine, which only Linux shows.
    async fn look_at(&self, at: impl FnOnce(u32) -> Vec<Member> + Send + 'static) -> Vec<Member> {
        let Some(group) = self.id.filter(|_| cfg!(target_os = "linux")) else {
            return Vec::new();
        };
        look(move |_| Ok(at(group))).await.unwrap_or_default()
    }
}

/// What a program stands behind: it begins when it is told to, which is after its process has been recorded. If nobody is
/// left to tell it, it ends, so that a crash leaves no process that nobody knows of.
const BEGIN: &str = "begin";

/// The command behind a shell that waits for [`BEGIN`] on its standard input, of which it reads no more than that line.
#[cfg(unix)]
fn behind_gate(program: &Program<'_>, name: &str) -> Result<Command, NodeError> {
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
const GATE_VARIABLE: &str = "DHENARA_COMMAND";

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
fn behind_gate(_: &Program<'_>, name: &str) -> Result<Command, NodeError> {
    Ok(Command::new(name))
}

/// Lets a program begin; its input comes behind that.
async fn let_begin(mut stdin: Option<ChildStdin>, program: &Program<'_>) -> Option<ChildStdin> {
    if cfg!(unix)
        && let Some(pipe) = &mut stdin
    {
        // If it is gone already, that is told by how it ended.
        drop(pipe.write_all(format!("{BEGIN}\n").as_bytes()).await);
    }
    stdin.filter(|_| program.stdin.is_some())
}

/// A program behind its gate, and its outputs.
struct Spawned {
    child: Child,
    out: Option<Pipe>,
    err: Option<Pipe>,
}

type Pipe = Box<dyn AsyncRead + Send + Unpin>;

fn spawn(program: &Program<'_>, token: &str) -> Result<Spawned, NodeError> {
    let (name, arguments) = program
        .argv
        .split_first()
        .ok_or_else(|| NodeError::new("empty_command", "a command names no program").permanent())?;
    let mut command = behind_gate(program, name)?;
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
        true => terminal::spawn(command),
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

/// What ended a program that did not end itself.
#[cfg(unix)]
fn signal_of(status: std::process::ExitStatus) -> Option<&'static str> {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal as Number;
    let name = match Number::from_named_raw(status.signal()?)? {
        Number::ABORT => "SIGABRT",
        Number::BUS => "SIGBUS",
        Number::FPE => "SIGFPE",
        Number::HUP => "SIGHUP",
        Number::ILL => "SIGILL",
        Number::INT => "SIGINT",
        Number::KILL => "SIGKILL",
        Number::PIPE => "SIGPIPE",
        Number::SEGV => "SIGSEGV",
        Number::TERM => "SIGTERM",
        Number::XCPU => "SIGXCPU, the limit of `cpu_seconds`",
        Number::XFSZ => "SIGXFSZ, the limit of `file_size_mib`",
        _ => return None,
    };
    Some(name)
}

#[cfg(not(unix))]
fn signal_of(_: std::process::ExitStatus) -> Option<&'static str> {
    None
}

async fn feed(stdin: Option<ChildStdin>, text: Option<&str>) -> Result<(), NodeError> {
    if let (Some(mut pipe), Some(text)) = (stdin, text) {
        // A program that does not read its input closes the pipe, which is its own business.
        drop(pipe.write_all(text.as_bytes()).await);
    }
    Ok(())
}

/// Streams a pipe to its log, secrets masked, and keeps the beginning and the end.
struct Capture<'a, P> {
    pipe: Option<P>,
    masked: StreamRedactor,
    output: Output<'a>,
    /// Bytes of a character that was cut.
    carry: Vec<u8>,
}

/// Where an output goes.
struct Output<'a> {
    log: &'a mut AppendFile,
    kept: Kept,
    /// How many bytes the log may have, and whether there were more.
    longest: u64,
    is_full: bool,
}

impl<'a, P: AsyncRead + Unpin> Capture<'a, P> {
    fn new(pipe: Option<P>, log: &'a mut AppendFile, longest: u64, secrets: &SecretRegistry) -> Self {
        Self {
            pipe,
            masked: secrets.stream(),
            output: Output {
                log,
                kept: Kept::default(),
                longest,
                is_full: false,
            },
            carry: Vec::new(),
        }
    }

    /// Reads to the end of the pipe. What was read stays if nobody waits for the rest.
    ///
    /// # Errors
    /// [`OUTPUT_TOO_LONG`] when there is more than is kept.
    async fn read(&mut self) -> Result<(), NodeError> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let read = pipe
                .read(&mut buffer)
                .await
                .map_err(|error| NodeError::from_error("command", &error))?;
            if read == 0 {
                return Ok(());
            }
            self.carry.extend_from_slice(&buffer[..read]);
            let text = self.masked.push(&take_text(&mut self.carry));
            self.output.keep(&text)?;
            if self.output.is_full {
                return Err(NodeError::new(OUTPUT_TOO_LONG, "a program prints too much"));
            }
        }
    }

    fn finish(mut self, whole: bool) -> Result<(String, u64), NodeError> {
        let mut last = self.masked.push(&String::from_utf8_lossy(&self.carry));
        last += &match whole {
            true => self.masked.finish(),
            false => self.masked.finish_cut(),
        };
        if !last.is_empty() && !self.output.is_full {
            self.output.keep(&last)?;
        }
        let len = self.output.kept.len;
        Ok((self.output.kept.into_text(), len))
    }
}

impl Output<'_> {
    /// Keeps a text as far as there is room, and says so behind the last that is kept.
    fn keep(&mut self, text: &str) -> Result<(), NodeError> {
        let left = self.longest.saturating_sub(self.kept.len);
        let mut room = usize::try_from(left).unwrap_or(usize::MAX).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.add(&text[..room])?;
        if room < text.len() {
            self.is_full = true;
            let note = format!(
                "\n… cut at {} bytes, the limit of `output_mib` …\n",
                self.kept.len
            );
            self.add(&note)?;
        }
        Ok(())
    }

    fn add(&mut self, text: &str) -> Result<(), NodeError> {
        self.log.append(text.as_bytes())?;
        self.kept.push(text);
        Ok(())
    }
}

/// Takes all whole characters off the front; the bytes of one that was cut stay.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// The beginning and the end of a text of any length.
#[derive(Default)]
struct Kept {
    head: String,
    tail: std::collections::VecDeque<u8>,
    len: u64,
}

impl Kept {
    fn push(&mut self, text: &str) {
        self.len += text.len() as u64;
        let mut room = (2 * KEPT).saturating_sub(self.head.len()).min(text.len());
        if !self.tail.is_empty() {
            room = 0;
        }
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.head.push_str(&text[..room]);
        let rest = &text.as_bytes()[room..];
        self.tail.extend(&rest[rest.len().saturating_sub(KEPT)..]);
        let surplus = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..surplus);
    }

    fn into_text(self) -> String {
        if self.tail.is_empty() {
            return self.head;
        }
        let mut cut = KEPT;
        while !self.head.is_char_boundary(cut) {
            cut -= 1;
        }
        // What the head holds beyond its share belongs to the end.
        let end: Vec<u8> = self.head.as_bytes()[cut..]
            .iter()
            .copied()
            .chain(self.tail)
            .collect();
        let end = &end[end.len().saturating_sub(KEPT)..];
        let end = String::from_utf8_lossy(end);
        let left_out = self.len - (cut + end.len()) as u64;
        format!(
            "{}\n… {left_out} of {} bytes left out …\n{end}",
            &self.head[..cut],
            self.len
        )
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

#[cfg(unix)]
impl Signal {
    const fn number(self) -> rustix::process::Signal {
        match self {
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Kill => rustix::process::Signal::KILL,
        }
    }
}

#[cfg(unix)]
fn signal_group(group: Option<u32>, signal: Signal) {
    use rustix::process::{Pid, kill_process_group};
    let pid = group
        .and_then(|group| i32::try_from(group).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(pid, signal.number());
    }
}

#[cfg(not(unix))]
fn signal_group(_: Option<u32>, _: Signal) {}

#[cfg(unix)]
fn signal(pid: u32, signal: Signal) {
    use rustix::process::{Pid, kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|pid| !pid.is_init()) {
        // One that is gone already is what was wanted.
        let _ = kill_process(pid, signal.number());
    }
}

#[cfg(not(unix))]
fn signal(_: u32, _: Signal) {}

/// Whether there are processes in a group, perhaps only such that have ended.
#[cfg(unix)]
fn has_members(group: Option<u32>) -> bool {
    use rustix::process::{Pid, test_kill_process_group};
    let pid = group
        .and_then(|group| i32::try_from(group).ok())
        .and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process_group(pid).is_ok())
}

#[cfg(not(unix))]
fn has_members(_: Option<u32>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end() {
        let mut kept = Kept::default();
        let line = "0123456789é\n";
        for _ in 0..100_000 {
            kept.push(line);
        }
        kept.push("the end");
        let text = kept.into_text();
        assert!(text.len() < 2 * KEPT + 100, "{}", text.len());
        assert!(text.starts_with(line) && text.ends_with("the end"));
        assert!(
            text.contains("of 1300007 bytes left out"),
            "the true length is told"
        );
        let mut short = Kept::default();
        short.push("short");
        assert_eq!(short.into_text(), "short");
    }

    #[test]
    fn a_cut_character_waits_for_its_rest() {
        let mut bytes = "aé".as_bytes()[..2].to_vec();
        assert_eq!(take_text(&mut bytes), "a");
        bytes.extend(&"é".as_bytes()[1..]);
        assert_eq!(take_text(&mut bytes), "é");
        assert!(bytes.is_empty());
    }
}
