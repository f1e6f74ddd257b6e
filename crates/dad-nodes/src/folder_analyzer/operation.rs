//! One operation on its paths.

use std::path::Path;

use dad_fs::EntryKind;
use dad_runner::{NodeError, Stop};
use serde_json::{Map, Value};

use super::analysis::{Analysis, Tally};
use super::content::Contents;
use super::drawing::Drawing;
use super::ignored::Ignored;
use super::patterns::Why;
use super::place::{Ground, Place, text_of};
use super::settings::{ContentReadMode, FolderAnalysisOperation, FolderOperationType, MAX_ERRORS};
use super::walk::visit;
use super::walk::{MAX_LEVELS, Spot, Visit};
use crate::folder_analyzer::FolderAnalysisResult;
use crate::tokens::estimated;

/// The result of an operation.
pub(super) struct Looked {
    pub(super) result: FolderAnalysisResult,
    pub(super) errors: Vec<String>,
    /// The first failure.
    pub(super) failure: Option<NodeError>,
    pub(super) words_read: usize,
    pub(super) tally: Tally,
}

/// The findings at one path.
#[derive(Default)]
struct Found {
    analysis: Option<Value>,
    file: Option<Value>,
    files: Option<Vec<String>>,
    drawing: Option<String>,
    ignored: Option<Ignored>,
    errors: Vec<String>,
    tally: Tally,
}

impl Looked {
    pub(super) fn at(
        ground: &Ground,
        operation: &FolderAnalysisOperation,
        paths: &[&str],
        stop: &Stop,
    ) -> Self {
        let mut contents = Contents::new(operation, mode_of(operation), stop);
        let (mut found, mut errors, mut failure) = (Vec::new(), Vec::new(), None);
        let mut tally = Tally::default();
        for path in paths {
            match look(ground, path, operation, &mut contents, stop) {
                Ok(mut one) => {
                    errors.append(&mut one.errors);
                    tally.add(&one.tally);
                    found.push((*path, one));
                }
                Err(error) => {
                    errors.push(error.info.message.clone());
                    failure.get_or_insert(error);
                }
            }
        }
        errors.truncate(MAX_ERRORS);
        let words_read = contents.room.read.words;
        let mut result = FolderAnalysisResult::new(operation, failure.is_none());
        result.errors.clone_from(&errors);
        fill(&mut result, found, paths.len() > 1);
        if reads(operation.operation_type) {
            result.words_read = Some(words_read as u64);
            if contents.room.tells_bytes {
                let bytes = contents.room.read.bytes;
                result.bytes_read = Some(bytes as u64);
                result.tokens_read = Some(estimated(bytes) as u64);
            }
        }
        Self {
            result,
            errors,
            failure,
            words_read,
            tally,
        }
    }
}

/// Puts what was found into the result: as it is for one path, as lists for several.
fn fill(result: &mut FolderAnalysisResult, found: Vec<(&str, Found)>, several: bool) {
    let (mut analyses, mut infos, mut files, mut drawings) = (Vec::new(), Vec::new(), None, Vec::new());
    let mut ignored: Option<Ignored> = None;
    for (path, one) in found {
        if let Some(more) = one.ignored {
            ignored.get_or_insert_default().extend(more);
        }
        analyses.extend(one.analysis);
        infos.extend(one.file);
        if let Some(more) = one.files {
            files.get_or_insert_with(Vec::new).extend(more);
        }
        drawings.extend(one.drawing.map(|drawing| {
            if several {
                format!("# {path}\n{drawing}")
            } else {
                drawing
            }
        }));
    }
    let one_or_list = |mut all: Vec<Value>| match all.is_empty() {
        true => None,
        false if several => Some(all.into()),
        false => all.pop(),
    };
    result.analysis = one_or_list(analyses);
    result.file_info = one_or_list(infos);
    result.files_found = files;
    if let Some(ignored) = ignored {
        ignored.fill(result);
    }
    result.tree_diagram = (!drawings.is_empty()).then(|| drawings.join("\n\n"));
}

