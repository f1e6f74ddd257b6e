//! The folder analyzer finds what git lists: what it tracks, and what it neither tracks nor ignores.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dad_nodes::{FolderAnalyzerSettings, analyze_folders};
use dad_runner::Stop;
use serde_json::{Value, json};

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn happens(&mut self, in_a_hundred: usize) -> bool {
        self.below(100) < in_a_hundred
    }
}

/// Names of files and directories, some of which mean something in a pattern.
const NAMES: [&str; 24] = [
    "a",
    "b.log",
    "B.LOG",
    "keep.log",
    "c d",
    "é.txt",
    "x.py",
    "x.py{}",
    "x{1,2}",
    "[q].c",
    "q.c",
    "-dash",
    "!bang",
    "#hash",
    "Target",
    "target",
    "deep",
    "sub",
    ".hidden",
    "t\t",
    "back\\slash",
    "star*",
    "end ",
    "{js,ts}",
];

/// Lines of files of patterns.
const PATTERNS: [&str; 44] = [
    "*.log",
    "!keep.log",
    "/a",
    "a/",
    "target/",
    "TARGET/",
    "**/deep",
    "deep/**",
    "!deep/a",
    "*.py{}",
    "x{1,2}",
    "*.{js,ts}",
    "{js,ts}",
    "[[:alpha:]]",
    "[[:upper:]]*",
    "[[:digit:][:space:]]x",
    "[!a-c]",
    "\\[q\\].c",
    "[q].c",
    "a/**",
    "!a/b.log",
    "c\\ d",
    "c d",
    "b.log  ",
    "#hash",
    "\\#hash",
    "!",
    "\\!bang",
    "*",
    "!*/",
    "t\t",
    "é*",
    "-*",
    "/sub/*",
    "sub/deep",
    "./a",
    "a/../b",
    "back\\\\slash",
    "star\\*",
    "*.LOG",
    "end\\ ",
    "end ",
    "",
    "**",
];

fn git(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "protocol.file.allow=always",
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@example.org",
    ]);
    command.args(arguments).current_dir(dir);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Fills a directory with files, directories and rules.
fn fill(dir: &Path, dice: &mut Dice, depth: usize) {
    for _ in 0..4 + dice.below(6) {
        let name = dice.one(&NAMES);
        let path = dir.join(name);
        // Two names that differ in case alone are one to git where `core.ignorecase` is set.
        let mut others = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        if others.any(|other| other.eq_ignore_ascii_case(name)) {
            continue;
        }
        if depth < 3 && dice.happens(45) {
            std::fs::create_dir(&path).unwrap();
            fill(&path, dice, depth + 1);
        } else {
            std::fs::write(path, "x").unwrap();
        }
    }
    if dice.happens(60) {
        let lines = rules(dice, 5);
        std::fs::write(dir.join(".gitignore"), lines).unwrap();
    }
}

fn rules(dice: &mut Dice, most: usize) -> String {
    let end = dice.one(&["\n", "\r\n"]);
    (0..dice.below(most + 1))
        .map(|_| format!("{}{end}", dice.one(&PATTERNS)))
        .collect()
}

