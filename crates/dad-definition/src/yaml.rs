//! YAML with the place of every value; only the scalars of JSON resolve, and aliases, tags and merge keys are refused.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use dad_core::internal::count;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use crate::json::KEEP_ONE;
use crate::problem::{Problem, Report, quoted};
use crate::spans::SpanMap;
use crate::spot::Style;
use crate::value::{Data, MAX_DEPTH, MAX_KEY, MAX_VALUES, Member, Tree, parse_number};

/// Parses one YAML document into a tree, reporting everything that YAML allows and definitions do not.
///
/// `None` if no tree could be made; the reason is reported.
pub(crate) fn parse(text: &str, file: usize, spans: &SpanMap, report: &mut Report) -> Option<Tree> {
    let mut reader = Reader {
        text,
        file,
        spans,
        report,
        parser: Parser::new_from_str(text),
        offsets: char_offsets(text),
        values: 0,
        last: 0,
    };
    reader.document()
}

/// Byte offsets of characters; nothing for ASCII, where they are the same.
fn char_offsets(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        Vec::new()
    } else {
        text.char_indices().map(|(at, _)| at).collect()
    }
}

struct Reader<'t, 'r> {
    text: &'t str,
    file: usize,
    spans: &'r SpanMap,
    report: &'r mut Report,
    parser: Parser<'t, StrInput<'t>>,
    offsets: Vec<usize>,
    values: usize,
    /// The end of the last event, for syntax errors whose own place is past the cause.
    last: usize,
}

/// A collection that is not closed yet.
enum Open {
    List {
        start: usize,
        items: Vec<Tree>,
    },
    Map {
        start: usize,
        members: Vec<Member>,
        seen: HashSet<String>,
        key: Option<Key>,
    },
}

struct Key {
    text: String,
    span: Range<usize>,
    /// A key that was reported: its value is read and forgotten.
    refused: bool,
}

