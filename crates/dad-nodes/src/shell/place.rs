//! The place of a placeholder in a script, by the grammar of bash.
//!
//! The script is parsed twice: with a plain word in the place of each placeholder, to learn what is around it, and then as
//! the shell will read it, to see that the variable is where the word was. What the list below does not name is refused, and
//! so is a script that the grammar cannot parse: a new construct of a shell is never a way for a value to become code.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

use super::programs;
use super::quoting::{Quoting, Refusal, expansion, variable};

/// Everything that is around a placeholder and leaves it one word, or the words of one command.
const TRANSPARENT: &[&str] = &[
    "command",
    "command_name",
    "command_substitution",
    "compound_statement",
    "case_item",
    "case_statement",
    "concatenation",
    "do_group",
    "elif_clause",
    "else_clause",
    "file_redirect",
    "for_statement",
    "function_definition",
    "heredoc_body",
    "heredoc_redirect",
    "if_statement",
    "list",
    "negated_command",
    "pipeline",
    "program",
    "redirected_statement",
    "string",
    "subshell",
    "test_command",
    "variable_assignment",
    "variable_assignments",
    "while_statement",
    // Of `[ … ]`.
    "binary_expression",
    "parenthesized_expression",
    "unary_expression",
    // Of `export A=…`.
    "declaration_command",
];

/// Variables whose values the shell itself reads as code, as numbers or as files of code.
const READ_BY_THE_SHELL: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "HISTCMD",
    "LINENO",
    "OPTIND",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "RANDOM",
    "SECONDS",
    "SRANDOM",
];

/// A character that belongs to a word, and to no name.
const APART: &str = "%";

/// A script as it is parsed, with the ranges of its placeholders.
pub(super) struct Marked<'a> {
    pub(super) text: String,
    pub(super) places: Vec<Range<usize>>,
    sources: &'a [String],
}

/// Why a placeholder is refused, without the placeholder.
pub(super) struct Reason {
    /// Behind "stands".
    pub(super) stands: String,
    pub(super) hint: String,
}

impl Reason {
    pub(super) fn new(stands: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            stands: stands.into(),
            hint: hint.into(),
        }
    }
}

/// Decides how each value is given; `None` among the texts stands for a placeholder.
pub(super) fn decide(texts: &[Option<String>], sources: &[String]) -> Result<Vec<Quoting>, Refusal> {
    // A name that the text does not hold, since names of values are reserved.
    let marked = Marked::of(texts, sources, |number, before| {
        let name = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        // Behind `$name` it would be more of that name.
        let apart = if name.ends_with('$') { APART } else { "" };
        format!("{apart}{}_", variable(number))
    });
    let tree = marked.parse()?;
    if nodes(&tree).any(|node| node.kind() == "ansi_c_string") {
        // Shells differ in where it ends, and so in what is quoted behind it.
        return Err(marked.refuse(0, dialect("in a script with `$'…'`")));
    }
    if nodes(&tree).any(has_word_behind) {
        // The grammar takes it for the name of a file, and so the command for another one.
        let reason = Reason::new(
            "in a script with a word behind a redirection",
            "write the command and its arguments before their redirections",
        );
        return Err(marked.refuse(0, reason));
    }
    let mut quotings = Vec::new();
    let mut around = Vec::new();
    for place in 0..marked.places.len() {
        let found = marked
            .look(&tree, place)
            .map_err(|reason| marked.refuse(place, reason))?;
        quotings.push(found.quoting);
        around.push(found.around);
    }
    programs::check(&marked, &tree).map_err(|(place, reason)| marked.refuse(place, reason))?;
    let written = Marked::of(texts, sources, |number, _| {
        expansion(number, quotings[number - 1])
    });
    let tree = written.parse()?;
    for (place, (quoting, around)) in quotings.iter().zip(around).enumerate() {
        if !written.is_as_meant(&tree, place, *quoting, &around) {
            let reason = Reason::new(
                "where it is not certain how the shell reads it",
                "put a value into a variable first (`x=$var{…}; …`), or give it as an argument or in `env_vars`",
            );
            return Err(written.refuse(place, reason));
        }
    }
    Ok(quotings)
}

/// The facts about the place of a value.
struct Found {
    quoting: Quoting,
    /// The kinds of the nodes around its word, the innermost first.
    around: Vec<String>,
}

