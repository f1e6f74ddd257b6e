//! Arguments and input that programs read as code.
//!
//! A list, and so never complete: a program that is not in it may read an argument as code too. What is in it is refused, so
//! that the usual ways of writing code around a value lead to the right form instead.

use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::place::{Marked, Reason, code_hint, nodes};

/// Programs that read an argument as code if an option says so, and their input if there is none.
pub(crate) const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "ash", "ksh", "mksh", "yash", "zsh", "rbash", "fish", "csh", "tcsh",
];

/// Programs that start the program which their arguments name.
const STARTERS: &[&str] = &[
    "builtin", "busybox", "chroot", "command", "coproc", "doas", "env", "exec", "ionice", "nice", "nohup",
    "setsid", "stdbuf", "sudo", "time", "timeout", "xargs",
];

/// Interpreters, with the letters and the names of the options behind which code stands.
const INTERPRETERS: &[(&str, &str, &[&str])] = &[
    ("python", "c", &[]),
    ("pypy", "c", &[]),
    ("perl", "eE", &[]),
    ("ruby", "e", &[]),
    ("node", "ep", &["--eval", "--print"]),
    ("bun", "ep", &["--eval", "--print"]),
    ("php", "r", &["--run"]),
    ("lua", "e", &[]),
    ("Rscript", "e", &[]),
];

/// Programs that take options behind other arguments too, with those behind which code stands.
const TOLERANT: &[(&str, char, &[&str])] = &[
    ("flock", 'c', &["--command"]),
    ("mariadb", 'e', &["--execute"]),
    ("mysql", 'e', &["--execute"]),
    ("psql", 'c', &["--command"]),
    ("runuser", 'c', &["--command"]),
    ("script", 'c', &["--command"]),
    ("su", 'c', &["--command", "--session-command"]),
];

/// Commands behind which another command stands that may be one of the shell's own.
const BEFORE_BUILTINS: &[&str] = &["builtin", "command", "coproc", "time"];

/// Words that begin and end parts of a script; the grammar takes one for a command where it does not expect it.
const RESERVED: &[&str] = &[
    "!", "[[", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select",
    "then", "until", "while", "{", "}",
];

/// Options of `ssh` that have an argument.
const SSH_OPTIONS: &str = "BbcDEeFIiJLlmOopQRSWw";

/// Programs whose first argument is code, unless an option names a file of it.
const AWKS: &[&str] = &["awk", "gawk", "mawk", "nawk"];

/// Commands that take every argument for code, for a name whose subscripts are code, or for a number to be calculated.
pub(super) const EVALUATORS: &[&str] = &[
    "alias",
    "declare",
    "eval",
    "getopts",
    "let",
    "mapfile",
    "parallel",
    "read",
    "readarray",
    "trap",
    "typeset",
    "unset",
    "watch",
];

/// A word of a command, with [`PLACE`] for each placeholder.
struct Word {
    /// Without what the shell expands in it, which may be nothing.
    text: String,
    /// Whether the shell decides what it is, and whether it is there.
    is_open: bool,
    range: Range<usize>,
}

/// A character that no script holds.
const PLACE: char = '\u{0}';

impl Word {
    fn has_place(&self) -> bool {
        self.text.contains(PLACE)
    }

    /// The name of a program without its directory.
    fn program(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or(&self.text)
    }
}

/// Refuses placeholders that are read as code; the place of the first one, and why.
pub(super) fn check(marked: &Marked<'_>, tree: &Tree) -> Result<(), (usize, Reason)> {
    nodes(tree)
        .filter(|node| node.kind() == "command")
        .try_for_each(|command| check_command(marked, command))
}

fn check_command(marked: &Marked<'_>, command: Node<'_>) -> Result<(), (usize, Reason)> {
    let words = words_of(marked, command);
    let holds = |range: &Range<usize>| {
        let within = |place: &Range<usize>| range.start <= place.start && place.end <= range.end;
        marked.places.iter().position(within)
    };
    let mut names = words
        .iter()
        .skip_while(|word| BEFORE_BUILTINS.contains(&word.program()));
    if let Some(name) = names.next() {
        if RESERVED.contains(&name.text.as_str()) {
            let stands = format!("in a script whose `{}` is not understood here", name.text);
            return Err((
                0,
                Reason::new(
                    stands,
                    "write it in another way, such as `( … )`, or give the value in `env_vars`",
                ),
            ));
        }
        if let Some(place) = holds(&name.range).filter(|_| may_be_builtin(name)) {
            let hint = "write the program, or a list of arguments, which no shell reads: `[\"{}\", …]`";
            return Err((
                place,
                Reason::new(
                    "in the place of the command, which could be one of the shell's own",
                    hint,
                ),
            ));
        }
    }
    let reads = Reads::of(&words);
    for index in &reads.code {
        if let Some(place) = holds(&words[*index].range) {
            let stands = format!("in what `{}` reads as code", reads.program);
            return Err((place, Reason::new(stands, code_hint(&reads.program))));
        }
    }
    // What stands behind the code are its parameters, which are not its input.
    let code = reads.code.iter().max();
    let parameters = code.map_or(0..0, |code| words[*code].range.end..command.end_byte());
    match reads.input {
        true => check_input(marked, command, &reads.program, &parameters),
        false => Ok(()),
    }
}

