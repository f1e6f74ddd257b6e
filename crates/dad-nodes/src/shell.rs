//! Command strings with placeholders: the placeholders become positional parameters and the values travel as
//! arguments, so that no value is ever read as shell code.
//!
//! Whatever this module takes a place for, the shell only ever sees `${1}` there, which it expands without reading the
//! value again. Telling quotes apart is needed for another reason: outside of quotes the parameter is put into double
//! quotes, so that the value stays one word, and where a parameter would not be expanded the author is told.

use dad_template::{Part, Template};
use serde_json::{Value, json};

/// A command string made safe: its parts, with templates in the place of values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) parts: Vec<Value>,
}

/// Why a placeholder cannot stand where it does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What a command string is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandText {
    /// No placeholders: the shell reads it as it is.
    Plain,
    /// Placeholders among other text.
    Script(Script),
    /// One placeholder and nothing else: the value is the command.
    Generated,
}

/// Looks at a command string; `None` if it is no template, which is reported elsewhere.
pub(crate) fn read(text: &str) -> Option<Result<CommandText, Refusal>> {
    let template = Template::parse(text).ok()?;
    if template.as_literal().is_some() {
        return Some(Ok(CommandText::Plain));
    }
    if template.is_single_placeholder() {
        return Some(Ok(CommandText::Generated));
    }
    Some(to_script(text, &template).map(CommandText::Script))
}

fn to_script(text: &str, template: &Template) -> Result<Script, Refusal> {
    let mut reader = Reader::default();
    let mut parts = Vec::new();
    for part in template.parts() {
        match part {
            Part::Text { text, .. } => {
                reader.text(text);
                parts.push(json!({ "text": dad_template::escape(text) }));
            }
            Part::Placeholder(placeholder) => {
                let source = placeholder.source().to_owned();
                let is_within = reader.is_within().map_err(|place| refuse(place, &source, text))?;
                let kind = if is_within { "within" } else { "value" };
                parts.push(json!({ kind: source }));
            }
        }
    }
    Ok(Script { parts })
}

/// Where a placeholder is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    SingleQuotes,
    HereDocument,
    Backticks,
    Arithmetic,
    AfterBackslash,
}

fn refuse(place: Place, placeholder: &str, text: &str) -> Refusal {
    let (stands, hint) = match place {
        Place::SingleQuotes => (
            "inside single quotes",
            format!("write {}", without_single_quotes(text)),
        ),
        Place::HereDocument => (
            "in a here-document",
            format!("use `stdin: \"{placeholder}\"` of the node"),
        ),
        Place::Backticks => (
            "inside backticks",
            "write `$( … )` instead of backticks".to_owned(),
        ),
        Place::Arithmetic => (
            "in arithmetic",
            "let the template calculate: `$expr{ … }`".to_owned(),
        ),
        Place::AfterBackslash => ("after a backslash", "take the backslash away".to_owned()),
    };
    Refusal {
        code: "placeholder_in_shell",
        message: format!("`{placeholder}` stands {stands}, where the shell would not put its value"),
        hint,
    }
}

/// The command with double quotes in place of the single ones: the line the author most likely wants.
fn without_single_quotes(text: &str) -> String {
    text.replace('\'', "\"")
}

/// What the shell is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Single,
    Double,
    Backticks,
    /// `$( … )`, with the parentheses open inside.
    Command(usize),
    /// `${ … }`
    Parameter,
    /// `$(( … ))`, with the parentheses open inside.
    Arithmetic(usize),
}

/// Follows the quotes of a command through its literal text.
#[derive(Debug, Default)]
struct Reader {
    stack: Vec<Context>,
    /// The last character was a backslash that escapes the next.
    escaped: bool,
    /// The last characters that may begin something longer: `$`, `$(`, `<`, `<<`.
    pending: String,
    comment: bool,
    /// At the beginning of a word, where `#` begins a comment.
    word_start: bool,
    here: HereDocument,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum HereDocument {
    #[default]
    None,
    /// The word after `<<` is being read.
    Word(String),
    /// The rest of the line after that word.
    Line(String),
    /// The document, with the line being read.
    Body { end: String, line: String },
}

impl Reader {
    fn text(&mut self, text: &str) {
        for character in text.chars() {
            self.character(character);
        }
    }