const fn reads(kind: FolderOperationType) -> bool {
    matches!(
        kind,
        FolderOperationType::AnalyzeFolder | FolderOperationType::AnalyzeFile
    )
}

fn mode_of(operation: &FolderAnalysisOperation) -> ContentReadMode {
    let asked = operation.content_read_mode;
    match operation.operation_type {
        FolderOperationType::AnalyzeFolder => asked.unwrap_or(ContentReadMode::None),
        FolderOperationType::AnalyzeFile => asked.unwrap_or(ContentReadMode::Full),
        FolderOperationType::FindFiles
        | FolderOperationType::GetStructure
        | FolderOperationType::GetTreeDiagram => ContentReadMode::None,
    }
}

fn look(
    ground: &Ground,
    path: &str,
    operation: &FolderAnalysisOperation,
    contents: &mut Contents<'_>,
    stop: &Stop,
) -> Result<Found, NodeError> {
    let place = ground.place(path)?;
    let is_dir = place.dir()?.is_some();
    match operation.operation_type {
        FolderOperationType::AnalyzeFile => one_file(ground, path, &place, operation, contents),
        FolderOperationType::GetStructure if !is_dir => one_file(ground, path, &place, operation, contents),
        FolderOperationType::AnalyzeFolder => {
            let draws = operation.generate_tree_diagram.unwrap_or(false);
            folder(ground, path, &place, operation, contents, draws, stop)
        }
        FolderOperationType::GetStructure => {
            let draws = operation.generate_tree_diagram.unwrap_or(true);
            folder(ground, path, &place, operation, contents, draws, stop)
        }
        FolderOperationType::FindFiles => {
            let with_root = operation.include_root_in_path.unwrap_or(false);
            let mut names = Names {
                ground,
                with_root,
                files: Vec::new(),
                ignored: Ignored::wanted(operation),
                errors: Vec::new(),
            };
            let levels = operation.max_depth.unwrap_or(MAX_LEVELS);
            walk_or_one(ground, path, &place, operation, levels, stop, &mut names)?;
            Ok(Found {
                files: Some(names.files),
                ignored: names.ignored,
                errors: names.errors,
                ..Found::default()
            })
        }
        FolderOperationType::GetTreeDiagram => {
            let mut drawn = Drawn {
                drawing: drawing(operation),
                ground,
                ignored: Ignored::wanted(operation),
                errors: Vec::new(),
            };
            let levels = drawn.drawing.levels();
            visit(ground, &place, operation, levels, stop, &mut drawn)?;
            let drawing = Some(drawn.drawing.draw(&name_of(&place, path)));
            Ok(Found {
                drawing,
                ignored: drawn.ignored,
                errors: drawn.errors,
                ..Found::default()
            })
        }
    }
}

fn drawing(operation: &FolderAnalysisOperation) -> Drawing {
    let limit = operation
        .tree_diagram_max_depth
        .or(operation.max_depth)
        .unwrap_or(usize::MAX);
    Drawing::new(limit, operation.tree_diagram_include_files.unwrap_or(true))
}

fn name_of(place: &Place<'_>, path: &str) -> String {
    place
        .path
        .file_name()
        .map_or_else(|| path.to_owned(), |name| text_of(name).0)
}

fn folder(
    ground: &Ground,
    path: &str,
    place: &Place<'_>,
    operation: &FolderAnalysisOperation,
    contents: &mut Contents<'_>,
    draws: bool,
    stop: &Stop,
) -> Result<Found, NodeError> {
    let drawing = draws.then(|| drawing(operation));
    let mut analysis = Analysis::new(ground, &place.path, operation, contents, drawing);
    let levels = analysis.levels();
    walk_or_one(ground, path, place, operation, levels, stop, &mut analysis)?;
    let analysed = analysis.finish();
    Ok(Found {
        analysis: Some(analysed.tree),
        drawing: analysed
            .drawing
            .map(|drawing| drawing.draw(&name_of(place, path))),
        ignored: analysed.ignored,
        errors: analysed.errors,
        tally: analysed.tally,
        ..Found::default()
    })
}

