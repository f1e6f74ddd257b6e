//! The runs that the README shows: its example prints the same, and leaves the files of the picture.

use std::path::Path;

use crate::autocoder::{environment, run_offline};
use crate::harness::{has_git, tell, workspace};
use crate::pages::blocks;

/// Lines that name a place of the machine, or the difference from the recorded prompt.
const DIFFERENT: &[&str] = &["note: ", "changed ", "artifacts ", "next "];

/// The lines of an output without ids, times and the lines that differ from place to place.
fn lines(text: &str) -> Vec<String> {
    let is_kept = |line: &&str| !DIFFERENT.iter().any(|begin| line.trim_start().starts_with(begin));
    let differs =
        |word: &&str| word.contains("run_") || word.parse::<f64>().is_ok_and(|_| word.contains('.'));
    let lines = text.lines().filter(is_kept).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_time = |index: usize| ["ms", "s"].contains(words.get(index + 1).unwrap_or(&""));
        let kept = (0..words.len()).filter(|index| {
            !differs(&words[*index]) && !is_time(*index) && !["ms", "s"].contains(&words[*index])
        });
        kept.map(|index| words[index]).collect::<Vec<_>>().join(" ")
    });
    lines.collect()
}

fn readme() -> String {
    std::fs::read_to_string(workspace().join("README.md")).unwrap()
}

/// The output below a command of the README.
fn shown(command: &str) -> Vec<String> {
    let page = readme();
    let blocks = blocks(&page);
    let mut texts = blocks
        .iter()
        .filter(|block| block.info == "console")
        .map(|block| block.text);
    let text = texts.find(|text| text.lines().next().is_some_and(|first| first.contains(command)));
    let text = text.unwrap_or_else(|| panic!("no output of `{command}`"));
    lines(text.split_once('\n').unwrap().1)
}

#[test]
fn the_readme_shows_its_example_as_it_runs() {
    if !has_git() {
        tell("the_readme_shows_its_example_as_it_runs needs git");
        return;
    }
    let (env, source) = environment();
    let run = run_offline(&env, &source, &[]).expect(0);
    assert_eq!(lines(&(run.stderr + &run.stdout)), shown("run agent autocoder"));
    check_picture(&env.last_run());
    let rerun = env
        .run(&["rerun", "last", "--from", "code_generator_file_ops"])
        .expect(0);
    let printed = lines(&rerun.stderr);
    let shown = shown("rerun last --from");
    // The README leaves out the summary.
    assert_eq!(printed[..shown.len()], shown);
}

/// Each file of the picture of a run directory exists.
fn check_picture(run: &Path) {
    let page = readme();
    let blocks = blocks(&page);
    let mut pictures = blocks.iter().filter(|block| block.text.starts_with("runs/run_"));
    let picture = pictures.next().unwrap().text;
    let mut above: Vec<&str> = Vec::new();
    let mut count = 0;
    for line in picture.lines().skip(1) {
        let (before, entry) = line.split_once("─ ").unwrap();
        let (name, described) = entry.split_once(' ').unwrap_or((entry, ""));
        above.truncate(before.chars().count() / 3);
        above.push(name);
        let place = run.join(above.concat());
        assert!(place.exists(), "{}", place.display());
        let is_name = |c: char| !c.is_alphanumeric() && c != '_' && c != '.';
        let files = described.split(is_name).filter(|word| word.contains('.'));
        for file in files {
            assert!(place.join(file).exists(), "{name} has no {file}");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}