impl<'a> Marked<'a> {
    fn of(texts: &[Option<String>], sources: &'a [String], mark: impl Fn(usize, &str) -> String) -> Self {
        let mut marked = Self {
            text: String::new(),
            places: Vec::new(),
            sources,
        };
        for text in texts {
            match text {
                Some(text) => marked.text.push_str(text),
                None => {
                    let start = marked.text.len();
                    let mark = mark(marked.places.len() + 1, &marked.text);
                    marked.text.push_str(&mark);
                    marked.places.push(start..marked.text.len());
                }
            }
        }
        marked
    }

    fn parse(&self) -> Result<Tree, Refusal> {
        let mut parser = Parser::new();
        let tree = match parser.set_language(&tree_sitter_bash::LANGUAGE.into()) {
            Ok(()) => parser.parse(&self.text, None),
            Err(_) => None,
        };
        let tree = tree.ok_or_else(|| self.unreadable(0))?;
        let error = nodes(&tree).find(|node| node.is_error() || node.is_missing());
        match error.map(|error| error.start_byte()) {
            Some(at) => Err(self.unreadable(at)),
            None => Ok(tree),
        }
    }

    fn unreadable(&self, at: usize) -> Refusal {
        let line = self.text[..at].matches('\n').count() + 1;
        let text = self.shown(self.text.lines().nth(line - 1).unwrap_or_default());
        Refusal {
            code: "placeholder_in_shell",
            message: format!(
                "the script cannot be read at line {line}, `{text}`, so that a value in it could be code"
            ),
            hint: "put the script into a file and give values as arguments: `[sh, script.sh, \"$var{…}\"]`"
                .to_owned(),
        }
    }

