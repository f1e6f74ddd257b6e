//! The node `folder_analyzer`: reading trees of files.

mod analysis;
mod content;
mod drawing;
mod generated;
mod ignored;
mod language;
mod media;
mod notebook;
mod operation;
mod outcome;
mod outline;
mod patterns;
mod place;
mod repository;
mod room;
mod rules;
mod settings;
#[cfg(feature = "outline")]
mod strip;
#[cfg(feature = "outline")]
mod syntax;
mod walk;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::Redactor;
use dad_definition::SettingsProblem;
use dad_fs::EntryKind;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, ReadSet, Stop, World, look,
};
use serde_json::{Value, json};

use analysis::Tally;
use content::timestamp;
use operation::Looked;
pub use outcome::{FolderAnalysisResult, FolderAnalyzerNodeOutcome};
use patterns::Why;
use place::{Ground, Place};
use settings::PREVIEW;
pub use settings::{
    ContentExclusion, ContentReadMode, FolderAnalysisOperation, FolderAnalyzerNode, FolderAnalyzerNodeInput,
    FolderAnalyzerSettings, FolderOperationType, StructureDetailLevel,
};
use walk::{MAX_LEVELS, Spot, Visit, visit};

/// The fields of results that hold contents of files.
const CONTENTS: [&str; 3] = ["content", PREVIEW, "content_structure"];

/// Executes `folder_analyzer`.
#[derive(Debug, Default)]
pub(crate) struct FolderAnalyzerExecutor;

impl Node for FolderAnalyzerExecutor {
    type Settings = FolderAnalyzerSettings;
    type Input = FolderAnalyzerNodeInput;
    type Outcome = Value;
    const TYPE: &'static str = "folder_analyzer";
    const VERSION: u32 = 2;

    fn bind(
        &self,
        settings: FolderAnalyzerSettings,
        _: Option<FolderAnalyzerNodeInput>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(Looking(Arc::new(Request::new(settings)?))))
    }

    fn check(settings: &FolderAnalyzerSettings) -> Vec<SettingsProblem> {
        let operations = settings.operations.iter().enumerate();
        operations
            .flat_map(|(index, operation)| wrong_patterns(&format!("operations[{index}]."), operation))
            .collect()
    }
}

/// The problems of an operation's patterns.
fn wrong_patterns(place: &str, operation: &FolderAnalysisOperation) -> Vec<SettingsProblem> {
    let patterns = operation.exclude_patterns.iter().enumerate();
    let wrong = patterns.filter_map(|(index, pattern)| {
        let (message, hint) = patterns::problem(pattern)?;
        Some(
            SettingsProblem::new(
                format!("{place}exclude_patterns[{index}]"),
                "wrong_value",
                message,
            )
            .hint(hint),
        )
    });
    wrong.collect()
}

/// The operations, and their settings.
struct Request {
    settings: FolderAnalyzerSettings,
    operations: Vec<FolderAnalysisOperation>,
}

