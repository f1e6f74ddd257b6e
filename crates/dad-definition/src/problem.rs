//! Problems of definitions, each with its code, place and hint.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use dad_core::{is_printable, printable};
use serde::Serialize;

use crate::place::Place;
use crate::source::SourceFile;
use crate::spans::{Location, SpanMap};

/// Most problems that are reported at once; a file with more is not a definition.
pub const MAX_PROBLEMS: usize = 100;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// The definition can be used, but may not mean what its author thinks.
    Warning,
}

/// Something wrong with a definition, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Stable code, such as `unknown_key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The problem: a lowercase fragment without a full stop.
    pub message: String,
    /// The file as it is shown to people; nothing for definitions made by the builders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Bytes of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Range<usize>>,
    /// The place in the definition, such as `elements[0].settings.promt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The next thing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: in_message(&message.into()).replace('\n', "\\n"),
            file: None,
            line: None,
            column: None,
            span: None,
            path: None,
            hint: None,
        }
    }

    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(in_message(&hint.into()));
        self
    }

    /// Proposes the nearest of some names, if one is near enough.
    pub(crate) fn nearest<'a>(self, wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match dad_core::nearest(wanted, candidates) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Gives it the place of a value, or of the nearest value around it that has one.
    pub(crate) fn at(self, spans: &SpanMap, place: &Place) -> Self {
        let location = spans.nearest(place.as_str());
        self.located(location).place(place)
    }

    /// Gives it the place of a value's key, as far as it is known.
    pub(crate) fn at_key(self, spans: &SpanMap, place: &Place) -> Self {
        let location = spans
            .key(place.as_str())
            .or_else(|| spans.nearest(place.as_str()));
        self.located(location).place(place)
    }

    /// Gives it the place of a part of a text, as far as it is known.
    pub(crate) fn within(self, spans: &SpanMap, place: &Place, text: &str, part: Range<usize>) -> Self {
        let location = spans
            .within(place.as_str(), text, part)
            .or_else(|| spans.nearest(place.as_str()));
        self.located(location).place(place)
    }

    pub(crate) fn located(mut self, location: Option<Location<'_>>) -> Self {
        if let Some(location) = location {
            self.file = Some(location.file.to_owned());
            self.line = Some(location.line);
            self.column = Some(location.column);
            self.span = Some(location.span);
        }
        self
    }

    /// Gives it a file, of which nothing more exact is known.
    pub(crate) fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(crate) fn place(mut self, place: &Place) -> Self {
        self.path = (!place.as_str().is_empty()).then(|| place.as_str().to_owned());
        self
    }
}

/// A text of the user inside a message, shortened.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A text of users within a message: line breaks stay, for a hint may show corrected lines.
fn in_message(text: &str) -> String {
    printable(text).replace('\t', "\\t")
}

/// Collects problems, up to [`MAX_PROBLEMS`].
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    left_out: usize,
}

impl Report {
    pub(crate) fn add(&mut self, problem: Problem) {
        let list = match problem.severity {
            Severity::Error => &mut self.problems,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() < MAX_PROBLEMS {
            list.push(problem);
        } else if problem.severity == Severity::Error {
            self.left_out += 1;
        }
    }

    /// Whether further problems would only be counted; saves the work of finding their places.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full_for(Severity::Error)
    }

    pub(crate) fn is_full_for(&self, severity: Severity) -> bool {
        let list = match severity {
            Severity::Error => &self.problems,
            Severity::Warning => &self.warnings,
        };
        list.len() >= MAX_PROBLEMS
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The problems as an error, of a report that has some.
    pub(crate) fn into_problems(self, sources: &[SourceFile]) -> Problems {
        let mut problems = Problems::new(self.problems, sources.to_vec());
        if self.left_out > 0 {
            let message = format!("and {} more problems", self.left_out);
            problems.problems.push(Problem::new("too_many_problems", message));
        }
        problems
    }

    /// A single problem as an error.
    pub(crate) fn one(mut self, problem: Problem) -> Problems {
        self.add(problem);
        self.into_problems(&[])
    }

    /// Whether a problem of a code was reported.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.problems.iter().any(|problem| problem.code == code)
    }

    /// The problems as an error if there are any, otherwise the warnings.
    pub(crate) fn finish(self, sources: &[SourceFile]) -> Result<Vec<Problem>, Problems> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        Err(self.into_problems(sources))
    }
}

/// Everything that is wrong with a definition, in the order of the file; never empty.
#[derive(Clone, Debug)]
pub struct Problems {
    problems: Vec<Problem>,
    sources: Vec<SourceFile>,
}

