//! Texts in the editor of the person.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dad_fs::{Dir, Durability};

use crate::error::TerminalError;
use crate::screen::is_forbidden;

/// The interval at which the end of the editor is checked.
const TICK: Duration = Duration::from_millis(50);

/// The time in which an editor that is asked to end must end.
const GRACE: Duration = Duration::from_secs(2);

/// The command of the person's editor, from `VISUAL`, else `EDITOR`.
pub(crate) fn editor() -> Option<String> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR"))
}

/// The command with which the system opens a directory.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(windows) {
    "explorer"
} else {
    "xdg-open"
};

/// Opens a file or directory in the person's editor, and waits until that has ended. Without an editor in `VISUAL` or `EDITOR`,
/// the system opens it.
///
/// # Errors
/// If neither can be started, or it fails.
pub fn open_in_editor(path: &Path) -> Result<(), TerminalError> {
    let editor = editor().unwrap_or_else(|| OPENER.to_owned());
    let failed = |reason: String| TerminalError::Editor {
        editor: editor.clone(),
        reason,
    };
    let mut child = command(&editor, path)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("ended with {status}")))
}

/// Opens a page in the browser named by `BROWSER`, else in what the system opens pages with, and does not wait for it.
///
/// # Errors
/// If it cannot be started.
pub fn open_in_browser(page: &Path) -> Result<(), TerminalError> {
    let named = std::env::var("BROWSER")
        .ok()
        .filter(|value| !value.trim().is_empty());
    let browser = named.unwrap_or_else(|| OPENER.to_owned());
    let started = command(&browser, page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.map_err(|error| TerminalError::Browser {
        browser,
        reason: error.to_string(),
    })?;
    // A browser that is the first of its kind goes on as long as its window is open.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// The command that shows long texts: `PAGER`, else `less`.
pub(crate) fn pager() -> String {
    let named = std::env::var("PAGER")
        .ok()
        .filter(|value| !value.trim().is_empty());
    named.unwrap_or_else(|| "less".to_owned())
}

/// The command that shows long results: `PAGER`, else `less`; `None` if the person wants none.
pub(crate) fn result_pager() -> Option<String> {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    Some(pager).filter(|pager| !matches!(pager.trim(), "" | "cat"))
}

/// Lets the person write a text in an editor, and returns it without the line feed at its end. If `stop` says that
/// the question was dropped, the editor is ended.
pub(crate) fn edit(
    editor: &str,
    begun: &str,
    extension: &str,
    stop: &AtomicBool,
) -> Result<String, TerminalError> {
    let failed = |reason: String| TerminalError::Editor {
        editor: editor.to_owned(),
        reason,
    };
    let no_file = |error: dad_fs::FsError| failed(format!("has no file to write to: {error}"));
    let place = Place::new().map_err(no_file)?;
    let name = format!("text.{extension}");
    place
        .dir
        .write_new(&name, begun.as_bytes(), Durability::Process)
        .map_err(no_file)?;
    let child = command(editor, &place.dir.path().join(&name))
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let _kept = Modes::keep();
    wait(child, stop).map_err(|reason| match reason {
        None if is_forbidden() => TerminalError::NoTerminal,
        None => TerminalError::Interrupted,
        Some(reason) => failed(reason),
    })?;
    let bytes = place.dir.read(&name).map_err(no_file)?;
    let text = String::from_utf8(bytes).map_err(|_| failed("left a file that is no UTF-8".to_owned()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// The editor's value may hold arguments and quotes, so a shell reads it, as git does; the file is an argument and is
/// not read as code.
#[cfg(unix)]
fn command(editor: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg(editor)
        .arg(file);
    // Standard output belongs to the result of the run; the screen is standard error.
    command.stdout(std::io::stderr());
    command
}

#[cfg(not(unix))]
fn command(editor: &str, file: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(editor));
    command.args(words).arg(file);
    command
}

/// Waits for the editor. The error is `None` if the question was dropped.
fn wait(mut child: Child, stop: &AtomicBool) -> Result<(), Option<String>> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(Some(format!("ended with {status}"))),
            Ok(None) => {}
            Err(error) => return Err(Some(error.to_string())),
        }
        if stop.load(Ordering::Acquire) || is_forbidden() {
            end(child);
            return Err(None);
        }
        std::thread::sleep(TICK);
    }
}

/// Asks the editor to end, so that it leaves the screen as it found it, and ends it if it does not.
fn end(mut child: Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(TICK);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The modes of the terminal, given back when this is dropped: not every editor does it, least of all one that dies.
struct Modes {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Modes {
    fn keep() -> Self {
        Self {
            #[cfg(unix)]
            before: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            use rustix::termios::{OptionalActions, tcsetattr};
            // Nothing more can be done for a terminal that is gone.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// A directory of its own for the file, removed when this is dropped.
struct Place {
    parent: Dir,
    name: String,
    dir: Dir,
}

impl Place {
    fn new() -> Result<Self, dad_fs::FsError> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let parent = Dir::open(std::env::temp_dir())?;
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("dhenara_text_{}_{number}", std::process::id());
            match parent.create_dir(&name) {
                Ok(dir) => {
                    let place = Self { parent, name, dir };
                    place.make_private();
                    return Ok(place);
                }
                // Left behind by a process that had this number before.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Others of this machine have no business with what is written here.
    fn make_private(&self) {
        // Where it cannot be said, as on some mounted disks, the text is no more private than everything else there.
        #[cfg(unix)]
        let _ = rustix::fs::chmod(self.dir.path(), rustix::fs::Mode::RWXU);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is cleaned up with everything else in the directory for such files.
        let _ = self.parent.remove_dir_all(&self.name);
    }
}
