use std::path::Path;

use dad_core::Definition;
use serde_json::Value;

use crate::decode::{Cx, decode};
use crate::include::{Includes, MAX_TEXT, read_text};
use crate::problem::{Problem, Problems, Report, quoted};
use crate::source::SourceFile;
use crate::spans::SpanMap;
use crate::value::{Costs, Recording, Tree};
use crate::{json, validate, yaml};

/// Longest YAML text, larger only as JSON: what people write is far below, and what programs write is JSON.
const MAX_YAML: usize = 4 << 20;

/// A definition with everything that is known about where it came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The definition, with the files that it includes in it.
    pub definition: Definition,
    /// Where every value of it stands.
    pub spans: SpanMap,
    /// The files that were read: the definition itself first.
    pub sources: Vec<SourceFile>,
    /// What may not mean what the author thinks.
    pub warnings: Vec<Problem>,
}

/// Loads a definition from a `.yaml`, `.yml` or `.json` file.
///
/// `$file` and `$json` are relative to the file and must stay in `project_root`, or in the directory of the file if
/// there is no project or the file is not in it.
///
/// # Errors
/// [`Problems`] with everything that is wrong, not only the first thing.
pub fn load_file(path: &Path, project_root: Option<&Path>) -> Result<Loaded, Problems> {
    let shown = shown_path(path, project_root);
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let refused = |problem: Problem| {
        let mut report = Report::default();
        report.add(problem.in_file(&shown));
        report.into_problems(&[])
    };
    if !is_known(path) {
        let message = "a definition is a file in `.yaml`, `.yml` or `.json`";
        return Err(refused(Problem::new("unknown_format", message)));
    }
    let text = read_text(path).map_err(|unreadable| refused(unreadable.about(&shown)))?;
    load_str(&text, &shown, Some(base), project_root)
}

fn is_known(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    ["yaml", "yml", "json"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

fn shown_path(path: &Path, project_root: Option<&Path>) -> String {
    let inside = project_root.and_then(|root| {
        let (path, root) = (path.canonicalize().ok()?, root.canonicalize().ok()?);
        path.strip_prefix(root).ok().map(Path::to_path_buf)
    });
    inside.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

/// Loads a definition from text. `file_name` is for messages and, ending in `.json`, chooses JSON.
///
/// `base` is the directory that `$file` and `$json` are relative to, `root` the one they must stay in (`base` if there
/// is none). Without both a definition that includes files is refused.
///
/// # Errors
/// [`Problems`] with everything that is wrong, not only the first thing.
pub fn load_str(
    text: &str,
    file_name: &str,
    base: Option<&Path>,
    root: Option<&Path>,
) -> Result<Loaded, Problems> {
    let mut cx = Cx {
        spans: SpanMap::default(),
        report: Report::default(),
        includes: Includes::new(base, root),
        costs: Costs::default(),
    };
    let source = SourceFile::new(file_name, text);
    let text = source.text.clone();
    cx.spans.add_file(source);
    let definition = read(&text, file_name, &mut cx);
    let Cx { spans, report, .. } = cx;
    let warnings = report.finish(spans.sources())?;
    match definition {
        Some(definition) => Ok(Loaded {
            definition,
            sources: spans.sources().to_vec(),
            spans,
            warnings,
        }),
        None => {
            let mut report = Report::default();
            report.add(nothing_in(file_name));
            Err(report.into_problems(spans.sources()))
        }
    }
}

fn nothing_in(file_name: &str) -> Problem {
    let problem = Problem::new("empty", "there is no definition in this file");
    problem.in_file(file_name)
}

fn read(text: &str, file_name: &str, cx: &mut Cx) -> Option<Definition> {
    let tree = parse(text, file_name, &cx.spans, &mut cx.report)?;
    let mut recording = Recording {
        spans: &mut cx.spans,
        costs: &mut cx.costs,
        file: 0,
    };
    if !tree.record(&mut recording) {
        cx.report.add(Costs::problem().in_file(file_name));
        return None;
    }
    let definition = decode(&tree, cx)?;
    if !cx.report.has_errors() {
        validate::validate(&definition, &cx.spans, &mut cx.report);
    }
    Some(definition)
}

/// Parses the text of the first file of `spans`.
fn parse(text: &str, file_name: &str, spans: &SpanMap, report: &mut Report) -> Option<Tree> {
    let is_json = file_name.to_ascii_lowercase().ends_with(".json");
    if let Some((at, character)) = text.char_indices().find(|(_, c)| is_refused(*c, is_json)) {
        let message = format!(
            "the control character {} is not allowed",
            quoted(&character.to_string())
        );
        let spot = spans.spot(0, at..at + character.len_utf8());
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
    parse(text, 0, spans, report)
}

/// Loads plain data, such as a project's configuration, by the same rules as definitions: no tags, no merge keys, no
/// duplicate keys, and only JSON's scalars resolve. Nothing in it is a template.
///
/// # Errors
/// [`Problems`] with everything that is wrong, each with its line.
pub fn load_data(path: &Path) -> Result<Value, Problems> {
    let shown = path.to_string_lossy().into_owned();
    let mut report = Report::default();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(unreadable) => {
            report.add(unreadable.about(&shown).in_file(&shown));
            return Err(report.into_problems(&[]));
        }
    };
    let mut spans = SpanMap::default();
    spans.add_file(SourceFile::new(&shown, &text));
    let tree = parse(&text, &shown, &spans, &mut report);
    report.finish(spans.sources())?;
    Ok(tree.map_or(Value::Null, Tree::into_json))
}

/// Control characters that the formats refuse in text; the parser of YAML would stop in silence at a NUL.
fn is_refused(character: char, is_json: bool) -> bool {
    let refused = character < ' ' || (character == '\u{7f}' && !is_json);
    refused && !matches!(character, '\t' | '\n' | '\r')
}
