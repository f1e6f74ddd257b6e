//! Loading definitions from files and texts, with all their problems at once.

use std::collections::HashSet;
use std::path::Path;

use dad_core::{Definition, ElementId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use crate::compile::{compile_into, write_texts};
use crate::decode::{Cx, decode};
use crate::executable::check_into;
use crate::include::{Includes, read_text};
use crate::node_types::NodeTypes;
use crate::parse::{is_known, parse};
use crate::place::{Place, Step};
use crate::problem::{MAX_PROBLEMS, Problem, Problems, Report};
use crate::program::Program;
use crate::source::SourceFile;
use crate::spans::SpanMap;
use crate::validate;
use crate::value::{Costs, Recording};

/// A definition with everything that is known about where it came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The definition, with the files that it includes in it.
    pub definition: Definition,
    /// The place of every value.
    pub spans: SpanMap,
    /// The files that were read: the definition itself first.
    pub sources: Vec<SourceFile>,
    /// Problems of parts that may not mean what the author thinks.
    pub warnings: Vec<Problem>,
}

/// A definition that was loaded and checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The definition and where it came from.
    pub loaded: Loaded,
    /// The definition, ready to run.
    pub program: Program,
}

/// Loads a definition from a `.yaml`, `.yml` or `.json` file.
///
/// `$file` and `$json` are relative to the file and must stay in `project_root`, or in the directory of the file if
/// there is no project or the file is not in it.
///
/// # Errors
/// [`Problems`] with everything that is wrong, not only the first thing.
pub fn load_file(path: &Path, project_root: Option<&Path>) -> Result<Loaded, Problems> {
    read_file(path, project_root)?.finish()
}

/// Loads a definition and checks it as [`compile()`](crate::compile()) and
/// [`check_executable`](crate::check_executable) do, so that everything that is wrong with it is said at once, in
/// however many files it stands.
///
/// `name` is that of the agent or flow, by which its root is called unless the definition says otherwise: `NAME_root`.
///
/// # Errors
/// [`Problems`] with everything that is wrong, not only the first thing.
pub fn check_file(
    path: &Path,
    project_root: Option<&Path>,
    name: &str,
    types: &dyn NodeTypes,
) -> Result<Checked, Problems> {
    let mut reading = read_file(path, project_root)?;
    let program = reading.definition.as_mut().and_then(|definition| {
        let Cx {
            spans,
            report,
            dropped,
            ..
        } = &mut reading.cx;
        // Here and not only in the program: what a run records is the definition.
        write_texts(definition, types, spans);
        check_into(definition, spans, report);
        // A name that is no id is reported where it was chosen.
        let root_id = definition
            .root_id
            .clone()
            .or_else(|| ElementId::new(format!("{name}_root")).ok());
        compile_into(definition, &root_id?, types, spans, dropped, report)
    });
    let loaded = reading.finish()?;
    match program {
        Some(program) => Ok(Checked { loaded, program }),
        None => Err(Report::default().one(Problem::new("invalid_id", "the name of the definition is no id"))),
    }
}

/// A file as far as it could be read.
struct Reading {
    cx: Cx,
    definition: Option<Definition>,
    file_name: String,
}

impl Reading {
    fn finish(self) -> Result<Loaded, Problems> {
        let Cx { spans, report, .. } = self.cx;
        let warnings = report.finish(spans.sources())?;
        match self.definition {
            Some(definition) => Ok(Loaded {
                definition,
                sources: spans.sources().to_vec(),
                spans,
                warnings,
            }),
            None => Err(Report::default().one(nothing_in(&self.file_name))),
        }
    }
}

fn read_file(path: &Path, project_root: Option<&Path>) -> Result<Reading, Problems> {
    let shown = shown_path(path, project_root);
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let refused = |problem: Problem| Report::default().one(problem.in_file(&shown));
    if !is_known(path) {
        let message = "a definition is a file in `.yaml`, `.yml` or `.json`";
        return Err(refused(if path.is_dir() {
            Problem::new("unknown_format", format!("{message}, and this is a directory"))
                .hint("name a file in it")
        } else {
            Problem::new("unknown_format", message)
        }));
    }
    let text = read_text(path).map_err(|unreadable| refused(unreadable.about(&shown)))?;
    Ok(read_str(&text, &shown, Some(base), project_root))
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
    read_str(text, file_name, base, root).finish()
}

fn read_str(text: &str, file_name: &str, base: Option<&Path>, root: Option<&Path>) -> Reading {
    let mut cx = Cx {
        spans: SpanMap::default(),
        report: Report::default(),
        includes: Includes::new(base, root, file_name),
        costs: Costs::default(),
        dropped: HashSet::new(),
    };
    let source = SourceFile::new(file_name, text);
    let text = source.text.clone();
    cx.spans.add_file(source);
    let definition = read(&text, file_name, &mut cx);
    Reading {
        cx,
        definition,
        file_name: file_name.to_owned(),
    }
}

fn nothing_in(file_name: &str) -> Problem {
    let problem = Problem::new("empty", "there is no definition in this file");
    let problem = problem
        .hint("a definition begins with `schema_version: 1`, `kind: agent` or `kind: flow`, and `elements`");
    problem.in_file(file_name)
}

fn read(text: &str, file_name: &str, cx: &mut Cx) -> Option<Definition> {
    let tree = parse(text, file_name, 0, &cx.spans, &mut cx.report)?;
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
    validate::validate(&definition, &cx.spans, &mut cx.report);
    Some(definition)
}

