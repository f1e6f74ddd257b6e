//! A terminal as a person has it: what a program shows on it, and keys.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

use crate::harness::TestEnvironment;

/// The time in which anything must appear; machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The usual terminal.
const USUAL: Shape = Shape {
    columns: 100,
    rows: 40,
};

/// The columns and rows of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

/// A wide and a narrow terminal.
pub(crate) const SHAPES: [Shape; 2] = [
    Shape {
        columns: 100,
        rows: 30,
    },
    Shape {
        columns: 60,
        rows: 20,
    },
];

pub(crate) const UP: &str = "\x1b[A";
pub(crate) const DOWN: &str = "\x1b[B";
pub(crate) const ENTER: &str = "\r";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
pub(crate) const CTRL_G: &str = "\x07";

/// A program and the terminal it runs at.
pub(crate) struct Terminal<'a> {
    env: &'a TestEnvironment,
    pty: Arc<Pty>,
    shown: Arc<Mutex<vt100::Parser>>,
    /// The columns that are looked at.
    columns: u16,
    reader: Option<JoinHandle<()>>,
    child: Child,
}

/// The end of a program at a terminal.
pub(crate) struct AtEnd {
    /// Standard output, where it is no part of the terminal.
    pub(crate) stdout: String,
    /// `exit status: 0`, or the signal.
    pub(crate) status: String,
    pub(crate) screen: String,
}

/// The lines that a program printed at a terminal.
pub(crate) struct Printed {
    pub(crate) lines: Vec<String>,
    /// The same with the codes of its colours.
    pub(crate) formatted: String,
    pub(crate) status: String,
}

impl TestEnvironment {
    /// Starts `dhenara` in the project, at a terminal.
    pub(crate) fn dhenara_at_terminal(&self, args: &[&str]) -> Terminal<'_> {
        self.at_terminal(env!("CARGO_BIN_EXE_dhenara-under-test"), args, &[])
    }

    /// Starts the program that asks, at a terminal.
    pub(crate) fn asking(&self, what: &str, environment: &[(&str, &str)]) -> Terminal<'_> {
        let project = self.project();
        let args = [project.to_str().unwrap(), what];
        self.at_terminal(env!("CARGO_BIN_EXE_asking"), &args, environment)
    }

    /// Starts a program in the project, at a terminal of 100 columns.
    pub(crate) fn at_terminal(
        &self,
        program: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal<'_> {
        let command = Command::new(program).args(args).stdout(Stdio::piped());
        self.start_at_terminal(USUAL, USUAL, environment, command)
    }

    /// The screen of a terminal of so many columns, at most 100, on which `dhenara` has shown its result.
    pub(crate) fn result_at_terminal(&self, columns: u16, args: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        let shape = Shape { columns, ..USUAL };
        let terminal = self.start_at_terminal(shape, shape, &[], Command::new(program).args(args));
        let AtEnd { status, screen, .. } = terminal.ends();
        assert_eq!(status, "exit status: 0", "{screen}");
        screen
    }

    /// Starts a program whose result is shown at a terminal too.
    pub(crate) fn showing(&self, program: &str, args: &[&str], environment: &[(&str, &str)]) -> Terminal<'_> {
        self.start_at_terminal(USUAL, USUAL, environment, Command::new(program).args(args))
    }

    /// Starts `dhenara` in the project, at a terminal of a shape.
    pub(crate) fn dhenara_at_shape(&self, shape: Shape, args: &[&str]) -> Terminal<'_> {
        let command = Command::new(env!("CARGO_BIN_EXE_dhenara-under-test")).args(args);
        self.start_at_terminal(shape, shape, &[], command)
    }

    /// All that `dhenara` shows at a terminal of a shape, with its lines as it breaks them itself.
    pub(crate) fn printed_at(&self, shape: Shape, environment: &[(&str, &str)], args: &[&str]) -> Printed {
        /// So large that nothing is broken by it, and nothing leaves it at the top.
        const PAPER: Shape = Shape {
            columns: 400,
            rows: 500,
        };
        let command = Command::new(env!("CARGO_BIN_EXE_dhenara-under-test")).args(args);
        let terminal = self.start_at_terminal(shape, PAPER, environment, command);
        let shown = Arc::clone(&terminal.shown);
        let AtEnd { status, .. } = terminal.ends();
        let shown = shown.lock().unwrap();
        let rows = shown.screen().rows(0, PAPER.columns);
        let lines: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        Printed {
            lines: lines.join("\n").trim_end().lines().map(str::to_owned).collect(),
            formatted: shown.screen().contents_formatted(),
            status,
        }
    }

    fn start_at_terminal(
        &self,
        shape: Shape,
        looked_at: Shape,
        environment: &[(&str, &str)],
        command: Command,
    ) -> Terminal<'_> {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(shape.rows, shape.columns)).unwrap();
        let child = command
            .current_dir(self.project())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("DHENARA_ORIGIN_KEY", dad_tests::hex_key())
            .env("TMPDIR", self.path("tmp"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm-256color")
            .env("PAGER", "cat")
            .envs(environment.iter().copied())
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let size = |number| NonZeroU16::new(number).unwrap();
        let shown = Arc::new(Mutex::new(vt100::Parser::new(
            size(looked_at.rows),
            size(looked_at.columns),
            0,
        )));
        let reader = std::thread::spawn({
            let (pty, shown) = (Arc::clone(&pty), Arc::clone(&shown));
            move || read_all(&pty, &shown)
        });
        Terminal {
            env: self,
            pty,
            shown,
            columns: looked_at.columns,
            reader: Some(reader),
            child,
        }
    }
}