    /// A piece of the script with its placeholders as they are written, and short.
    fn shown(&self, piece: &str) -> String {
        let mut shown = piece.trim().to_owned();
        for (index, source) in self.sources.iter().enumerate().rev() {
            let number = index + 1;
            for mark in [
                format!("\"${{{}}}\"", variable(number)),
                format!("${{{}}}", variable(number)),
                format!("{APART}{}_", variable(number)),
                format!("{}_", variable(number)),
            ] {
                shown = shown.replace(&mark, source);
            }
        }
        match shown.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown,
        }
    }

    fn refuse(&self, place: usize, reason: Reason) -> Refusal {
        let source = &self.sources[place];
        let line = self.text[..self.places[place].start].matches('\n').count() + 1;
        let at_line = match self.text.contains('\n') {
            true => format!(" (line {line})"),
            false => String::new(),
        };
        let Reason { stands, hint } = reason;
        Refusal {
            code: "placeholder_in_shell",
            message: format!("`{source}` stands {stands}{at_line}"),
            hint: hint.replace("{}", source),
        }
    }

    pub(super) fn text_of(&self, node: Node<'_>) -> &str {
        &self.text[node.byte_range()]
    }

    /// The innermost node of the grammar that holds a placeholder.
    fn leaf<'t>(&self, tree: &'t Tree, place: usize) -> Node<'t> {
        let Range { start, end } = self.places[place].clone();
        let root = tree.root_node();
        root.named_descendant_for_byte_range(start, end).unwrap_or(root)
    }

    fn look(&self, tree: &Tree, place: usize) -> Result<Found, Reason> {
        let at = self.places[place].start;
        let before = &self.text[..at];
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        let leaf = self.leaf(tree, place);
        let quoting = match leaf.kind() {
            "word" | "concatenation" | "command_name" => Quoting::Word,
            "string" | "string_content" => Quoting::Double,
            "heredoc_body" | "heredoc_content" => Quoting::HereDocument,
            other => return Err(self.foreign(leaf, other)),
        };
        let mut around = Vec::new();
        let mut inner = leaf;
        while let Some(node) = inner.parent() {
            self.check_around(node, inner)?;
            match node.kind() {
                "heredoc_body" => self.check_document(node, at)?,
                "string" => self.check_string(node)?,
                _ => {}
            }
            around.push(node.kind().to_owned());
            inner = node;
        }
        match leaf.kind() {
            "heredoc_body" => self.check_document(leaf, at)?,
            "string" => self.check_string(leaf)?,
            _ => {}
        }
        if backslashes % 2 == 1 {
            return Err(Reason::new(
                "after a backslash, where the shell would not put its value",
                "take the backslash away",
            ));
        }
        around.retain(|kind| !WITHIN_A_WORD.contains(&kind.as_str()));
        Ok(Found { quoting, around })
    }

    /// A placeholder within something that is no word.
    fn foreign(&self, leaf: Node<'_>, kind: &str) -> Reason {
        let parent = leaf.parent();
        let parent_kind = parent.map_or("", |parent| parent.kind());
        match (kind, parent_kind) {
            ("raw_string", _) => self.single_quotes(leaf),
            ("ansi_c_string", _) => dialect("inside `$'…'`"),
            ("comment", _) => Reason::new(
                "in a comment",
                "take it out, or write `$$var{` for the text itself",
            ),
            ("variable_name", "variable_assignment" | "for_statement") => Reason::new(
                "in the place of a name",
                "write a fixed name, and give the value to it: `name={}`",
            ),
            ("variable_name" | "word", "unset_command") => {
                Reason::new("in the place of a name", "write a fixed name")
            }
            ("variable_name" | "word", "declaration_command") => Reason::new(
                "in the place of a name",
                "write a fixed name, and give the value to it: `export NAME={}`",
            ),
            ("regex" | "extglob_pattern", _) => pattern(),
            ("heredoc_start" | "heredoc_end", _) => Reason::new(
                "in the word that ends a here-document",
                "write a fixed word such as `EOF`",
            ),
            _ => {
                let mut inner = leaf;
                while let Some(node) = inner.parent() {
                    match self.check_around(node, inner) {
                        Ok(()) => inner = node,
                        Err(reason) => return reason,
                    }
                }
                unknown()
            }
        }
    }

    fn single_quotes(&self, quoted: Node<'_>) -> Reason {
        let is_all = |place: &Range<usize>| {
            quoted.start_byte() + 1 == place.start && quoted.end_byte() == place.end + 1
        };
        let hint = match self.is_code(quoted) {
            Some(program) => code_hint(&program),
            None if self.places.iter().any(is_all) => "write `\"{}\"`".to_owned(),
            None => "end the single quotes before it: `'…'\"{}\"'…'`".to_owned(),
        };
        Reason::new(
            "inside single quotes, where the shell would not put its value",
            hint,
        )
    }

    /// The program that reads an argument as code, if the argument is one of those.
    fn is_code(&self, argument: Node<'_>) -> Option<String> {
        let mut node = argument;
        while let Some(parent) = node.parent() {
            if parent.kind() == "command" {
                return programs::reader_of(self, parent, node.start_byte());
            }
            node = parent;
        }
        None
    }

    /// Whether a node around a placeholder leaves it a word; `inner` is what holds the placeholder there.
    fn check_around(&self, node: Node<'_>, inner: Node<'_>) -> Result<(), Reason> {
        let is_field = |name: &str| {
            let mut cursor = node.walk();
            node.children_by_field_name(name, &mut cursor)
                .any(|child| child.id() == inner.id())
        };
        let text = self.text_of(node);
        match node.kind() {
            "command_substitution" if text.starts_with('`') => Err(Reason::new(
                "inside backticks",
                "write `$( … )` instead of backticks",
            )),
            "command_substitution" if text.starts_with("$((") => Err(arithmetic()),
            "compound_statement" if text.starts_with("((") => Err(arithmetic()),
            "arithmetic_expansion"
            | "c_style_for_statement"
            | "subscript"
            | "postfix_expression"
            | "ternary_expression" => Err(arithmetic()),
            "expansion" | "simple_expansion" => Err(Reason::new(
                "inside `${…}`",
                "let the template choose, as in `$expr{ a || b }`, and write its value as a word",
            )),
            "process_substitution" => Err(dialect("inside `<( … )`")),
            "herestring_redirect" => Err(dialect("behind `<<<`")),
            "array" => Err(dialect("inside an array")),
            "file_redirect" if self.is_descriptor(node, inner) => Err(Reason::new(
                "in the place of a file descriptor",
                "write the number of the descriptor",
            )),
            "redirected_statement" => self.check_redirects(node),
            "test_command" if text.starts_with("[[") => Err(dialect("inside `[[ … ]]`")),
            "test_command" if text.starts_with("((") => Err(arithmetic()),
            "unary_expression" if text.starts_with("-v") => Err(names("[ -v")),
            "case_item" if is_field("value") => Err(pattern()),
            "function_definition" if is_field("name") => Err(Reason::new(
                "in the place of the name of a function",
                "write a fixed name, and give the value as an argument",
            )),
            "for_statement" if text.starts_with("select") => Err(dialect("in `select`")),
            "declaration_command" => self.check_declaration(node, inner),
            "variable_assignment" => self.check_assignment(node),
            "concatenation" => self.check_braces(node),
            kind if TRANSPARENT.contains(&kind) => Ok(()),
            _ => Err(unknown()),
        }
    }

    fn has_token(&self, node: Node<'_>, tokens: &[&str]) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor)
            .any(|child| tokens.contains(&self.text_of(child)))
    }

    fn is_descriptor(&self, node: Node<'_>, inner: Node<'_>) -> bool {
        inner.kind() != "file_descriptor" && self.has_token(node, &[">&", "<&", ">&-", "<&-"])
    }

    /// Another shell takes `&>` for the end of a command.
    fn check_redirects(&self, statement: Node<'_>) -> Result<(), Reason> {
        let mut cursor = statement.walk();
        let mut redirects = statement
            .children(&mut cursor)
            .filter(|child| child.kind() == "file_redirect");
        match redirects.any(|redirect| self.has_token(redirect, &["&>", "&>>"])) {
            true => Err(dialect("beside `&>`")),
            false => Ok(()),
        }
    }

    fn check_declaration(&self, node: Node<'_>, inner: Node<'_>) -> Result<(), Reason> {
        let mut cursor = node.walk();
        let mut words = node.children(&mut cursor).map(|child| self.text_of(child));
        let keyword = words.next().unwrap_or_default();
        let is_plain = ["export", "readonly", "local"].contains(&keyword);
        let converts = words.any(|word| word.starts_with(['-', '+']) && word.contains(['i', 'n', 'a', 'A']));
        match inner.kind() {
            _ if !is_plain || converts => Err(dialect(&format!("behind `{keyword}`"))),
            "variable_assignment" => Ok(()),
            _ => Err(names(keyword)),
        }
    }

    fn check_assignment(&self, node: Node<'_>) -> Result<(), Reason> {
        let name = node
            .child_by_field_name("name")
            .map_or("", |name| self.text_of(name));
        if !READ_BY_THE_SHELL.contains(&name) {
            return Ok(());
        }
        let stands = format!("in the value of `{name}`, which the shell itself reads");
        Err(Reason::new(
            stands,
            "give the value to a variable with another name",
        ))
    }

    /// Braces without quotes around, in which bash sees several words.
    fn check_braces(&self, word: Node<'_>) -> Result<(), Reason> {
        let mut cursor = word.walk();
        let mut pieces = word.children(&mut cursor).filter(|piece| piece.kind() == "word");
        match pieces.any(|piece| self.text_of(piece).contains(['{', '}'])) {
            true => Err(Reason::new(
                "beside braces, in which some shells see several words",
                "put the braces into quotes, or write the words one by one",
            )),
            false => Ok(()),
        }
    }

    fn check_string(&self, string: Node<'_>) -> Result<(), Reason> {
        let start = string.start_byte();
        match self.text_of(string).starts_with('$') || self.text[..start].ends_with('$') {
            true => Err(dialect("inside `$\"…\"`")),
            false => Ok(()),
        }
    }

    /// A here-document whose text the shell expands, as far as the grammar sees everything in it.
    fn check_document(&self, body: Node<'_>, at: usize) -> Result<(), Reason> {
        let start = body.parent().and_then(|redirect| {
            let mut cursor = redirect.walk();
            let mut children = redirect.children(&mut cursor);
            children.find(|child| child.kind() == "heredoc_start")
        });
        let word = start.map_or("", |start| self.text_of(start));
        if word.is_empty() || word.contains(['\'', '"', '\\', '$', '`']) {
            let stands =
                format!("in a here-document that begins with `{word}`, where the shell puts no values");
            let hint = "give the text with `stdin` of the node, or take the quotes away from that word, and put `\\` before every other `$`, \
                        backtick and `\\` of the text";
            return Err(Reason::new(stands, hint));
        }
        let before = &self.text[body.start_byte()..at];
        let (mut is_escaped, mut has_backtick) = (false, false);
        for c in before.chars() {
            has_backtick |= c == '`' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
        }
        if has_backtick {
            return Err(Reason::new(
                "behind a backtick in a here-document",
                "write `$( … )` instead of backticks",
            ));
        }
        Ok(())
    }

    /// Whether the variable of a value stands where its mark stood, and in the quotes that it was given.
    fn is_as_meant(&self, tree: &Tree, place: usize, quoting: Quoting, around: &[String]) -> bool {
        let range = self.places[place].clone();
        let inner = match quoting {
            Quoting::Word => range.start + 1..range.end - 1,
            _ => range,
        };
        let root = tree.root_node();
        let Some(mut node) = root.named_descendant_for_byte_range(inner.start, inner.end) else {
            return false;
        };
        // Nothing else is a part of it; the grammar counts a blank before it in.
        let is_whole = node.end_byte() == inner.end && self.text_of(node).trim_start() == &self.text[inner];
        if node.kind() != "expansion" || !is_whole {
            return false;
        }
        let mut found = Vec::new();
        while let Some(parent) = node.parent() {
            found.push(parent.kind());
            node = parent;
        }
        let quoted_by = match quoting {
            Quoting::HereDocument => "heredoc_body",
            _ => "string",
        };
        let is_quoted = found.first() == Some(&quoted_by);
        found.retain(|kind| !WITHIN_A_WORD.contains(kind));
        is_quoted && found == around
    }
}