type Step<'t> = Option<(Event<'t>, Range<usize>)>;

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Option<Tree> {
        let mut stack: Vec<Open> = Vec::new();
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            let done = match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    let problem = Problem::new(
                        "several_documents",
                        "a definition is one document, here begins another",
                    );
                    self.add(problem.hint("put it into a file of its own"), span);
                    break;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_extras(anchor, tag.is_some(), &span);
                    stack.push(Open::List {
                        start: span.start,
                        items: Vec::new(),
                    });
                    None
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_extras(anchor, tag.is_some(), &span);
                    let (members, seen) = (Vec::new(), HashSet::new());
                    stack.push(Open::Map {
                        start: span.start,
                        members,
                        seen,
                        key: None,
                    });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => stack.pop().map(|open| close(open, span.end)),
                Event::Scalar(text, style, anchor, tag) => {
                    self.refuse_extras(anchor, tag.is_some(), &span);
                    let is_key = matches!(stack.last(), Some(Open::Map { key: None, .. }));
                    Some(self.scalar(&text, style, span, is_key))
                }
                Event::Alias(_) => {
                    let problem = Problem::new("yaml_alias", "aliases (`*name`) are not supported");
                    self.add(
                        problem.hint("write the value out, or use a variable"),
                        span.clone(),
                    );
                    Some(Tree::new(span, Data::Refused))
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => None,
            };
            if stack.len() > MAX_DEPTH {
                self.add(too_deep(), self.last..self.last);
                return None;
            }
            if let Some(tree) = done {
                self.values += 1;
                if self.values > MAX_VALUES {
                    let message = format!("a definition has at most {MAX_VALUES} values");
                    self.add(Problem::new("too_large", message), tree.span);
                    return None;
                }
                match stack.last_mut() {
                    None => root = Some(tree),
                    Some(open) => self.put(open, tree),
                }
            }
        }
        root
    }

    /// The next event with its place in bytes; `None` after a syntax error, which is reported.
    fn next(&mut self) -> Step<'t> {
        match self.parser.next_event()? {
            Ok((event, span)) => {
                let span = self.byte(span.start.index())..self.byte(span.end.index());
                let span = span.start..span.end.max(span.start);
                self.last = span.start;
                Some((event, span))
            }
            Err(error) => {
                self.syntax_error(&error);
                None
            }
        }
    }

    fn byte(&self, index: usize) -> usize {
        let offset = if self.offsets.is_empty() {
            Some(index)
        } else {
            self.offsets.get(index).copied()
        };
        offset.unwrap_or(self.text.len()).min(self.text.len())
    }

    fn add(&mut self, problem: Problem, span: Range<usize>) {
        if self.report.is_full_for(problem.severity) {
            self.report.add(problem);
        } else {
            self.report.add(problem.located(self.spans.spot(self.file, span)));
        }
    }

    fn refuse_extras(&mut self, anchor: usize, tag: bool, span: &Range<usize>) {
        if anchor != 0 {
            let problem = Problem::new("yaml_anchor", "anchors (`&name`) are not supported");
            self.add(
                problem.hint("write the value out where it is needed, or use a variable"),
                span.clone(),
            );
        }
        if tag {
            let problem = Problem::new("yaml_tag", "tags (`!name`) are not supported");
            self.add(
                problem.hint("a value's type is seen from how it is written; quote it to make it text"),
                span.clone(),
            );
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Range<usize>, is_key: bool) -> Tree {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let data = if style == Style::Plain && !is_key {
            self.resolve(text, &span)
        } else {
            Data::Text(text.to_owned())
        };
        let style = if matches!(data, Data::Text(_)) {
            style
        } else {
            Style::Other
        };
        Tree { span, style, data }
    }

    fn resolve(&mut self, text: &str, span: &Range<usize>) -> Data {
        match text {
            "" | "null" => return Data::Null,
            "true" => return Data::Bool(true),
            "false" => return Data::Bool(false),
            _ => {}
        }
        match parse_number(text) {
            Some(Ok(number)) => return Data::Number(number),
            Some(Err(reason)) => {
                let problem = Problem::new("number_range", format!("the number {} {reason}", quoted(text)));
                self.add(problem.hint("write it as text, in quotes"), span.clone());
                return Data::Refused;
            }
            None => {}
        }
        if let Some(meant) = meant_by_others(text) {
            let message = format!(
                "{} is text here; only `true`, `false`, `null` and JSON numbers are not",
                quoted(text)
            );
            let hint = format!("write {meant} if that is meant, or put the text in quotes");
            self.add(
                Problem::new("ambiguous_text", message).hint(hint).warning(),
                span.clone(),
            );
        }
        Data::Text(text.to_owned())
    }

    fn put(&mut self, open: &mut Open, tree: Tree) {
        match open {
            Open::List { items, .. } => items.push(tree),
            Open::Map {
                members, seen, key, ..
            } => match key.take() {
                None => *key = Some(self.key(tree, seen)),
                Some(Key { refused: true, .. }) => {}
                Some(Key { text, span, .. }) => members.push(Member {
                    key: text,
                    key_span: span,
                    value: tree,
                }),
            },
        }
    }

    fn key(&mut self, tree: Tree, seen: &mut HashSet<String>) -> Key {
        let Tree { span, data, style } = tree;
        let Data::Text(text) = data else {
            self.add(
                Problem::new("yaml_key", "a key must be a text on one line"),
                span.clone(),
            );
            return Key {
                text: String::new(),
                span,
                refused: true,
            };
        };
        let problem = if text == "<<" && style == Style::Plain {
            let problem = Problem::new("yaml_merge", "merge keys (`<<`) are not supported");
            Some(problem.hint("write the keys out"))
        } else if text.is_empty() && style == Style::Plain {
            Some(Problem::new("yaml_key", "the key before `:` is missing"))
        } else if text.len() > MAX_KEY {
            Some(Problem::new(
                "key_too_long",
                format!("a key has at most {MAX_KEY} bytes, this one has {}", text.len()),
            ))
        } else if !seen.insert(text.clone()) {
            let message = format!("the key {} occurs twice", quoted(&text));
            Some(Problem::new("duplicate_key", message).hint(KEEP_ONE))
        } else {
            None
        };
        let refused = problem.is_some();
        if let Some(problem) = problem {
            self.add(problem, span.clone());
        }
        Key { text, span, refused }
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let at = self.byte(error.marker().index());
        if error.info().contains("recursion limit") {
            return self.add(too_deep(), at..at);
        }
        // The parser's own words for characters are an opening backtick and a closing quote.
        let message = format!("this is not YAML: {}", error.info().replace('\'', "`"));
        let problem = Problem::new("yaml_syntax", message);
        let problem = match self.syntax_hint(at, error.info()) {
            Some(hint) => problem.hint(hint),
            None => problem,
        };
        self.add(problem, at..at);
    }

    /// The probable meaning, seen from the lines around the place where the parser stopped.
    fn syntax_hint(&self, at: usize, error: &str) -> Option<Cow<'static, str>> {
        let lines = [self.line(at), self.line(self.last)];
        let next = self
            .text
            .get(at..)
            .and_then(|rest| rest.lines().nth(1))
            .unwrap_or_default();
        let has_tab = |line: &&str| line.trim_start_matches(' ').starts_with('\t');
        if lines.iter().any(|line| has_placeholder(line)) {
            Some("put a text with a placeholder in quotes, or write it as a block after `|-`".into())
        } else if lines.iter().chain([&next]).any(has_tab) {
            Some("indent with spaces, not with tabs".into())
        } else if error.contains("unknown anchor") {
            Some("put a text that begins with `*` in quotes".into())
        } else if error.contains("quoted scalar") && error.contains("end of stream") {
            Some("close the text with the quotation mark that it begins with".into())
        } else if error.contains("flow") && self.text.get(at..).is_some_and(|rest| rest.trim().is_empty()) {
            Some("close each `[` and `{`".into())
        } else if lines.iter().any(|line| has_several_colons(line)) {
            Some("put a text with `: ` in it in quotes".into())
        } else if error.contains("did not find expected") && error.contains("block") {
            self.indentation(at).map(Cow::Owned)
        } else {
            None
        }
    }

    /// A remark on the indentation of a line that is not that of the line above it.
    fn indentation(&self, at: usize) -> Option<String> {
        let indent = |line: &str| line.chars().take_while(|c| *c == ' ').count();
        let own = indent(self.line(at));
        let above = self.text.get(..at)?.lines().rev().skip(usize::from(own > 0));
        let above = above
            .map(str::trim_end)
            .find(|line| !line.is_empty() && !line.trim_start().starts_with('#'))?;
        let above = indent(above);
        (own != above).then(|| {
            format!(
                "this line is indented by {}, the one above it by {above}: lines that belong together are indented alike",
                count(own as u64, "blank")
            )
        })
    }

    fn line(&self, at: usize) -> &'t str {
        let start = self
            .text
            .get(..at)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |at| at + 1);
        self.text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default()
    }
}