/// Whether a name could be that of a command of the shell: one with a slash is a file.
fn may_be_builtin(name: &Word) -> bool {
    name.has_place() && !name.text.contains('/')
}

/// Refuses placeholders in what flows into a command: pipelines and here-documents around it.
fn check_input(
    marked: &Marked<'_>,
    command: Node<'_>,
    program: &str,
    parameters: &Range<usize>,
) -> Result<(), (usize, Reason)> {
    let mut flow = None;
    let mut node = command;
    while let Some(parent) = node.parent() {
        if matches!(
            parent.kind(),
            "pipeline" | "redirected_statement" | "heredoc_redirect"
        ) {
            flow = Some(parent);
        }
        node = parent;
    }
    let Some(flow) = flow else { return Ok(()) };
    let range = flow.byte_range();
    let is_read = |place: &Range<usize>| {
        let node = flow.named_descendant_for_byte_range(place.start, place.end);
        // The name of a file is not what is in it.
        let is_name = node
            .and_then(|node| node.parent())
            .is_some_and(|parent| parent.kind() == "file_redirect");
        let is_parameter = parameters.start <= place.start && place.end <= parameters.end;
        range.start <= place.start && place.end <= range.end && !is_name && !is_parameter
    };
    match marked.places.iter().position(is_read) {
        Some(place) => {
            let stands = format!("in what `{program}` reads as code from its input");
            Err((place, Reason::new(stands, code_hint(program))))
        }
        None => Ok(()),
    }
}

/// The program that reads an argument as code, for the argument that begins at a byte of the script.
pub(super) fn reader_of(marked: &Marked<'_>, command: Node<'_>, start: usize) -> Option<String> {
    let words = words_of(marked, command);
    let reads = Reads::of(&words);
    let is_code = reads
        .code
        .iter()
        .any(|index| words[*index].range.contains(&start));
    is_code.then_some(reads.program)
}

/// The parts that a command reads as code.
#[derive(Debug, Default, PartialEq)]
struct Reads {
    /// The program that reads it.
    program: String,
    /// Its arguments that are code, by their positions.
    code: Vec<usize>,
    /// Whether its input is code.
    input: bool,
}

impl Reads {
    fn of(words: &[Word]) -> Self {
        let mut reads = Self::default();
        let is_started = words
            .first()
            .is_some_and(|first| STARTERS.contains(&first.program()));
        for (index, word) in words.iter().enumerate() {
            let program = word.program();
            let arguments = &words[index + 1..];
            let is_command = words[..index]
                .iter()
                .all(|before| before.is_open || STARTERS.contains(&before.program()));
            let (mut code, input) = match by_itself(program, arguments).filter(|_| is_command) {
                Some(found) => found,
                None => by_option(program, arguments),
            };
            // Elsewhere the name of a program may be a plain word: an option has to say that code follows.
            if !(is_command || is_started) || word.has_place() {
                let has_option = |at: &usize| arguments[..*at].iter().any(|word| word.text.starts_with('-'));
                code.retain(has_option);
            }
            let input = input && (is_command || is_started);
            if reads.program.is_empty() && (!code.is_empty() || input) {
                reads.program = program.replace(PLACE, "…");
            }
            // What `xargs` reads becomes arguments, of code too.
            let by_xargs = is_started && words[0].program() == "xargs" && !code.is_empty();
            reads.input |= input || by_xargs;
            reads.code.extend(code.into_iter().map(|at| at + index + 1));
        }
        reads
    }
}

