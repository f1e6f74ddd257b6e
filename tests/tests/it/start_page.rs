//! `docs/start.md`: its files are written and its commands executed from top to bottom, in an empty directory, and each
//! output is compared with the page.
//!
//! `UPDATE_START_PAGE=1` writes the outputs into the page.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::harness::{TestEnvironment, workspace};
use crate::pages::blocks;

/// A shell that finds the command, and stays where it went.
pub(crate) struct Shell {
    pub(crate) env: TestEnvironment,
    dir: PathBuf,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let env = TestEnvironment::without_project();
        let bin = env.path("bin");
        std::fs::create_dir(&bin).unwrap();
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        std::os::unix::fs::symlink(program, bin.join("dhenara")).unwrap();
        let dir = env.project();
        Self { env, dir }
    }

    /// Everything that a script prints, as a terminal shows it.
    pub(crate) fn execute(&mut self, script: &str) -> String {
        let place = self.env.path("tmp/place");
        let script = format!("exec 2>&1\nset -e\n{script}pwd > '{}'\n", place.display());
        let mut command = self.env.command("sh", &self.dir);
        let path = format!(
            "{}:{}",
            self.env.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        command.env("PATH", path).args(["-c", &script]);
        let output = self.env.finish(command.stdout(Stdio::piped()).spawn().unwrap());
        assert_eq!(output.code, Some(0), "{script}\n{}", output.stdout);
        self.dir = std::fs::read_to_string(place).unwrap().trim_end().into();
        let home = self.env.project().display().to_string();
        let lines = output.stdout.replace(&home, "~");
        lines
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }
}

/// A text without what differs from run to run: ids, times and durations.
fn without_changes(text: &str) -> String {
    let mut text = text.to_owned();
    for prefix in ["run_", "rerun_"] {
        let mut from = 0;
        while let Some(at) = text[from..].find(prefix) {
            let begin = from + at + prefix.len();
            let id = text.get(begin..begin + 22).unwrap_or_default();
            let is_id = id.len() == 22 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '_');
            if is_id {
                text.replace_range(begin..begin + 22, "ID");
            }
            from = begin;
        }
    }
    let words: Vec<&str> = text.split(' ').collect();
    let is_time = |index: usize| {
        let unit = words
            .get(index + 1)
            .map_or("", |word| word.lines().next().unwrap_or_default());
        words[index].parse::<f64>().is_ok() && ["ms", "s"].contains(&unit)
    };
    let shown = (0..words.len()).map(|index| if is_time(index) { "N" } else { words[index] });
    shown.collect::<Vec<_>>().join(" ").replace("N s", "N ms")
}

#[test]
fn each_command_prints_what_the_page_shows() {
    let file = workspace().join("docs/start.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let mut shell = Shell::new();
    let mut updated = page.clone();
    let blocks = blocks(&page);
    let mut commands = 0;
    for (index, block) in blocks.iter().enumerate() {
        match block.word("file") {
            Some(name) => write(&shell.dir.join(name), block.text),
            None if block.info == "sh" => {
                commands += 1;
                let printed = shell.execute(block.text);
                let shown = blocks.get(index + 1).filter(|next| next.info == "text").unwrap();
                let pair = |output: &str| format!("```sh\n{}```\n\n```text\n{output}```\n", block.text);
                updated = updated.replacen(&pair(shown.text), &pair(&printed), 1);
            }
            None => assert_eq!(
                block.info, "text",
                "a block that is neither a file, a command nor an output"
            ),
        }
    }
    assert!(commands > 8, "{commands}");
    if std::env::var_os("UPDATE_START_PAGE").is_some() {
        std::fs::write(&file, &updated).unwrap();
    }
    let (shown, printed) = (without_changes(&page), without_changes(&updated));
    for (shown, printed) in shown.lines().zip(printed.lines()) {
        assert_eq!(shown, printed, "`UPDATE_START_PAGE=1` writes what is printed now");
    }
    assert_eq!(shown, printed);
}

pub(crate) fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}
