//! Patterns as in a `.gitignore`, read and compared as git does it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::place::Ground;
use gix_ignore::glob::{Pattern, pattern::Case, wildmatch};

/// The place of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// In a file, in a line that is counted from 1.
    Rule { file: Arc<Path>, line: usize },
    /// In a setting, such as `exclude_patterns[0]`.
    Setting(String),
}

impl Why {
    /// As results tell it.
    pub(super) fn reported(&self, ground: &Ground) -> Map<String, Value> {
        let mut reported = Map::new();
        match self {
            Self::Rule { file, line } => {
                reported.insert("file".into(), ground.shown(file, false).0.into());
                reported.insert("line".into(), (*line).into());
            }
            Self::Setting(name) => {
                reported.insert("setting".into(), name.as_str().into());
            }
        }
        reported
    }
}

/// The patterns of one file or setting.
pub(super) struct Patterns {
    /// The directory that they are relative to.
    root: PathBuf,
    source: Source,
    /// Each with its line, or its number in the setting.
    all: Vec<(Pattern, usize)>,
}

enum Source {
    File(Arc<Path>),
    Setting(&'static str),
}

/// The verdict of the last pattern that fits.
pub(super) struct Verdict<'a> {
    patterns: &'a Patterns,
    line: usize,
    /// `false` for a pattern with `!`, which takes back others.
    pub(super) is_ignored: bool,
}

impl Verdict<'_> {
    pub(super) fn why(&self) -> Why {
        match &self.patterns.source {
            Source::File(file) => Why::Rule {
                file: Arc::clone(file),
                line: self.line,
            },
            Source::Setting(name) => Why::Setting(format!("{name}[{}]", self.line)),
        }
    }
}

impl Patterns {
    /// Those of a file, for what lies below `root`; nothing if there are none.
    pub(super) fn of_file(root: &Path, file: &Path, text: &[u8]) -> Option<Self> {
        let all: Vec<(Pattern, usize)> = gix_ignore::parse(text, false)
            .map(|(pattern, line, _)| (pattern, line))
            .collect();
        (!all.is_empty()).then(|| Self {
            root: root.to_path_buf(),
            source: Source::File(file.into()),
            all,
        })
    }

    /// Those of a setting, for what lies below `root`; nothing if there are none.
    pub(super) fn of_setting(root: &Path, name: &'static str, patterns: &[String]) -> Option<Self> {
        let all: Vec<(Pattern, usize)> = patterns
            .iter()
            .enumerate()
            .filter_map(|(index, pattern)| Some((Pattern::from_bytes(from_here(pattern).as_bytes())?, index)))
            .collect();
        (!all.is_empty()).then(|| Self {
            root: root.to_path_buf(),
            source: Source::Setting(name),
            all,
        })
    }

    /// The verdict on a path below their root; nothing if none fits.
    pub(super) fn verdict(&self, path: &Path, is_dir: bool, case: Case) -> Option<Verdict<'_>> {
        let below = path.strip_prefix(&self.root).ok()?;
        let below = slashed(below);
        let name = below.iter().rposition(|byte| *byte == b'/').map(|at| at + 1);
        let fits = |pattern: &Pattern| {
            let mode = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
            pattern.matches_repo_relative_path((&*below).into(), name, Some(is_dir), case, mode)
        };
        let (pattern, line) = self.all.iter().rev().find(|(pattern, _)| fits(pattern))?;
        Some(Verdict {
            patterns: self,
            line: *line,
            is_ignored: !pattern.is_negative(),
        })
    }
}

/// `./N` as `/N`: git would compare it with no path at all.
fn from_here(pattern: &str) -> Cow<'_, str> {
    let (sign, rest) = match pattern.strip_prefix('!') {
        Some(rest) => ("!", rest),
        None => ("", pattern),
    };
    match rest.strip_prefix("./") {
        Some(rest) => format!("{sign}/{}", rest.trim_start_matches("./")).into(),
        None => pattern.into(),
    }
}

