//! Source without comments, documentation and blank lines.

use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::ContentExclusion;
use super::language::Language;

/// The statement in the place of a docstring that was the whole of a body.
const NOTHING: &str = "pass";

/// The comments and docstrings of a tree.
#[derive(Default)]
struct Found {
    /// To be cut out, in their order, with what takes their place.
    cuts: Vec<(Range<usize>, &'static str)>,
    /// Strings, in which a blank line is text.
    strings: Vec<Range<usize>>,
}

/// The text without what is to be left out.
pub(super) fn strip(language: Language, tree: &Tree, text: &str, exclusions: &[ContentExclusion]) -> String {
    let found = find(language, tree, text, exclusions);
    let mut out = String::with_capacity(text.len());
    let blank_lines = exclusions.contains(&ContentExclusion::BlankLines);
    let mut cuts = found.cuts.into_iter().peekable();
    let mut strings = found.strings.into_iter().peekable();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        while strings.peek().is_some_and(|string| string.end <= range.start) {
            strings.next();
        }
        // The line lies in a string as far as its beginning is not that of the string.
        let in_string = strings
            .peek()
            .is_some_and(|string| string.start < range.start && string.end > range.start);
        let (kept, was_cut) = without(line, &range, &mut cuts);
        let is_blank = kept.trim().is_empty();
        if is_blank && !in_string && (was_cut || blank_lines) {
            continue;
        }
        if was_cut {
            out.push_str(kept.trim_end());
            out.push_str(if line.ends_with("\r\n") {
                "\r\n"
            } else if line.ends_with('\n') {
                "\n"
            } else {
                ""
            });
        } else {
            out.push_str(&kept);
        }
    }
    out
}

/// A line without what is cut out of it, and whether anything was.
fn without(
    line: &str,
    range: &Range<usize>,
    cuts: &mut std::iter::Peekable<impl Iterator<Item = (Range<usize>, &'static str)>>,
) -> (String, bool) {
    let (mut kept, mut at, mut was_cut) = (String::new(), range.start, false);
    while let Some((cut, instead)) = cuts.peek() {
        if cut.start >= range.end {
            break;
        }
        was_cut = true;
        let begins_here = cut.start >= range.start;
        kept.push_str(&line[at - range.start..cut.start.max(at) - range.start]);
        if begins_here {
            kept.push_str(instead);
        }
        at = cut.end.min(range.end).max(at);
        if cut.end > range.end {
            break;
        }
        cuts.next();
    }
    kept.push_str(&line[at - range.start..]);
    (kept, was_cut)
}

fn find(language: Language, tree: &Tree, text: &str, exclusions: &[ContentExclusion]) -> Found {
    let docs = exclusions.contains(&ContentExclusion::DocStrings);
    let comments = exclusions.contains(&ContentExclusion::Comments);
    let mut found = Found::default();
    let mut cursor = tree.walk();
    // Without recursion: a source may be nested deeper than a stack.
    loop {
        let node = cursor.node();
        let mut descend = true;
        if is_comment(node) {
            let is_doc = is_doc_comment(language, node, text);
            if (is_doc && docs) || (!is_doc && comments) {
                found.cuts.push((trimmed(node, text), ""));
            }
            descend = false;
        } else if docs && language == Language::Python && is_docstring(node) {
            let alone = node
                .parent()
                .is_some_and(|body| body.kind() == "block" && body.named_child_count() == 1);
            found
                .cuts
                .push((node.byte_range(), if alone { NOTHING } else { "" }));
            descend = false;
        } else if is_string(node) {
            found.strings.push(node.byte_range());
            // There may be code in it, but no line of it is ours to judge.
            descend = false;
        }
        if descend && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
}

/// Whether a node is a comment of any kind.
pub(super) fn is_comment(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "comment" | "line_comment" | "block_comment" | "html_comment"
    )
}

/// Whether a comment documents something.
pub(super) fn is_doc_comment(language: Language, node: Node<'_>, text: &str) -> bool {
    let comment = &text[node.byte_range()];
    match language {
        Language::Rust => node.child_by_field_name("doc").is_some(),
        Language::Python => false,
        _ => comment.starts_with("/**") && comment.len() > 4,
    }
}

/// Whether a statement of Python is the docstring of what it begins.
pub(super) fn is_docstring(node: Node<'_>) -> bool {
    if node.kind() != "expression_statement" || node.named_child_count() != 1 {
        return false;
    }
    let is_text = node.named_child(0).is_some_and(|child| child.kind() == "string");
    let Some(body) = node.parent().filter(|_| is_text) else {
        return false;
    };
    let is_first = first_statement(body).is_some_and(|first| first.id() == node.id());
    let of = body.parent().map_or("module", |parent| parent.kind());
    let is_body = body.kind() == "module"
        || (body.kind() == "block" && matches!(of, "function_definition" | "class_definition"));
    is_first && is_body
}

fn first_statement(body: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = body.walk();
    body.named_children(&mut cursor).find(|child| !is_comment(*child))
}

fn is_string(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "string"
            | "string_literal"
            | "raw_string_literal"
            | "template_string"
            | "byte_string_literal"
            | "jsx_text"
    )
}

/// The range of a comment without the end of its line, which some grammars count in.
fn trimmed(node: Node<'_>, text: &str) -> Range<usize> {
    let range = node.byte_range();
    let inner = &text[range.clone()];
    range.start..range.start + inner.trim_end_matches(['\n', '\r']).len()
}
