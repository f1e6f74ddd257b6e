//! Words of other tools, and words in another order: the commands of this one that they mean.

use dad_core::shell_word;

use crate::output::program;

/// Beginnings of command lines that are no commands, and the words that stand in their place. The words behind a beginning
/// are the user's own, and are kept. `*` is any word; it is kept too, behind the new ones.
pub(crate) const TABLE: &[(&[&str], &[&str])] = &[
    (&["agent", "run"], &["run", "agent"]),
    (&["agent", "list"], &["agents"]),
    (&["agent", "new"], &["new", "agent"]),
    (&["agent"], &["run", "agent"]),
    (&["flow", "run"], &["run", "flow"]),
    (&["flow", "list"], &["agents"]),
    (&["flow", "new"], &["new", "flow"]),
    (&["flow"], &["run", "flow"]),
    (&["step"], &["run", "step"]),
    (&["list"], &["agents"]),
    (&["ls"], &["agents"]),
    (&["flows"], &["agents"]),
    (&["create"], &["new"]),
    (&["add"], &["new"]),
    (&["start"], &["run"]),
    (&["exec"], &["run"]),
    (&["continue"], &["resume"]),
    (&["retry"], &["resume"]),
    (&["approve"], &["answer", "--approve"]),
    (&["deny"], &["answer", "--deny", "REASON"]),
    (&["stop"], &["cancel"]),
    (&["kill"], &["cancel"]),
    (&["check"], &["validate"]),
    (&["lint"], &["validate"]),
    (&["model"], &["models"]),
    (&["history"], &["runs", "list"]),
    (&["status"], &["runs", "list"]),
    (&["ps"], &["runs", "list"]),
    (&["show"], &["runs", "show"]),
    (&["inspect"], &["runs", "show"]),
    (&["logs"], &["runs", "logs"]),
    (&["log"], &["runs", "logs"]),
    (&["cost"], &["runs", "cost"]),
    (&["costs"], &["runs", "cost"]),
    (&["timeline"], &["runs", "trace"]),
    (&["why"], &["runs", "why"]),
    (&["explain"], &["runs", "why"]),
    (&["rm"], &["runs", "rm"]),
    (&["delete"], &["runs", "rm"]),
    (&["undo"], &["runs", "undo"]),
    (&["verify"], &["runs", "verify"]),
    (&["repair"], &["runs", "repair"]),
    (&["prune"], &["runs", "prune"]),
    (&["completion"], &["completions"]),
    (&["version"], &["--version"]),
    (&["runs", "timeline"], &["runs", "trace"]),
    (&["runs", "log"], &["runs", "logs"]),
    (&["runs", "costs"], &["runs", "cost"]),
    (&["runs", "ls"], &["runs", "list"]),
    (&["runs", "remove"], &["runs", "rm"]),
    (&["runs", "delete"], &["runs", "rm"]),
    (&["runs", "resume"], &["resume"]),
    (&["runs", "answer"], &["answer"]),
    (&["runs", "cancel"], &["cancel"]),
    (&["runs", "wait"], &["wait"]),
    (&["runs", "rerun"], &["rerun"]),
    (&["watch"], &["runs", "watch"]),
    (&["new", "project"], &["init"]),
    (&["new", "*"], &["new", "agent"]),
    (&["runs", "*"], &["runs", "show"]),
];

/// Options that a command lacks on purpose: the command, the options, why, and the words of the command that has them.
const OPTIONS: &[(&[&str], &[&str], &str, &str)] = &[
    (
        &["resume"],
        &["--var", "--var-json"],
        KEPT,
        "rerun RUN --var NAME=TEXT",
    ),
    (
        &["answer"],
        &["--var", "--var-json"],
        KEPT,
        "rerun RUN --var NAME=TEXT",
    ),
    (
        &["run", "step"],
        &["--set"],
        "a step alone reads the results as they were",
        "rerun RUN --from STEP --set STEP.outcome.FIELD=JSON",
    ),
];

/// Why a resumed run takes no variables.
const KEPT: &str = "a resumed run keeps its variables";