fn read_all(pty: &Pty, shown: &Mutex<vt100::Parser>) {
    let mut buffer = [0; 4096];
    // It fails when no reader is at the other end any more.
    while let Ok(count @ 1..) = (&mut &*pty).read(&mut buffer) {
        shown.lock().unwrap().process(&buffer[..count]);
    }
}

impl Terminal<'_> {
    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) -> &Self {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Types an answer and Enter.
    pub(crate) fn answer(&self, text: &str) -> &Self {
        self.press(text).press(ENTER)
    }

    /// The text on the screen, without blanks at the ends of lines.
    pub(crate) fn screen(&self) -> String {
        let shown = self.shown.lock().unwrap();
        // Row by row: what moves on the screen fills its rows, and would be taken for one line that goes on.
        let rows: Vec<String> = shown.screen().rows(0, self.columns).collect();
        let lines: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
        self.env.shown(lines.join("\n").trim_end())
    }

    /// The text on the screen when nothing moves on it any more.
    pub(crate) fn still(&self) -> String {
        let mut before = self.screen();
        loop {
            std::thread::sleep(Duration::from_millis(150));
            let now = self.screen();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> &Self {
        self.wait(&format!("it shows {text:?}"), |terminal| {
            terminal.screen().contains(text)
        })
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> &Self {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited until {what}:\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Whether the terminal gives whole lines, as it does when no prompt is open.
    pub(crate) fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        let shown = self.shown.lock().unwrap();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !shown.screen().hide_cursor()
            && !shown.screen().bracketed_paste()
    }

    /// Sends the process a signal by its name.
    pub(crate) fn signal(&self, name: &str) -> &Self {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
        self
    }

    /// Waits for the end. The terminal must be as it was before.
    #[track_caller]
    pub(crate) fn ends(mut self) -> AtEnd {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut stdout = String::new();
        if let Some(mut piped) = self.child.stdout.take() {
            piped.read_to_string(&mut stdout).unwrap();
        }
        self.reader.take().unwrap().join().unwrap();
        assert!(
            self.is_as_before(),
            "the terminal is not as it was:\n{}",
            self.screen()
        );
        AtEnd {
            stdout: self.env.shown(&stdout),
            status: status.to_string(),
            screen: self.screen(),
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // Only of a test that has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A script that a test uses as an editor.
pub(crate) fn editor(env: &TestEnvironment, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = env.write("editor.sh", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}
