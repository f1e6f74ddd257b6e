//! Files that a tool executes or obeys without a person starting it. The list is `obeyed_files.tsv`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::place::has_short_form;

static OBEYED: LazyLock<List> = LazyLock::new(|| List::new(lines().map(Obeyed::read).collect()));

/// The list, so that a name is not compared with each of its entries: every path of every operation is looked up.
struct List {
    all: Vec<Obeyed>,
    /// Entries by their first name.
    by_name: HashMap<String, Vec<usize>>,
    /// Entries whose first name is only a beginning.
    by_beginning: Vec<usize>,
}

impl List {
    fn new(all: Vec<Obeyed>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_beginning = Vec::new();
        for (number, obeyed) in all.iter().enumerate() {
            match obeyed.names.first() {
                Some(Name::Is(name)) => by_name.entry(name.clone()).or_default().push(number),
                _ => by_beginning.push(number),
            }
        }
        Self {
            all,
            by_name,
            by_beginning,
        }
    }

    /// The first entry that some of the names, one behind the other, are.
    fn find(&self, names: &[String]) -> Option<&Obeyed> {
        // A short form may be one of any name.
        if names.iter().any(|name| name.contains('~')) {
            return self.all.iter().find(|obeyed| obeyed.is_among(names));
        }
        let named = names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let mut numbers: Vec<usize> = named.chain(&self.by_beginning).copied().collect();
        numbers.sort_unstable();
        let mut entries = numbers.into_iter().map(|number| &self.all[number]);
        entries.find(|obeyed| obeyed.is_among(names))
    }
}

/// A file or directory of the list.
struct Obeyed {
    /// Its name and those of the directories around it.
    names: Vec<Name>,
    why: &'static str,
}

enum Name {
    Is(String),
    BeginsWith(String),
}

fn lines() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("obeyed_files.tsv").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The tool that obeys a file of these plain names, or something around it.
pub(crate) fn why_obeyed(names: &[String]) -> Option<&'static str> {
    OBEYED.find(names).map(|obeyed| obeyed.why)
}

impl Obeyed {
    fn read(line: &'static str) -> Self {
        let mut columns = line.split('\t');
        let (pattern, why) = (columns.next(), columns.next());
        let names = pattern.unwrap_or_default().trim_end_matches('/').split('/');
        Self {
            names: names.map(Name::read).collect(),
            why: why.unwrap_or_default(),
        }
    }

    fn is_among(&self, names: &[String]) -> bool {
        let are = |found: &[String]| self.names.iter().zip(found).all(|(name, found)| name.fits(found));
        names.windows(self.names.len()).any(are)
    }
}

impl Name {
    fn read(name: &str) -> Self {
        let name = name.to_lowercase();
        match name.strip_suffix('*') {
            Some(beginning) => Self::BeginsWith(beginning.to_owned()),
            None => Self::Is(name),
        }
    }

    fn fits(&self, plain: &str) -> bool {
        let (Self::Is(name) | Self::BeginsWith(name)) = self;
        let is = match self {
            Self::Is(name) => plain == name,
            Self::BeginsWith(beginning) => plain.starts_with(beginning.as_str()),
        };
        // Asked of each name and entry of the list, and hardly any has one.
        is || (plain.contains('~') && has_short_form(plain, name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::plain_name;
    use super::*;

    fn is_obeyed(path: &str) -> bool {
        let names: Vec<String> = path.split('/').map(plain_name).collect();
        why_obeyed(&names).is_some()
    }

    #[test]
    fn every_entry_says_what_obeys_it_and_where_that_is_said() {
        for line in lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [pattern, why, source] = columns[..] else {
                panic!("{line}");
            };
            assert!(!pattern.is_empty() && why.len() > 10, "{line}");
            assert!(
                source.starts_with("https://") || source.starts_with("docs/"),
                "{line}"
            );
        }
        let mut patterns: Vec<&str> = lines().filter_map(|line| line.split('\t').next()).collect();
        patterns.sort_unstable();
        let all = patterns.len();
        patterns.dedup();
        assert_eq!(patterns.len(), all);
    }

    #[test]
    fn a_file_is_known_in_every_directory_and_in_every_spelling() {
        for path in [
            ".envrc",
            "a/b/.ENVRC",
            "x/.vscode/tasks.json",
            ".vscode",
            ".v\u{17f}code/tasks.json",
            "VSCODE~1/tasks.json",
            ".cargo/con\u{fb01}g.toml",
            ".cargo/config",
            ".envrc. ",
            ".envrc::$DATA",
            ".github/workflows/ci.yml",
            "GITHUB~1/WORKFL~1/ci.yml",
            "GITLAB~1.YML",
            "PRE-CO~1.YAM",
            "JENKIN~1",
            "lefthook-local.yml",
            "agents/other/agent.yaml",
            "sub/CLAUDE.md",
        ] {
            assert!(is_obeyed(path), "{path}");
        }
        for path in [
            "envrc",
            ".envrc.example",
            ".github/README.md",
            ".cargo/credentials.md",
            "src/vscode/tasks.json",
            ".gitignore",
            "agents/agent.yaml",
            "config.toml",
            "Jenkinsfile.md",
            "a~1",
        ] {
            assert!(!is_obeyed(path), "{path}");
        }
    }
}