/// The problem of a pattern of a setting: it can fit nothing, or its author means something that git does not.
pub(super) fn problem(pattern: &str) -> Option<(String, String)> {
    let path = pattern.strip_prefix('!').unwrap_or(pattern);
    if path.split('/').any(|part| part == "..") {
        let message = format!("`{pattern}` leads out of what is looked at, so it fits nothing");
        return Some((message, "write it relative to `path`, without `..`".to_owned()));
    }
    if Pattern::from_bytes(pattern.as_bytes()).is_none() {
        let message = format!("`{pattern}` is no pattern");
        return Some((
            message,
            "write a pattern as in a `.gitignore`, such as `*.log`".to_owned(),
        ));
    }
    let open = path.find('{')?;
    let inside = &path[open..path[open..].find('}').map(|at| open + at)?];
    (inside.contains(',') && !path[..open].ends_with(['\\', '['])).then(|| {
        let message =
            format!("`{pattern}` has braces, which stand for themselves in patterns as in a `.gitignore`");
        (message, "write a pattern for each of the alternatives".to_owned())
    })
}

fn slashed(path: &Path) -> Cow<'_, [u8]> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if cfg!(windows) {
        let slash = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
        bytes.iter().map(slash).collect::<Vec<u8>>().into()
    } else {
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str, path: &str, is_dir: bool) -> Option<bool> {
        let patterns = Patterns::of_file(Path::new("/r"), Path::new("/r/.gitignore"), text.as_bytes())?;
        let verdict = patterns.verdict(&Path::new("/r").join(path), is_dir, Case::Sensitive)?;
        Some(verdict.is_ignored)
    }

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        for (text, path, said) in [
            ("*.py{}", "a.py", None),
            ("*.py{}", "a.py{}", Some(true)),
            ("*.{js,ts}", "x.js", None),
            ("[[:alpha:]]", "a", Some(true)),
            ("[[:digit:]]x", "ax", None),
            ("a\t", "a", None),
            ("a\t", "a\t", Some(true)),
            ("a  ", "a", Some(true)),
            ("a\\ ", "a ", Some(true)),
            ("!", "!", None),
            ("\\!", "!", Some(true)),
            ("\\#a", "#a", Some(true)),
            ("*\n!b", "b", Some(false)),
            ("a/**/z", "a/z", Some(true)),
            ("**/z", "a/b/z", Some(true)),
            ("/z", "a/z", None),
            ("x/y", "a/x/y", None),
            ("\u{feff}b\r\n", "b", Some(true)),
            ("$x", "$x", Some(true)),
        ] {
            assert_eq!(says(text, path, false), said, "{text:?} {path:?}");
        }
        assert_eq!(says("d/", "d", false), None);
        assert_eq!(says("d/", "d", true), Some(true));
        let folded = Patterns::of_file(Path::new("/"), Path::new("/f"), b"*.LOG").unwrap();
        assert!(folded.verdict(Path::new("/a.log"), false, Case::Fold).is_some());
        assert!(
            folded
                .verdict(Path::new("/a.log"), false, Case::Sensitive)
                .is_none()
        );
    }

    #[test]
    fn a_pattern_of_a_setting_begins_where_the_walk_does() {
        let list = ["./a".to_owned(), "!./b".to_owned(), "c".to_owned()];
        let patterns = Patterns::of_setting(Path::new("/r"), "exclude_patterns", &list).unwrap();
        let said = |path: &str| {
            let verdict = patterns.verdict(Path::new(path), false, Case::Sensitive)?;
            Some((verdict.why(), verdict.is_ignored))
        };
        let why = |index: usize| Why::Setting(format!("exclude_patterns[{index}]"));
        assert_eq!(said("/r/a"), Some((why(0), true)));
        assert_eq!(said("/r/x/a"), None);
        assert_eq!(said("/r/b"), Some((why(1), false)));
        assert_eq!(said("/r/x/c"), Some((why(2), true)));
        assert!(
            ["a", "./a", "*.log", "a{", "{}", "a\\{b,c}"]
                .iter()
                .all(|good| problem(good).is_none())
        );
        assert!(
            ["../a", "a/../b", "*.{js,ts}", "", "!"]
                .iter()
                .all(|bad| problem(bad).is_some())
        );
    }
}