/// Nodes that are parts of a word: which of them there are depends on what stands beside the place.
const WITHIN_A_WORD: &[&str] = &[
    "concatenation",
    "heredoc_body",
    "heredoc_content",
    "string",
    "string_content",
    "word",
];

/// All nodes of a script, each before those in it; without recursion, as scripts may be nested without a limit.
pub(super) fn nodes(tree: &Tree) -> impl Iterator<Item = Node<'_>> {
    let mut waiting = vec![tree.root_node()];
    std::iter::from_fn(move || {
        let node = waiting.pop()?;
        let mut cursor = node.walk();
        let from = waiting.len();
        waiting.extend(node.children(&mut cursor));
        waiting[from..].reverse();
        Some(node)
    })
}

/// Whether a redirection has a word behind its file or its document.
fn has_word_behind(redirect: Node<'_>) -> bool {
    let mut cursor = redirect.walk();
    match redirect.kind() {
        "file_redirect" => {
            redirect
                .children_by_field_name("destination", &mut cursor)
                .count()
                > 1
        }
        "heredoc_redirect" => redirect.child_by_field_name("argument").is_some(),
        _ => false,
    }
}

fn arithmetic() -> Reason {
    Reason::new(
        "in arithmetic, where a shell evaluates the text of a value",
        "let the template calculate, as in `$expr{ a + 1 }`, and write the result as a word",
    )
}