/// The positions of code among the arguments of a command for which it needs no option, and whether its input is code.
fn by_itself(program: &str, arguments: &[Word]) -> Option<(Vec<usize>, bool)> {
    match program {
        _ if EVALUATORS.contains(&program) => Some(((0..arguments.len()).collect(), program == "parallel")),
        "test" => Some((test_names(arguments), false)),
        // An option that is a value could take the next one for a name.
        "printf" => {
            let is_open = arguments
                .first()
                .is_some_and(|first| first.text.starts_with(PLACE));
            let names = arguments
                .first()
                .is_some_and(|first| first.text.starts_with("-v"));
            let code = if is_open || names {
                (usize::from(is_open)..arguments.len()).collect()
            } else {
                Vec::new()
            };
            Some((code, false))
        }
        "." | "source" => Some((Vec::new(), arguments.first().is_some_and(is_standard_input))),
        "at" | "batch" => Some((Vec::new(), true)),
        "ssh" => Some(ssh_code(arguments)),
        "git" => Some((git_code(arguments), false)),
        "make" | "gmake" => Some((make_code(arguments), false)),
        "deno" if arguments.first().is_some_and(|word| word.text == "eval") => {
            Some(((1..arguments.len()).collect(), false))
        }
        // Behind the name of the file stand statements and commands of its own, of which some start a shell.
        "sqlite3" => Some((sqlite_code(arguments), false)),
        _ if AWKS.contains(&program) => Some((awk_code(arguments), false)),
        _ => None,
    }
}

/// The positions of code among the arguments of an interpreter, and whether its input is code.
fn by_option(program: &str, arguments: &[Word]) -> (Vec<usize>, bool) {
    let base = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if SHELLS.contains(&program) {
        return code_behind(arguments, "c", &[]);
    }
    if program.contains(PLACE) {
        return (code_behind(arguments, "ce", &[]).0, false);
    }
    if let Some((_, letter, names)) = TOLERANT.iter().find(|(name, ..)| *name == program) {
        let code = code_anywhere(arguments, *letter, names);
        let is_shell = ["runuser", "su"].contains(&program) && code.is_empty();
        return (code, is_shell);
    }
    match INTERPRETERS.iter().find(|(name, ..)| *name == base) {
        Some((_, letters, names)) => code_behind(arguments, letters, names),
        None => (Vec::new(), false),
    }
}

/// Names of settings of git whose values are commands, by their ends.
const GIT_COMMANDS: &[&str] = &[
    "askpass",
    "clean",
    "cmd",
    "command",
    "driver",
    "editor",
    "external",
    "fsmonitor",
    "gitproxy",
    "helper",
    "hookspath",
    "pager",
    "path",
    "process",
    "program",
    "smudge",
    "sshcommand",
    "textconv",
];

/// The arguments that git hands to a shell: values of settings that are commands, and those of `rebase`, `bisect` and
/// `submodule`.
fn git_code(arguments: &[Word]) -> Vec<usize> {
    let mut code = Vec::new();
    for (index, word) in arguments.iter().enumerate() {
        let behind = |names: &[&str]| index > 0 && names.contains(&arguments[index - 1].text.as_str());
        let is_within = |name: &str| arguments[..index].iter().any(|word| word.text == name);
        let is_command = behind(&["-c"]) && is_git_command(&word.text);
        let executes = is_within("rebase") && (behind(&["-x", "--exec"]) || word.text.starts_with("--exec="));
        let starts =
            (is_within("foreach") && is_within("submodule")) || (is_within("run") && is_within("bisect"));
        if is_command || executes || starts {
            code.push(index);
        }
    }
    code
}

/// Whether a setting, `NAME=VALUE`, is a command.
fn is_git_command(setting: &str) -> bool {
    let name = setting.split('=').next().unwrap_or_default().to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains(PLACE)
        || name.starts_with("alias.")
        || name.starts_with("pager.")
        || GIT_COMMANDS.contains(&last)
}

/// Options of `make` that have an argument.
const MAKE_OPTIONS: &[&str] = &[
    "-C",
    "-I",
    "-W",
    "-f",
    "-j",
    "-l",
    "-o",
    "--directory",
    "--file",
    "--include-dir",
    "--makefile",
    "--old-file",
    "--what-if",
];

/// The arguments that `make` expands: the values of its variables, in which `$(shell …)` is a command, and rules behind
/// `--eval`.
fn make_code(arguments: &[Word]) -> Vec<usize> {
    let is_code = |index: &usize| {
        let text = arguments[*index].text.as_str();
        let before = index
            .checked_sub(1)
            .map_or("", |before| arguments[before].text.as_str());
        let is_rule = before == "--eval";
        let sets = text.split_once('=').is_some_and(|(name, value)| {
            (value.contains(PLACE) && !name.starts_with('-')) || name == "--eval"
        });
        // As a target, a value could be such a setting, or an option.
        let is_target = text.starts_with(PLACE) && !MAKE_OPTIONS.contains(&before);
        is_rule || sets || is_target
    };
    (0..arguments.len()).filter(is_code).collect()
}