impl Request {
    fn new(mut settings: FolderAnalyzerSettings) -> Result<Self, NodeError> {
        let operations = std::mem::take(&mut settings.operations);
        let operations = crate::serde_forms::operations(operations, settings.operations_template.as_ref())?;
        // Those of a template were not checked with the settings.
        if let Some(problem) = operations
            .iter()
            .find_map(|operation| wrong_patterns("", operation).pop())
        {
            let error = NodeError::new("exclude_patterns", problem.message).permanent();
            return Err(match problem.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        Ok(Self { settings, operations })
    }
}

/// A look at files that is about to be taken.
struct Looking(Arc<Request>);

#[async_trait]
impl BoundStep for Looking {
    async fn world(&self) -> Result<World, NodeError> {
        // A relative base lies in the run directory, which is new for every run, so nothing there is compared.
        let base = self.0.settings.base_directory.as_ref().map(PathBuf::from);
        let Some(base) = base.filter(|base| base.is_absolute()) else {
            return Ok(World::Effect);
        };
        let request = Arc::clone(&self.0);
        look(move |stop| reads(&base, &request, stop).map(World::Reads)).await
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let base = self.0.settings.base_directory.as_deref().unwrap_or(".");
        let base = cx.run().identity().run_dir.join(base);
        let request = Arc::clone(&self.0);
        let mut analyzed = cx.blocking(move |stop| analyze(&base, &request, stop)).await;
        let outcome = match &mut analyzed {
            Ok(output) => &mut output.outcome,
            Err(error) => &mut error.partial.outcome,
        };
        mask_cut_contents(outcome, &cx.redactor());
        analyzed
    }
}

/// Masks contents that were cut, which may have been done within a secret: what is left of it is not recognised later.
fn mask_cut_contents(outcome: &mut Value, redactor: &Redactor) {
    match outcome {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| mask_cut_contents(item, redactor)),
        Value::Object(fields) => {
            let is_cut = fields.contains_key(PREVIEW) || fields.get("truncated") == Some(&Value::Bool(true));
            for name in CONTENTS.into_iter().filter(|_| is_cut) {
                if let Some(Value::String(text)) = fields.get_mut(name) {
                    *text = redactor.redact_cut(text).into_owned();
                }
            }
            fields
                .values_mut()
                .for_each(|item| mask_cut_contents(item, redactor));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Looks at files without a run: what a step with these settings does. Blocks until it is done, or until `stop` is set.
///
/// # Errors
/// What the step would fail with.
pub fn analyze_folders(
    base_directory: &Path,
    settings: &FolderAnalyzerSettings,
    stop: &Stop,
) -> Result<NodeOutput, NodeError> {
    analyze(base_directory, &Request::new(settings.clone())?, stop)
}

fn paths(operation: &FolderAnalysisOperation) -> Vec<&str> {
    match &operation.path {
        None => vec!["."],
        Some(paths) => paths.as_slice().iter().map(String::as_str).collect(),
    }
}

/// Everything the operations would read, with sizes and times of change.
fn reads(base: &Path, request: &Request, stop: &Stop) -> Result<ReadSet, NodeError> {
    let ground = Ground::open(base, &request.settings)?;
    let mut stamps = Stamps {
        ground: &ground,
        reads: ReadSet::default(),
        tells_ignored: false,
    };
    for operation in &request.operations {
        stamps.tells_ignored = operation.why_ignored.unwrap_or(false);
        for path in paths(operation) {
            let looked = ground.place(path).and_then(|place| {
                stamps.start(&place)?;
                let levels = operation.max_depth.unwrap_or(MAX_LEVELS);
                visit(&ground, &place, operation, levels, stop, &mut stamps)
            });
            if let Err(error) = looked {
                if error.info.code == "cancelled" {
                    return Err(error);
                }
                // That it cannot be looked at decides too; the operation itself tells it.
                stamps
                    .reads
                    .reads
                    .insert(path.to_owned(), format!("not looked at: {}", error.info.message));
            }
        }
    }
    Ok(stamps.reads)
}

/// Collects what changes when the content of a file does.
struct Stamps<'a> {
    ground: &'a Ground,
    reads: ReadSet,
    tells_ignored: bool,
}

impl Stamps<'_> {
    fn start(&mut self, place: &Place<'_>) -> Result<(), NodeError> {
        if place.dir()?.is_none() {
            let (dir, name) = place.parent()?;
            let path = &place.path;
            self.entry(&Spot {
                dir: &dir,
                name,
                path,
                kind: EntryKind::File,
                depth: 1,
            });
        }
        Ok(())
    }

    fn insert(&mut self, path: &Path, stamp: String) {
        let (shown, exact) = self.ground.shown(path, false);
        let name = if exact {
            shown
        } else {
            format!("{shown} (not UTF-8)")
        };
        self.reads.reads.insert(name, stamp);
    }
}

impl Visit for Stamps<'_> {
    fn enter(&mut self, at: &Spot<'_>) {
        // What is in a directory stands for it: its own time changes with every temporary file.
        self.insert(at.path, "directory".to_owned());
    }

    fn leave(&mut self, _: usize) {}

    fn cut(&mut self, at: &Spot<'_>) {
        self.enter(at);
    }

    fn entry(&mut self, at: &Spot<'_>) {
        let stamp = match at.dir.look(at.name) {
            Ok(Some(look)) => match look.modified.and_then(timestamp) {
                Some(modified) => format!("{} bytes, changed {modified}", look.len),
                None => format!("{} bytes", look.len),
            },
            Ok(None) => "vanished".to_owned(),
            Err(error) => error.source.to_string(),
        };
        self.insert(at.path, stamp);
    }

    fn left_out(&mut self, path: &Path, why: &Why) {
        // Only where the result says it: what is left out is no part of other results.
        if self.tells_ignored {
            self.insert(
                path,
                format!("left out: {}", Value::Object(why.reported(self.ground))),
            );
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        self.insert(path, message);
    }
}

fn analyze(base: &Path, request: &Request, stop: &Stop) -> Result<NodeOutput, NodeError> {
    let ground = Ground::open(base, &request.settings)?;
    let fail_fast = request.settings.fail_fast.unwrap_or(true);
    let mut report = Report::default();
    for operation in &request.operations {
        report.operation(&ground, operation, stop);
        if report.failure.is_some() && fail_fast {
            break;
        }
    }
    let (failure, output) = report.finish(&ground);
    match failure {
        Some(error) if fail_fast || error.info.code == "cancelled" => Err(error.with_partial(output)),
        _ => Ok(output),
    }
}

/// The results of all operations.
#[derive(Default)]
struct Report {
    results: Vec<FolderAnalysisResult>,
    errors: Vec<String>,
    failure: Option<NodeError>,
    succeeded: usize,
    words_read: usize,
    tally: Tally,
}

impl Report {
    fn operation(&mut self, ground: &Ground, operation: &FolderAnalysisOperation, stop: &Stop) {
        let looked = Looked::at(ground, operation, &paths(operation), stop);
        self.errors.extend(looked.errors.iter().cloned());
        self.words_read += looked.words_read;
        self.tally.add(&looked.tally);
        self.succeeded += usize::from(looked.failure.is_none());
        self.results.push(looked.result);
        if let Some(failure) = looked.failure {
            self.failure.get_or_insert(failure);
        }
    }

    fn finish(self, ground: &Ground) -> (Option<NodeError>, NodeOutput) {
        let count = self.results.len();
        let data = json!({
            "base_directory": ground.base.to_string_lossy(),
            "success": self.failure.is_none(),
            "errors": self.errors,
            "operations_count": count,
            "successful_operations": self.succeeded,
            "failed_operations": count - self.succeeded,
            "word_count": self.tally.words,
            "words_read": self.words_read,
            "file_types": self.tally.types,
        });
        let summary = format!(
            "{} of {count} operations, {} words",
            self.succeeded, self.words_read
        );
        let outcome = FolderAnalyzerNodeOutcome {
            base_directory: ground.base.to_string_lossy().into_owned(),
            results: self.results,
        };
        let output = NodeOutput::new(json!(outcome))
            .with_output(json!({ "data": data, "metadata": {} }))
            .with_summary(summary);
        (self.failure, output)
    }
}