/// Loads plain data, such as a project's configuration, by the same rules as definitions: no tags, no merge keys, no
/// duplicate keys, and only JSON's scalars resolve. Nothing in it is a template.
///
/// # Errors
/// [`Problems`] with everything that is wrong, each with its line.
pub fn load_data(path: &Path) -> Result<Value, Problems> {
    Ok(read_data(path)?.0)
}

/// Loads plain data as a type, as [`load_data`] does; `None` if the file holds nothing.
///
/// # Errors
/// [`Problems`] as for [`load_data`]; if the data is not of the type, the place of each value that does not fit.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("limits.yaml");
/// std::fs::write(&path, "calls: 3\ntokens: many\n")?;
/// let problems = dad_definition::load_data_as::<std::collections::BTreeMap<String, u64>>(&path).unwrap_err();
/// let problem = &problems.as_slice()[0];
/// assert_eq!((problem.line, problem.path.as_deref()), (Some(2), Some("tokens")));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn load_data_as<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Problems> {
    let (mut value, spans) = read_data(path)?;
    if value.is_null() {
        return Ok(None);
    }
    let mut report = Report::default();
    // A list would be read as the fields of a type in their order.
    if value.is_array() && is_mapping::<T>() {
        let problem = Problem::new("wrong_type", "expected a mapping, found a list");
        report.add(problem.at(&spans, &Place::root()));
        return Err(report.into_problems(spans.sources()));
    }
    let mut removed = Vec::new();
    let mut reported = HashSet::new();
    loop {
        // The reader ends at its first problem. What it is about is removed, and the rest is read again.
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(_) if !removed.is_empty() => break,
            Ok(read) => return Ok(Some(read)),
            Err(error) => error,
        };
        let path: Vec<Step> = error.path().iter().filter_map(step_of).collect();
        let place = before(&removed, path.clone());
        // A value that was removed here is not missing there.
        let is_known = missing_key(error.inner()).is_some_and(|key| reported.contains(&place.key(&key)));
        if !is_known {
            report.add(misread(error.inner(), &spans, &place));
        }
        reported.insert(place);
        if remove(&mut value, &path).is_none() || removed.len() == MAX_PROBLEMS {
            break;
        }
        removed.push(path);
    }
    Err(report.into_problems(spans.sources()))
}

/// Whether a type is read from a mapping.
fn is_mapping<T: DeserializeOwned>() -> bool {
    let read = serde_json::from_value::<T>(Value::Object(Map::new()));
    read.err()
        .is_none_or(|error| !dad_core::internal::is_about_a_type(&error))
}

/// The key that an error says is missing.
fn missing_key(error: &serde_json::Error) -> Option<String> {
    let message = error.to_string();
    let (key, _) = message.strip_prefix("missing field `")?.split_once('`')?;
    Some(key.to_owned())
}

fn step_of(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
        Segment::Unknown => None,
    }
}

/// The place in the file of a value that has a path now, after some values were removed.
fn before(removed: &[Vec<Step>], mut path: Vec<Step>) -> Place {
    for gone in removed.iter().rev() {
        let Some((Step::Index(gone), around)) = gone.split_last() else {
            continue;
        };
        if path.starts_with(around)
            && let Some(Step::Index(index)) = path.get_mut(around.len())
            && *index >= *gone
        {
            *index += 1;
        }
    }
    path.iter().fold(Place::root(), |place, step| match step {
        Step::Index(index) => place.index(*index),
        Step::Key(key) => place.key(key),
    })
}

/// Removes the value at a path; `None` if there is none, or if it is the whole.
fn remove(value: &mut Value, path: &[Step]) -> Option<()> {
    let (last, around) = path.split_last()?;
    let around = around.iter().try_fold(value, |value, step| match step {
        Step::Index(index) => value.get_mut(*index),
        Step::Key(key) => value.get_mut(key),
    })?;
    match last {
        Step::Key(key) => around.as_object_mut()?.shift_remove(key).map(drop),
        Step::Index(index) => {
            let items = around.as_array_mut().filter(|items| *index < items.len())?;
            items.remove(*index);
            Some(())
        }
    }
}

/// The problem of a value that is not of the type that is read.
fn misread(error: &serde_json::Error, spans: &SpanMap, place: &Place) -> Problem {
    let message = dad_core::internal::in_words(error);
    if !message.starts_with("unknown field") {
        return Problem::new("wrong_type", message).at(spans, place);
    }
    // "unknown field `nme`, expected one of `name`, …"
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().unwrap_or_default().to_owned();
    let known: Vec<&str> = names.collect();
    let problem = Problem::new("unknown_key", format!("unknown key `{wrong}`"));
    let problem = match dad_core::nearest(&wrong, known.iter().copied()) {
        Some(name) => problem.hint(format!("did you mean `{name}`?")),
        None if known.is_empty() => problem.hint("nothing can stand here"),
        None => problem.hint(format!("the keys are {}", known.join(", "))),
    };
    problem.at_key(spans, place)
}

/// Plain data with the places of its values.
fn read_data(path: &Path) -> Result<(Value, SpanMap), Problems> {
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
    let file = spans.add_file(SourceFile::new(&shown, &text));
    let tree = parse(&text, &shown, file, &spans, &mut report);
    report.finish(spans.sources())?;
    let Some(tree) = tree else {
        return Ok((Value::Null, spans));
    };
    let mut recording = Recording {
        spans: &mut spans,
        costs: &mut Costs::default(),
        file,
    };
    if !tree.record(&mut recording) {
        return Err(Report::default().one(Costs::problem().in_file(&shown)));
    }
    Ok((tree.into_json(), spans))
}