/// All files below a directory, git's own left out.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            _ if entry.file_name() == ".git" => {}
            true if entry.path().join(".git").exists() => {}
            true => files(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

/// Has git track some of what is there, whether it ignores it or not.
fn track(top: &Path, dice: &mut Dice) {
    let mut all = Vec::new();
    files(top, &mut all);
    all.sort();
    let chosen: Vec<String> = all
        .iter()
        .filter(|_| dice.happens(30))
        .map(|path| path.strip_prefix(top).unwrap().to_str().unwrap().to_owned())
        .collect();
    for path in chosen {
        git(top, &["--literal-pathspecs", "add", "--force", "--", &path]);
    }
}

/// A repository of one of the kinds there are, below `place`; the top of its working tree.
fn repository(place: &Path, kind: usize, dice: &mut Dice) -> PathBuf {
    let top = place.join("tree");
    let exclude = match kind % 4 {
        0 => {
            git(place, &["init", "--quiet", "tree"]);
            top.join(".git/info/exclude")
        }
        1 => {
            git(place, &["init", "--quiet", "main"]);
            git(
                &place.join("main"),
                &["commit", "--quiet", "--allow-empty", "--message", "m"],
            );
            git(&place.join("main"), &["worktree", "add", "--quiet", "../tree"]);
            place.join("main/.git/info/exclude")
        }
        2 => {
            git(place, &["init", "--quiet", "--separate-git-dir", "data", "tree"]);
            place.join("data/info/exclude")
        }
        _ => {
            git(place, &["init", "--quiet", "other"]);
            std::fs::write(place.join("other/a"), "x").unwrap();
            git(&place.join("other"), &["add", "a"]);
            git(&place.join("other"), &["commit", "--quiet", "--message", "m"]);
            git(place, &["init", "--quiet", "tree"]);
            git(&top, &["submodule", "--quiet", "add", "../other", "module"]);
            fill(&top.join("module"), dice, 2);
            top.join(".git/modules/module/info/exclude")
        }
    };
    std::fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    std::fs::write(exclude, rules(dice, 3)).unwrap();
    if dice.happens(40) {
        git(&top, &["config", "core.ignorecase", "true"]);
    }
    fill(&top, dice, 0);
    if dice.happens(40) {
        let inner = top.join(dice.one(&["a", "deep", "own"]));
        if !inner.exists() {
            git(&top, &["init", "--quiet", inner.to_str().unwrap()]);
            fill(&inner, dice, 2);
        }
    }
    if dice.happens(50) {
        std::os::unix::fs::symlink("a", top.join("link.log")).unwrap();
    }
    track(&top, dice);
    top
}

/// The files that git lists, with those that it lists in the repositories inside.
fn listed(top: &Path, prefix: &str, found: &mut Vec<String>) {
    let printed = git(top, &["ls-files", "-z", "-co", "--exclude-standard"]);
    let mut names: Vec<&[u8]> = printed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    for name in names {
        let name = std::str::from_utf8(name).unwrap().trim_end_matches('/');
        let path = top.join(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => listed(&path, &format!("{prefix}{name}/"), found),
            Ok(metadata) if metadata.is_file() => found.push(format!("{prefix}{name}")),
            _ => {}
        }
    }
}

/// Why git ignores some paths, for the message of a test.
fn reasons(top: &Path, paths: &[&str]) -> String {
    let asked = paths.iter().map(|path| {
        let output = Command::new("git")
            .args(["check-ignore", "--verbose", "--non-matching", "--no-index", path])
            .current_dir(top)
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    });
    asked.collect()
}

fn analyzed(top: &Path) -> Value {
    let operation = json!({ "operation_type": "find_files", "include_hidden": true });
    let settings: FolderAnalyzerSettings =
        serde_json::from_value(json!({ "operations": [operation] })).unwrap();
    analyze_folders(top, &settings, &Stop::default()).unwrap().outcome["results"][0].clone()
}

#[test]
fn what_is_found_in_generated_repositories_is_what_git_lists() {
    for seed in 0..24 {
        let place = tempfile::tempdir().unwrap();
        let mut dice = Dice(seed as u64 * 977 + 13);
        let top = repository(place.path(), seed, &mut dice);
        let mut wanted = Vec::new();
        listed(&top, "", &mut wanted);
        wanted.sort_unstable();
        let result = analyzed(&top);
        assert_eq!(result.get("errors"), None, "repository {seed}");
        let mut found: Vec<&str> = result["files_found"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        found.sort_unstable();
        let differ = |path: &&str| wanted.iter().any(|other| other == path) != found.contains(path);
        let differing: Vec<&str> = found
            .iter()
            .copied()
            .chain(wanted.iter().map(String::as_str))
            .filter(differ)
            .collect();
        assert_eq!(
            differing,
            Vec::<&str>::new(),
            "repository {seed}: {}",
            reasons(&top, &differing)
        );
        assert!(!found.is_empty(), "repository {seed}");
    }
}

#[test]
fn names_that_are_no_text_are_compared_byte_for_byte() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    git(place.path(), &["init", "--quiet", "tree"]);
    let top = place.path().join("tree");
    for name in [b"\xff.log".as_slice(), b"\xfe.txt"] {
        std::fs::write(top.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    std::fs::write(top.join(".gitignore"), b"\xff*\n").unwrap();
    assert_eq!(analyzed(&top)["files_found"], json!([".gitignore", "\\xFE.txt"]));
}

#[test]
fn a_directory_inside_an_ignored_one_shows_what_git_tracks_in_it_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    git(place.path(), &["init", "--quiet", "tree"]);
    let top = place.path().join("tree");
    std::fs::create_dir_all(top.join("build/kept/deep")).unwrap();
    for path in [
        "build/secret",
        "build/kept/own.txt",
        "build/kept/deep/x",
        "build/kept/.gitignore",
        "a",
    ] {
        std::fs::write(top.join(path), "!*\n").unwrap();
    }
    std::fs::write(top.join(".gitignore"), "build/\n").unwrap();
    git(&top, &["add", "--force", "build/kept/own.txt"]);
    let result = analyzed(&top);
    assert_eq!(
        result["files_found"],
        json!([".gitignore", "a", "build/kept/own.txt"])
    );
}