/// Walks a directory; a file is reported like a directory that holds it alone.
fn walk_or_one(
    ground: &Ground,
    path: &str,
    place: &Place<'_>,
    operation: &FolderAnalysisOperation,
    levels: usize,
    stop: &Stop,
    visitor: &mut dyn Visit,
) -> Result<(), NodeError> {
    if place.dir()?.is_some() {
        return visit(ground, place, operation, levels, stop, visitor);
    }
    let (dir, name) = regular(path, place)?;
    visitor.entry(&Spot {
        dir: &dir,
        name,
        path: &place.path,
        kind: EntryKind::File,
        depth: 1,
    });
    Ok(())
}

/// The directory and name of a place that is a regular file.
fn regular<'a>(path: &str, place: &'a Place<'_>) -> Result<(dad_fs::Dir, &'a std::ffi::OsStr), NodeError> {
    let (dir, name) = place.parent()?;
    if dir.kind(name)? == Some(EntryKind::File) {
        return Ok((dir, name));
    }
    let message = format!("`{path}` is not a regular file");
    Err(NodeError::new("not_a_file", message)
        .with_hint("name a file; pipes, sockets and devices are never opened")
        .permanent())
}

fn one_file(
    ground: &Ground,
    path: &str,
    place: &Place<'_>,
    operation: &FolderAnalysisOperation,
    contents: &mut Contents<'_>,
) -> Result<Found, NodeError> {
    let (dir, name) = regular(path, place)?;
    let mut info = Map::new();
    let shown = ground
        .shown(&place.path, operation.include_root_in_path.unwrap_or(false))
        .0;
    info.insert("path".into(), shown.into());
    let facts = contents.describe(&dir, name, EntryKind::File, &mut info);
    if let Some(error) = facts.error {
        return Err(NodeError::new("folder", format!("`{path}`: {error}")));
    }
    let tally = Tally {
        files: 1,
        size: facts.size,
        words: facts.words,
        ..Tally::default()
    };
    Ok(Found {
        file: Some(info.into()),
        tally,
        ..Found::default()
    })
}

/// Collects the names of files.
struct Names<'a> {
    ground: &'a Ground,
    with_root: bool,
    files: Vec<String>,
    ignored: Option<Ignored>,
    errors: Vec<String>,
}

impl Visit for Names<'_> {
    fn enter(&mut self, _: &Spot<'_>) {}
    fn leave(&mut self, _: usize) {}
    fn cut(&mut self, _: &Spot<'_>) {}

    fn entry(&mut self, at: &Spot<'_>) {
        if at.kind == EntryKind::File {
            self.files.push(self.ground.shown(at.path, self.with_root).0);
        }
    }

    fn left_out(&mut self, path: &Path, why: &Why) {
        if let Some(ignored) = &mut self.ignored {
            ignored.add(self.ground, path, self.with_root, why);
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        problem(self.ground, &mut self.errors, path, &message);
    }
}

/// Collects what is drawn.
struct Drawn<'a> {
    drawing: Drawing,
    ground: &'a Ground,
    ignored: Option<Ignored>,
    errors: Vec<String>,
}

impl Visit for Drawn<'_> {
    fn enter(&mut self, at: &Spot<'_>) {
        self.drawing.add(at);
    }

    fn leave(&mut self, _: usize) {}

    fn cut(&mut self, at: &Spot<'_>) {
        self.drawing.add(at);
    }

    fn entry(&mut self, at: &Spot<'_>) {
        self.drawing.add(at);
    }

    fn left_out(&mut self, path: &Path, why: &Why) {
        if let Some(ignored) = &mut self.ignored {
            ignored.add(self.ground, path, false, why);
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        problem(self.ground, &mut self.errors, path, &message);
    }
}

fn problem(ground: &Ground, errors: &mut Vec<String>, path: &Path, message: &str) {
    if errors.len() < MAX_ERRORS {
        errors.push(format!("{}: {message}", ground.shown(path, false).0));
    }
}