impl Problems {
    /// Sorts what was found. `problems` must not be empty.
    fn new(mut problems: Vec<Problem>, sources: Vec<SourceFile>) -> Self {
        let file_index = |problem: &Problem| {
            sources
                .iter()
                .position(|source| Some(&source.path) == problem.file.as_ref())
                .unwrap_or(usize::MAX)
        };
        problems.sort_by_cached_key(|problem| (file_index(problem), problem.line, problem.column));
        problems.dedup();
        Self { problems, sources }
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// The problems in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// The problems, to be kept.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.problems
    }

    /// The first problem.
    #[must_use]
    pub fn first(&self) -> Option<&Problem> {
        self.problems.first()
    }

    /// The same problems; those that `hint` has one for have that hint.
    #[must_use]
    pub fn with_hints(mut self, hint: impl Fn(&Problem) -> Option<String>) -> Self {
        for problem in &mut self.problems {
            if let Some(hint) = hint(problem) {
                problem.hint = Some(in_message(&hint));
            }
        }
        self
    }

    /// The files that the problems are in, for showing excerpts.
    #[must_use]
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }

    /// The file of one problem.
    #[must_use]
    pub fn source_of(&self, problem: &Problem) -> Option<&SourceFile> {
        let file = problem.file.as_ref()?;
        self.sources.iter().find(|source| source.path == *file)
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.for_width(None).fmt(f)
    }
}

impl Problems {
    /// The problems as a text whose excerpts fit a screen of so many columns.
    #[must_use]
    pub fn for_width(&self, width: Option<usize>) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            for (index, problem) in self.iter().enumerate() {
                if index > 0 {
                    f.write_str("\n\n")?;
                }
                write_problem(f, problem, self.source_of(problem), width)?;
            }
            Ok(())
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_problem(f, self, None, None)
    }
}

fn write_problem(
    f: &mut fmt::Formatter<'_>,
    problem: &Problem,
    source: Option<&SourceFile>,
    width: Option<usize>,
) -> fmt::Result {
    if let Some(file) = &problem.file {
        write!(f, "{}:", in_message(file))?;
        if let (Some(line), Some(column)) = (problem.line, problem.column) {
            write!(f, "{line}:{column}:")?;
        }
        f.write_str(" ")?;
    }
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    write!(f, "{severity}[{}]: {}", problem.code, problem.message)?;
    if let (Some(source), Some(line), Some(column), Some(span)) =
        (source, problem.line, problem.column, &problem.span)
    {
        write_excerpt(f, &source.text, (line, column), span, width)?;
    }
    if let (Some(path), None) = (&problem.path, &problem.line) {
        write!(f, "\n  = at: {}", in_message(path))?;
    }
    if let Some(hint) = &problem.hint {
        write!(f, "\n  = hint: {hint}")?;
    }
    Ok(())
}

/// Most characters of a line that are shown, so that an excerpt of a minified file stays an excerpt.
const EXCERPT_WIDTH: usize = 100;
/// Characters of a line that are shown on any screen.
const LEAST_EXCERPT: usize = 20;

fn write_excerpt(
    f: &mut fmt::Formatter<'_>,
    text: &str,
    (line, column): (u32, u32),
    span: &Range<usize>,
    width: Option<usize>,
) -> fmt::Result {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    // Besides the line itself there are its number, ` | `, and a mark where it is cut, at either end.
    let most = width.map_or(EXCERPT_WIDTH, |width| width.saturating_sub(number.len() + 5));
    let most = most.clamp(LEAST_EXCERPT, EXCERPT_WIDTH);
    let Some(whole) = usize::try_from(line)
        .ok()
        .and_then(|line| text.lines().nth(line.saturating_sub(1)))
    else {
        return Ok(());
    };
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let marked = text
        .get(span.clone())
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    let length = whole.chars().count();
    // The window moves right only as far as needed to show the marked part with something before it.
    let from = if length <= most {
        0
    } else {
        column.saturating_sub(most / 3)
    };
    let shown: String = whole.chars().skip(from).take(most).map(visible).collect();
    let carets = marked.clamp(1, shown.chars().count().saturating_sub(column - from).max(1));
    let (before, after) = (
        if from > 0 { "…" } else { "" },
        if from + most < length { "…" } else { "" },
    );
    let indent = " ".repeat(column - from + before.chars().count());
    write!(f, "\n{margin} |\n{number} | {before}{}{after}", shown.trim_end())?;
    write!(f, "\n{margin} | {indent}{}", "^".repeat(carets))
}

/// One visible character of the same width class for each, so that carets stay below what they mark.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        other if is_printable(other) => other,
        _ => '\u{fffd}',
    }
}