fn too_deep() -> Problem {
    Problem::new(
        "too_deep",
        format!("values are nested more than {MAX_DEPTH} levels deep"),
    )
}

/// Whether a line has a text with `: ` in it; keys of JSON are in quotes.
fn has_several_colons(line: &str) -> bool {
    line.matches(": ")
        .count()
        .saturating_sub(line.matches("\": ").count())
        > 1
}

fn has_placeholder(line: &str) -> bool {
    ["$expr{", "$var{", "$hier{", "$secret{"]
        .iter()
        .any(|opening| line.contains(opening))
}

fn close(open: Open, end: usize) -> Tree {
    match open {
        Open::List { start, items } => Tree::new(start..end, Data::List(items)),
        Open::Map { start, members, .. } => Tree::new(start..end, Data::Map(members)),
    }
}

/// The value that other readers of YAML take a text for, which is text here.
pub(crate) fn meant_by_others(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "yes" | "on" | "true" => Some("`true`"),
        "no" | "off" | "false" => Some("`false`"),
        "~" | "null" => Some("`null`"),
        _ => {
            let unsigned = lower.trim_start_matches(['+', '-']);
            let digits_after = |prefix: &str, radix: u32| {
                let digits = unsigned.strip_prefix(prefix).filter(|digits| !digits.is_empty());
                digits.is_some_and(|digits| digits.chars().all(|digit| digit.is_digit(radix)))
            };
            let decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                && unsigned.parse::<f64>().is_ok();
            let number = digits_after("0x", 16)
                || digits_after("0o", 8)
                || matches!(unsigned, ".inf" | ".nan")
                || decimal;
            number.then_some("it as a JSON number")
        }
    }
}