    /// Whether a placeholder at this place stands within double quotes, or as if it did.
    fn is_within(&mut self) -> Result<bool, Place> {
        let place = match (self.escaped, &self.here, self.stack.last()) {
            (true, ..) => Some(Place::AfterBackslash),
            (_, HereDocument::Body { .. } | HereDocument::Word(_), _) => Some(Place::HereDocument),
            (_, _, Some(Context::Single)) => Some(Place::SingleQuotes),
            (_, _, Some(Context::Backticks)) => Some(Place::Backticks),
            (_, _, Some(Context::Arithmetic(_))) => Some(Place::Arithmetic),
            _ => None,
        };
        if let Some(place) = place {
            return Err(place);
        }
        self.pending.clear();
        self.word_start = false;
        let innermost = self.stack.last();
        Ok(matches!(innermost, Some(Context::Double | Context::Parameter)))
    }

    fn character(&mut self, c: char) {
        if self.in_here_document(c) {
            return;
        }
        if self.comment {
            self.comment = c != '\n';
            self.word_start = !self.comment;
            return;
        }
        if std::mem::take(&mut self.escaped) {
            self.word_start = false;
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        match self.stack.last().copied() {
            Some(Context::Single) => {
                if c == '\'' {
                    self.stack.pop();
                }
            }
            Some(Context::Double) => self.in_double(c, &pending),
            Some(Context::Backticks) => match c {
                '`' => drop(self.stack.pop()),
                '\\' => self.escaped = true,
                _ => {}
            },
            inside => self.in_code(c, &pending, inside),
        }
    }

    fn in_double(&mut self, c: char, pending: &str) {
        match (c, pending) {
            ('"', _) => drop(self.stack.pop()),
            ('\\', _) => self.escaped = true,
            ('`', _) => self.stack.push(Context::Backticks),
            _ => drop(self.expansion(c, pending)),
        }
    }

    fn in_code(&mut self, c: char, pending: &str, inside: Option<Context>) {
        let word_start = std::mem::replace(&mut self.word_start, c.is_whitespace() || ";&|(".contains(c));
        if self.expansion(c, pending) {
            return;
        }
        match (c, inside) {
            ('\\', _) => self.escaped = true,
            ('\'', _) => self.stack.push(Context::Single),
            ('"', _) => self.stack.push(Context::Double),
            ('`', _) => self.stack.push(Context::Backticks),
            ('#', Some(Context::Command(_)) | None) if word_start => self.comment = true,
            ('}', Some(Context::Parameter)) => drop(self.stack.pop()),
            ('(' | ')', Some(_)) => self.parenthesis(c),
            ('<', Some(Context::Command(_)) | None) => match pending {
                "<" => "<<".clone_into(&mut self.pending),
                // `<<<` is a here-string, which is quoted like any word.
                "<<" => {}
                _ => "<".clone_into(&mut self.pending),
            },
            (_, _) if pending == "<<" => self.begin_here_document(c),
            _ => {}
        }
    }

    /// Follows `$(`, `$((` and `${`; says whether the character belonged to one.
    fn expansion(&mut self, c: char, pending: &str) -> bool {
        match (pending, c) {
            (_, '$') => "$".clone_into(&mut self.pending),
            ("$", '{') => self.stack.push(Context::Parameter),
            ("$", '(') => {
                self.stack.push(Context::Command(0));
                self.word_start = true;
                "$(".clone_into(&mut self.pending);
            }
            ("$(", '(') => {
                self.stack.pop();
                self.stack.push(Context::Arithmetic(1));
            }
            _ => return false,
        }
        true
    }

    fn parenthesis(&mut self, c: char) {
        let Some(Context::Command(open) | Context::Arithmetic(open)) = self.stack.last_mut() else {
            return;
        };
        match (c, *open) {
            ('(', _) => *open += 1,
            (_, 0) => drop(self.stack.pop()),
            (_, _) => *open -= 1,
        }
    }

    fn begin_here_document(&mut self, c: char) {
        let word = if c == '-' || c.is_whitespace() {
            String::new()
        } else {
            c.to_string()
        };
        self.here = HereDocument::Word(word);
    }

    /// Follows a here-document; says whether the character belonged to one.
    fn in_here_document(&mut self, c: char) -> bool {
        let here = std::mem::take(&mut self.here);
        let (next, taken) = match here {
            HereDocument::None => return false,
            HereDocument::Word(word) if word.is_empty() && (c == ' ' || c == '\t') => {
                (HereDocument::Word(word), true)
            }
            HereDocument::Word(word) if c == '\n' => (body_of(&word), true),
            HereDocument::Word(word) if c.is_whitespace() || ";&|<>()".contains(c) => {
                (HereDocument::Line(word), false)
            }
            HereDocument::Word(word) => (HereDocument::Word(word + c.encode_utf8(&mut [0; 4])), true),
            HereDocument::Line(word) if c == '\n' => (body_of(&word), true),
            HereDocument::Line(word) => (HereDocument::Line(word), false),
            HereDocument::Body { end, line } if c == '\n' && line.trim_start_matches('\t') == end => {
                self.word_start = true;
                (HereDocument::None, true)
            }
            HereDocument::Body { end, .. } if c == '\n' => (
                HereDocument::Body {
                    end,
                    line: String::new(),
                },
                true,
            ),
            HereDocument::Body { end, line } => (
                HereDocument::Body {
                    end,
                    line: line + c.encode_utf8(&mut [0; 4]),
                },
                true,
            ),
        };
        self.here = next;
        taken
    }
}

/// The document after a line with `<<WORD`; quotes around the word do not belong to its end.
fn body_of(word: &str) -> HereDocument {
    let end = word.replace(['\'', '"', '\\'], "");
    HereDocument::Body {
        end,
        line: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Result<String, Place> {
        let template = Template::parse(text).unwrap();
        let mut reader = Reader::default();
        let mut out = String::new();
        let mut number = 0;
        for part in template.parts() {
            match part {
                Part::Text { text, .. } => {
                    reader.text(text);
                    out.push_str(text);
                }
                Part::Placeholder(_) => {
                    number += 1;
                    out.push_str(&match reader.is_within()? {
                        true => format!("${{{number}}}"),
                        false => format!("\"${{{number}}}\""),
                    });
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn a_placeholder_becomes_one_word_in_every_quoting_position() {
        let cases = [
            ("echo $expr{x}", "echo \"${1}\""),
            ("echo \"a $expr{x} b\" $var{y}", "echo \"a ${1} b\" \"${2}\""),
            ("echo a$expr{x}b", "echo a\"${1}\"b"),
            (
                "echo \"$(grep $expr{x} \"f $expr{y}\") $expr{z}\"",
                "echo \"$(grep \"${1}\" \"f ${2}\") ${3}\"",
            ),
            ("echo ${HOME:-$expr{x}}", "echo ${HOME:-${1}}"),
            ("echo $((1 + 2)) $expr{x}", "echo $((1 + 2)) \"${1}\""),
            (
                "echo 'single' $expr{x} # don't\necho $expr{y}",
                "echo 'single' \"${1}\" # don't\necho \"${2}\"",
            ),
            ("echo a#b 'c' $expr{x}", "echo a#b 'c' \"${1}\""),
            ("cat <<< $expr{x}", "cat <<< \"${1}\""),
            (
                "cat <<END; echo $expr{x}\nbody\nEND\necho $expr{y}",
                "cat <<END; echo \"${1}\"\nbody\nEND\necho \"${2}\"",
            ),
            ("echo \\' $expr{x}", "echo \\' \"${1}\""),
            ("(echo $expr{x})", "(echo \"${1}\")"),
        ];
        for (text, wanted) in cases {
            assert_eq!(script(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn where_no_parameter_is_expanded_a_placeholder_is_refused() {
        let cases = [
            ("echo '$expr{x}'", Place::SingleQuotes),
            ("awk '{ print \"$expr{x}\" }'", Place::SingleQuotes),
            ("echo `cat $expr{x}`", Place::Backticks),
            ("echo $((1 + $expr{x}))", Place::Arithmetic),
            ("echo \\$expr{x}", Place::AfterBackslash),
            ("cat <<END\n$expr{x}\nEND", Place::HereDocument),
            ("cat <<-'END' > f\n\tbody\n\t$expr{x}\n\tEND", Place::HereDocument),
        ];
        for (text, place) in cases {
            assert_eq!(script(text), Err(place), "{text}");
        }
    }

    #[test]
    fn a_refusal_shows_the_corrected_line() {
        let Some(Err(refusal)) = read("grep '$expr{pattern}' f") else {
            panic!("it must be refused")
        };
        assert_eq!(refusal.hint, "write grep \"$expr{pattern}\" f");
    }

    #[test]
    fn plain_and_generated_commands_are_told_apart() {
        assert_eq!(read("ls -l"), Some(Ok(CommandText::Plain)));
        assert_eq!(read("$expr{command}"), Some(Ok(CommandText::Generated)));
    }
}