fn sqlite_code(arguments: &[Word]) -> Vec<usize> {
    let is_cmd = |index: usize| index > 0 && ["-cmd", "--cmd"].contains(&arguments[index - 1].text.as_str());
    let plain =
        (0..arguments.len()).filter(|index| !arguments[*index].text.starts_with('-') && !is_cmd(*index));
    let behind_file = plain.skip(1);
    let commands = (0..arguments.len()).filter(|index| is_cmd(*index));
    behind_file.chain(commands).collect()
}

/// The arguments that `test` could take for names of variables, whose subscripts bash executes.
fn test_names(arguments: &[Word]) -> Vec<usize> {
    let is_name = |at: &usize| {
        let operator = &arguments[*at - 1].text;
        operator == "-v" || operator.starts_with(PLACE)
    };
    (1..arguments.len()).filter(is_name).collect()
}

/// The arguments behind the name of the host, which a shell there reads, or else its input.
fn ssh_code(arguments: &[Word]) -> (Vec<usize>, bool) {
    let mut index = 0;
    while let Some(option) = arguments
        .get(index)
        .map(|word| word.text.as_str())
        .filter(|text| text.starts_with('-'))
    {
        index += 1 + usize::from(option.len() == 2 && option.ends_with(|c| SSH_OPTIONS.contains(c)));
    }
    let code: Vec<usize> = (index + 1..arguments.len()).collect();
    let has_command = !code.is_empty();
    (code, !has_command)
}

/// The positions of code behind an option, wherever that stands.
fn code_anywhere(arguments: &[Word], letter: char, names: &[&str]) -> Vec<usize> {
    let mut code = Vec::new();
    for (index, word) in arguments.iter().enumerate() {
        let text = word.text.as_str();
        let is_name = |name: &&str| text.strip_prefix(*name).is_some_and(|rest| rest.starts_with('='));
        let is_short = text.starts_with('-') && !text.starts_with("--") && text.contains(letter);
        if names.iter().any(is_name) || (is_short && word.has_place()) {
            code.push(index);
        }
        if names.contains(&text) || is_short {
            code.push(index + 1);
        }
    }
    within(code, arguments)
}

fn is_standard_input(word: &Word) -> bool {
    ["-", "/dev/fd/0", "/dev/stdin"].contains(&word.text.as_str())
}

/// The positions of code among the arguments of an interpreter, and whether it reads its input as code.
fn code_behind(arguments: &[Word], letters: &str, names: &[&str]) -> (Vec<usize>, bool) {
    let mut code = Vec::new();
    let mut index = 0;
    let (mut reads_code, mut is_open) = (false, false);
    while let Some(word) = arguments.get(index) {
        let text = word.text.as_str();
        if word.is_open && !reads_code {
            // Options, a script, or nothing.
            is_open = true;
        } else if text
            .split_once('=')
            .is_some_and(|(name, _)| names.contains(&name))
        {
            code.push(index);
            reads_code = true;
        } else if names.contains(&text) {
            code.extend([index + 1]);
            reads_code = true;
            index += 1;
        } else if text == "--" || text == "-" {
            if reads_code && code.is_empty() {
                code.push(index + 1);
            }
            return (
                within(code, arguments),
                !reads_code && arguments.len() == index + 1,
            );
        } else if text.starts_with("--") {
            // These take a file.
            index += usize::from(["--rcfile", "--init-file"].contains(&text));
        } else if text.len() > 1 && text.starts_with(['-', '+']) {
            let has_letter = text.starts_with('-') && text.contains(|c| letters.contains(c));
            // Code may stand in the same word, or be the next one.
            if has_letter {
                reads_code = true;
                if word.has_place() {
                    code.push(index);
                }
            }
            // The name of an option follows, as in `-eo pipefail`.
            index += usize::from(text.ends_with(['o', 'O']) && letters == "c");
        } else if text.starts_with(PLACE)
            && arguments[index + 1..].iter().any(Word::has_place)
            && !(reads_code || is_open)
        {
            // The value could be the option, and the next one its code.
            code.extend(index + 1..arguments.len());
            return (code, false);
        } else {
            let is_input = is_standard_input(word);
            if reads_code && code.is_empty() {
                code.push(index);
            }
            return (code, is_input);
        }
        index += 1;
    }
    (within(code, arguments), !reads_code && !is_open)
}

