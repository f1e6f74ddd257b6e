//! Mistakes of users, each with all that the command says about it: what happened, where, what was expected, and the next step.
//! The snapshots are lists to be read.

mod command_line;
mod configuration;
mod definitions;
mod files;
mod followed;
mod runs;

use crate::harness::TestEnvironment;

/// Words of the inside of the program, which help no user.
const INTERNAL: &[&str] = &[
    "panicked",
    "RUST_BACKTRACE",
    "serde",
    "variant",
    "enum ",
    " ident ",
    "invalid digit",
    "EOF while",
    "Option<",
    "Some(",
    "dad_",
    "``",
    "''",
    "\"\"",
];

/// All that was said about some mistakes.
pub(crate) struct Said<'e> {
    env: &'e TestEnvironment,
    text: String,
}

impl<'e> Said<'e> {
    pub(crate) fn in_(env: &'e TestEnvironment) -> Self {
        Self {
            env,
            text: String::new(),
        }
    }

    /// Makes a mistake on the command line; it must leave everything as it is.
    #[track_caller]
    pub(crate) fn by(&mut self, args: &[&str]) -> &mut Self {
        let said = self.env.unchanged(args);
        assert!(matches!(said.code, Some(2 | 4 | 5)), "{said}");
        self.note(args, &said.stderr, &said.to_string())
    }

    /// Makes a mistake that is found only when something was done.
    #[track_caller]
    pub(crate) fn late(&mut self, code: i32, args: &[&str]) -> &mut Self {
        let said = self.env.run(args).expect(code);
        self.note(args, &said.stderr, &said.to_string())
    }

    /// Writes a definition with a mistake and checks it.
    #[track_caller]
    pub(crate) fn in_definition(&mut self, text: &str) -> &mut Self {
        self.env.write("flow.yaml", text);
        let said = self.env.unchanged(&["validate", "flow.yaml"]);
        let is_reported = said.code == Some(2) || said.stderr.contains("warning");
        assert!(is_reported, "{text}\n{said}");
        self.note(&["validate", "flow.yaml"], &said.stderr, &said.to_string())
    }

    #[track_caller]
    fn note(&mut self, args: &[&str], errors: &str, said: &str) -> &mut Self {
        for word in INTERNAL {
            // What the user typed may be shown.
            let is_typed = args.iter().any(|arg| arg.contains(word));
            assert!(is_typed || !errors.contains(word), "{word:?} in {said}");
        }
        let hints = errors.lines().filter(|line| line.starts_with("  hint: "));
        assert!(hints.count() <= 1, "{said}");
        let words: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        // The parser of the command line takes the name from the file of the program.
        let said = said.replace("dhenara-under-test", "dhenara");
        self.text += &format!("$ dhenara {}\n{said}\n\n", words.join(" "));
        self
    }

    /// All of it.
    pub(crate) fn all(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// A word as a person types it.
fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./=~@,".contains(c));
    if is_plain {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}

/// A flow of one step.
pub(crate) const FLOW: &str = "schema_version: 1\nkind: flow\nvariables: { tone: calm, list: [1, 2] }\nelements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";

/// A flow with a loop, and an output.
pub(crate) const LOOP: &str = "\
schema_version: 1
kind: flow
variables: { tone: calm }
elements:
  - { node: a, type: command, settings: { commands: [[echo, a]] } }
  - for_each: each
    statement: $expr{ [1, 2] }
    body:
      - { node: b, type: command, settings: { commands: [[echo, b]] } }
  - { node: c, type: command, settings: { commands: [[echo, '$var{tone}']] } }
";