fn pattern() -> Reason {
    Reason::new("in a pattern", "compare with `[ \"$x\" = {} ]`")
}

fn dialect(place: &str) -> Reason {
    Reason::new(
        format!("{place}, which not every `sh` understands"),
        "write it for a plain `sh`, or give the value in `env_vars` to `[bash, -c, '…']`",
    )
}

fn names(program: &str) -> Reason {
    Reason::new(
        format!("among the arguments of `{program}`, which takes them for names or code"),
        "write fixed names, and give the value to one of them: `name={}`",
    )
}

fn unknown() -> Reason {
    Reason::new(
        "where a value is not certain to be one word",
        "write it as a word of its own or in double quotes, or give it in `env_vars`",
    )
}

/// The right form of a value that a program would read as code.
pub(super) fn code_hint(program: &str) -> String {
    let base = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match if base.is_empty() { program } else { base } {
        "python" | "pypy" => {
            "give it as an argument: `python3 -c 'import sys; … sys.argv[1] …' \"{}\"`".to_owned()
        }
        "awk" | "gawk" | "mawk" | "nawk" => {
            format!("give it as a variable: `{program} -v value=\"{{}}\" '… value …'`")
        }
        _ if programs::SHELLS.contains(&base) => {
            format!("give it as an argument: `{program} -c '… \"$1\" …' {program} \"{{}}\"`")
        }
        "." | "source" => "give it as a variable or an argument of a script in a file".to_owned(),
        "ssh" => {
            "a shell reads it there: copy a script to the host, or give the text as input of a fixed command"
                .to_owned()
        }
        "make" | "gmake" => {
            "give it in `env_vars: { VALUE: \"{}\" }`, and read it in a recipe as `\"$$VALUE\"`, which its shell does".to_owned()
        }
        "git" => "write the setting and the command fixed, and give it in `env_vars: { VALUE: \"{}\" }`".to_owned(),
        "eval" => "leave `eval` out: a value is one word already".to_owned(),
        "trap" => {
            "give it to a variable, which the trap reads: `value={}; trap '… \"$value\" …' EXIT`".to_owned()
        }
        "parallel" | "watch" => {
            format!("write a script for `{program}` that reads it from `env_vars: {{ VALUE: \"{{}}\" }}`")
        }
        _ if programs::EVALUATORS.contains(&base) || ["printf", "test"].contains(&base) => {
            "write a fixed name, and give the value to it: `name={}`".to_owned()
        }
        _ => format!(
            "give it to `{program}` as an argument behind the code, or in `env_vars: {{ VALUE: \"{{}}\" }}`"
        ),
    }
}