fn within(mut code: Vec<usize>, arguments: &[Word]) -> Vec<usize> {
    code.retain(|index| *index < arguments.len());
    code
}

fn awk_code(arguments: &[Word]) -> Vec<usize> {
    let mut index = 0;
    while let Some(word) = arguments.get(index) {
        match word.text.as_str() {
            "-f" | "--file" => return Vec::new(),
            "-v" | "-F" | "--assign" | "--field-separator" => index += 1,
            "-e" | "--source" => return within(vec![index + 1], arguments),
            "--" => return within(vec![index + 1], arguments),
            option if option.starts_with('-') && option.len() > 1 => {}
            _ => return vec![index],
        }
        index += 1;
    }
    Vec::new()
}

/// The argument that a shell reads as code, in a list of arguments: the first behind its options, if one of them is `-c`.
/// Without `-c` that argument is a script, whose own options are not the shell's.
pub(crate) fn code_among(words: &[String]) -> Option<&str> {
    let shell = shell_among(words)?;
    let arguments: Vec<Word> = words[shell + 1..]
        .iter()
        .map(|word| Word {
            text: word.clone(),
            is_open: false,
            range: 0..0,
        })
        .collect();
    let (code, _) = code_behind(&arguments, "c", &[]);
    words.get(shell + 1 + code.first()?).map(String::as_str)
}

/// The position of the shell that a list of arguments starts, by itself or through programs that start the one they are
/// given.
fn shell_among(words: &[String]) -> Option<usize> {
    let is = |word: &String, known: &[&str]| known.contains(&word.rsplit('/').next().unwrap_or(word));
    match words.first()? {
        first if is(first, SHELLS) => Some(0),
        first if is(first, STARTERS) => words.iter().position(|word| is(word, SHELLS)),
        _ => None,
    }
}

/// Whether two words of the grammar are one, by what is between them: it takes escaped blanks, and the ends of lines that
/// are continued, for blanks.
fn is_one(between: &str) -> bool {
    let joined = between.replace("\\\n", "").replace("\\\r\n", "");
    joined.is_empty() || joined.contains('\\')
}

/// The words of a command: its name and its arguments.
fn words_of(marked: &Marked<'_>, command: Node<'_>) -> Vec<Word> {
    let mut cursor = command.walk();
    let children: Vec<Node<'_>> = command.named_children(&mut cursor).collect();
    let is_word = |node: &Node<'_>| {
        !matches!(
            node.kind(),
            "variable_assignment" | "file_redirect" | "herestring_redirect" | "heredoc_redirect"
        )
    };
    let word = |node: Node<'_>| {
        let text = text_of(marked, node);
        Word {
            is_open: text.is_empty() && marked.text_of(node).contains(['$', '`']),
            text,
            range: node.byte_range(),
        }
    };
    let mut words: Vec<Word> = Vec::new();
    for found in children.into_iter().filter(is_word).map(word) {
        match words.last_mut() {
            Some(last) if is_one(&marked.text[last.range.end..found.range.start]) => {
                last.text.push_str(&found.text);
                last.is_open &= found.is_open;
                last.range.end = found.range.end;
            }
            _ => words.push(found),
        }
    }
    words
}

fn text_of(marked: &Marked<'_>, node: Node<'_>) -> String {
    let range = node.byte_range();
    let raw = &marked.text[range.clone()];
    match node.kind() {
        "raw_string" => raw.trim_matches('\'').to_owned(),
        "word" | "number" | "string_content" => with_places(marked, range).replace('\\', ""),
        "command_name" | "concatenation" | "string" => {
            let mut cursor = node.walk();
            let pieces: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
            pieces.into_iter().map(|piece| text_of(marked, piece)).collect()
        }
        // `$1x` is the first parameter and an `x`, which the grammar takes for one name.
        "simple_expansion" => {
            let name = raw.trim_start_matches('$');
            let rest = name.strip_prefix(|c: char| c.is_ascii_digit());
            rest.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn with_places(marked: &Marked<'_>, range: Range<usize>) -> String {
    let mut text = String::new();
    let mut at = range.start;
    for place in &marked.places {
        if place.start >= at && place.end <= range.end {
            text.push_str(&marked.text[at..place.start]);
            text.push(PLACE);
            at = place.end;
        }
    }
    text.push_str(&marked.text[at..range.end]);
    text
}