/// Advice for an option that a command does not have.
pub(crate) fn option_meant(words: &[String]) -> Option<String> {
    let name = |word: &String| {
        word.split_once('=')
            .map_or(word.clone(), |(name, _)| name.to_owned())
    };
    let given: Vec<String> = words.iter().map(name).collect();
    let (_, _, reason, command) = OPTIONS.iter().find(|(command, options, ..)| {
        begins_with(words, command)
            && options
                .iter()
                .any(|option| given.iter().any(|word| word == option))
    })?;
    let command = program::command(command);
    Some(format!(
        "{reason}; `{command}` reuses each step that does not depend on the change"
    ))
}

/// The command that words mean which are no command: the words behind the name of the program.
pub(crate) fn meant(words: &[String]) -> Option<String> {
    let first = words.first()?;
    let row = TABLE.iter().find(|(known, _)| begins_with(words, known));
    let (fixed, rest): (&[&str], &[String]) = match row {
        Some((known, meant)) => {
            let kept = known.iter().position(|word| *word == "*").unwrap_or(known.len());
            (meant, words.get(kept..)?)
        }
        None if is_definition_file(first) => (&["run"], words),
        None => return None,
    };
    let rest = rest.iter().map(|word| shell_word(word));
    let line: Vec<String> = fixed.iter().map(ToString::to_string).chain(rest).collect();
    Some(program::command(&line.join(" ")))
}

fn begins_with(words: &[String], known: &[&str]) -> bool {
    let mut words = words.iter();
    known.iter().all(|known| {
        let word = words.next().map(String::as_str);
        word.is_some_and(|word| *known == word || (*known == "*" && !word.starts_with('-')))
    })
}

fn is_definition_file(word: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| word.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        meant(&words)
    }

    #[test]
    fn words_of_other_tools_become_commands_with_the_users_words() {
        for (line, command) in [
            ("f.yaml", "dhenara run f.yaml"),
            ("flows/f.yml --var a=b", "dhenara run flows/f.yml --var a=b"),
            ("list", "dhenara agents"),
            ("show last draft", "dhenara runs show last draft"),
            ("logs last", "dhenara runs logs last"),
            ("cost --by day", "dhenara runs cost --by day"),
            ("timeline last", "dhenara runs trace last"),
            ("why last draft", "dhenara runs why last draft"),
            ("agent run hello --env ci", "dhenara run agent hello --env ci"),
            ("agent hello", "dhenara run agent hello"),
            ("flow run f.yaml", "dhenara run flow f.yaml"),
            ("version", "dhenara --version"),
            ("ls", "dhenara agents"),
            ("runs last", "dhenara runs show last"),
            ("runs ls", "dhenara runs list"),
            ("watch last", "dhenara runs watch last"),
            (
                "new summary --template rag",
                "dhenara new agent summary --template rag",
            ),
            ("new project demo", "dhenara init demo"),
            ("approve last", "dhenara answer --approve last"),
        ] {
            assert_eq!(of(line).as_deref(), Some(command), "{line}");
        }
        assert_eq!(
            [of("frobnicate"), of("runs --json"), of("new")],
            [None, None, None]
        );
    }

    #[test]
    fn an_option_that_a_command_lacks_on_purpose_names_the_command_that_has_it() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            option_meant(&words)
        };
        let advice = of("resume last --var-json=n=3").unwrap_or_default();
        assert!(advice.contains("`dhenara rerun RUN --var NAME=TEXT`"), "{advice}");
        let advice = of("run step last draft --set a.outcome.b=1").unwrap_or_default();
        assert!(
            advice.contains("`dhenara rerun RUN --from STEP --set"),
            "{advice}"
        );
        assert_eq!(
            [of("resume last --vor a=b"), of("run f.yaml --set a=b")],
            [None, None]
        );
    }

    #[test]
    fn a_longer_beginning_stands_before_a_shorter_one() {
        for (index, (known, _)) in TABLE.iter().enumerate() {
            let words: Vec<String> = known.iter().map(ToString::to_string).collect();
            let found = TABLE.iter().position(|(known, _)| begins_with(&words, known));
            assert_eq!(found, Some(index), "{known:?} is hidden by an earlier row");
        }
    }
}
