//! The text of one file, as YAML or JSON.

use crate::include::MAX_TEXT;
use crate::problem::{Problem, Report, quoted};
use crate::spans::SpanMap;
use crate::value::Tree;
use crate::{json, yaml};
use std::path::Path;

/// Longest YAML text, larger only as JSON: what people write is far below, and what programs write is JSON.
const MAX_YAML: usize = 4 << 20;

pub(crate) fn is_known(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    ["yaml", "yml", "json"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Parses the text of a file of `spans`.
pub(crate) fn parse(
    text: &str,
    file_name: &str,
    file: usize,
    spans: &SpanMap,
    report: &mut Report,
) -> Option<Tree> {
    let is_json = file_name.to_ascii_lowercase().ends_with(".json");
    if let Some((at, character)) = text.char_indices().find(|(_, c)| is_refused(*c, is_json)) {
        let message = format!(
            "the control character {} is not allowed",
            quoted(&character.to_string())
        );
        let spot = spans.spot(file, at..at + character.len_utf8());
        report.add(Problem::new("control_character", message).located(spot));
        return None;
    }
    let limit = if is_json {
        usize::try_from(MAX_TEXT).unwrap_or(usize::MAX)
    } else {
        MAX_YAML
    };
    if text.len() > limit {
        let message = format!("the file has more than {} MiB", limit >> 20);
        let problem = Problem::new("too_large", message)
            .hint("put large texts into files and include them with `$file`");
        report.add(problem.in_file(file_name));
        return None;
    }
    let parse = if is_json { json::parse } else { yaml::parse };
    parse(text, file, spans, report)
}

/// Control characters that the formats refuse in text; the parser of YAML would stop in silence at a NUL.
fn is_refused(character: char, is_json: bool) -> bool {
    let refused = character < ' ' || (character == '\u{7f}' && !is_json);
    refused && !matches!(character, '\t' | '\n' | '\r')
}
