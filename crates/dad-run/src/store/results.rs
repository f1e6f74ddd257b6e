//! Reading results, inputs and other files of steps as they were recorded.

use std::path::{Path, PathBuf};

use dad_core::{ArtifactRef, HierarchyPath, nearest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{RunError, SetupError};
use crate::files::{RunFiles, in_dot_run};
use crate::journal::state::ViewEntry;
use crate::journal::step_committed::StepCommitted;
use crate::journal::subject::RecordedAnswer;
use crate::journal::values::{load_artifacts, load_value};
use crate::layout::{COMPONENT_RESULT, MEMO, OUTPUT, QUESTIONS, RESULT};
use crate::store::artifacts::read_artifact;
use crate::store::memo_file::MemoLine;
use crate::store::question_file::Question;
use crate::store::view::RunView;

impl RunView {
    /// The directory of a step or component.
    #[must_use]
    pub fn dir_of(&self, path: &HierarchyPath) -> PathBuf {
        self.files.path_of(&path.to_relative_dir())
    }

    /// The files of a step.
    ///
    /// # Errors
    /// If their list was kept apart and cannot be read.
    pub fn artifacts(&self, step: &StepCommitted) -> Result<Vec<ArtifactRef>, RunError> {
        load_artifacts(self.files(), &step.artifacts)
    }

    /// The result of a step as its file has it.
    ///
    /// # Errors
    /// [`SetupError::NoResult`] if the journal has none of that path, whatever lies in its place; or if the file is missing, is not
    /// the one that was recorded, or no JSON.
    pub fn result(&self, path: &HierarchyPath) -> Result<Value, RunError> {
        let bytes = self.recorded_file(path, RESULT)?;
        let bytes = bytes.ok_or_else(|| self.no_result(path))?;
        let name = path.to_relative_dir().join(RESULT);
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(self.files.path_of(&name), e))
    }

    /// The outcome of a step as a type, such as `dad_nodes::CommandNodeOutcome`.
    ///
    /// # Errors
    /// As for [`result`](Self::result); [`RunError::Unreadable`] if it is of another type.
    pub fn outcome<T: DeserializeOwned>(&self, path: &HierarchyPath) -> Result<T, RunError> {
        let mut result = self.result(path)?;
        let outcome = result.get_mut("outcome").map(Value::take).unwrap_or_default();
        serde_json::from_value(outcome).map_err(|error| {
            let file = self.files.path_of(&path.to_relative_dir().join(RESULT));
            let reason = dad_core::internal::in_words(&error);
            RunError::unreadable(file, format!("its outcome is of another type: {reason}"))
        })
    }

    /// The output of the run; `None` if it has none, or did not complete.
    ///
    /// # Errors
    /// If its file is missing, is not the one that was recorded, or no JSON.
    pub fn output(&self) -> Result<Option<Value>, RunError> {
        let Some(digest) = self.output_digest() else {
            return Ok(None);
        };
        let name = Path::new(OUTPUT);
        let bytes = self.files().read_recorded(name, digest)?;
        let output = serde_json::from_slice(&bytes);
        output
            .map(Some)
            .map_err(|e| RunError::unreadable(self.files.path_of(name), e))
    }

    fn no_result(&self, path: &HierarchyPath) -> RunError {
        let reason = match self.entries.get(path) {
            Some(ViewEntry::Component { .. }) => "it is a component".to_owned(),
            Some(entry) => format!("it is {}", entry.status()),
            None => {
                let steps = self.steps().map(|step| step.path.as_str());
                let near = nearest(path.as_str(), steps).map(|near| format!(", did you mean `{near}`?"));
                format!("it has no such step{}", near.unwrap_or_default())
            }
        };
        SetupError::NoResult {
            run: self.name().into_owned(),
            path: path.clone(),
            reason,
        }
        .into()
    }

    /// A file of a step that ended, by its name in the directory of the step, as it was recorded; `None` if the journal has none.
    /// The original system recorded nothing of its files.
    ///
    /// # Errors
    /// If the file is missing, or is not the one that was recorded.
    pub fn recorded_file(&self, path: &HierarchyPath, name: &str) -> Result<Option<Vec<u8>>, RunError> {
        let dir = path.to_relative_dir();
        let Some(step) = self.step(path) else {
            return Ok(None);
        };
        if self.is_original() {
            return Ok(self.files().read_optional(&dir.join(name))?);
        }
        let artifacts = self.artifacts(step)?;
        let recorded = artifacts.iter().find(|artifact| artifact.name == name);
        recorded
            .map(|recorded| read_artifact((self.files(), &dir), recorded))
            .transpose()
    }

    /// The length and digest that a file in the directory of a step has now. As much of it is in memory as a buffer takes.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn measured(&self, path: &HierarchyPath, name: &str) -> Result<ArtifactRef, RunError> {
        let file = path.to_relative_dir().join(name);
        Ok(self.files().digest(&file, name.to_owned())?)
    }

    /// The exchanges of a step that ended, as they were recorded.
    pub(crate) fn memos(&self, step: &StepCommitted) -> Result<Vec<MemoLine>, RunError> {
        let artifacts = self.artifacts(step)?;
        let Some(recorded) = artifacts.iter().find(|artifact| artifact.name == MEMO) else {
            return Ok(Vec::new());
        };
        let name = step.path.to_relative_dir();
        let bytes = read_artifact((self.files(), &name), recorded)?;
        MemoLine::parse(&self.files.path_of(&name.join(MEMO)), bytes)
    }

    /// A JSON file of a step that ended, `None` if the journal has none of that name.
    ///
    /// # Errors
    /// If the file cannot be read, is not the one that was recorded, or is no JSON of that shape.
    pub fn step_file<T: DeserializeOwned>(
        &self,
        path: &HierarchyPath,
        name: &str,
    ) -> Result<Option<T>, RunError> {
        let Some(bytes) = self.recorded_file(path, name)? else {
            return Ok(None);
        };
        let name = path.to_relative_dir().join(name);
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| RunError::unreadable(self.files.path_of(&name), e))
    }

    /// The result of a step or component as its file has it, `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is not the one that was recorded.
    pub fn result_bytes(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        match self.recorded_file(path, RESULT)? {
            Some(bytes) => Ok(Some(bytes)),
            // What a component came to is a file for people, written again from the journal.
            None if self.is_component(path) || self.is_original() => read_result(self.files(), path),
            None => Ok(None),
        }
    }

    fn is_component(&self, path: &HierarchyPath) -> bool {
        matches!(self.entries.get(path), Some(ViewEntry::Component { .. }))
    }

    /// The input a step was given.
    ///
    /// # Errors
    /// If it was kept apart and cannot be read.
    pub fn input(&self, path: &HierarchyPath) -> Result<Option<Value>, RunError> {
        self.answer_at(path)
            .map(|answer| load_value(self.files(), &answer.input))
            .transpose()
    }

    /// The inputs that steps and components were given, in the order in which they were recorded.
    pub fn inputs(&self) -> impl Iterator<Item = Result<(&HierarchyPath, Value), RunError>> {
        let load =
            |(path, answer): (_, &RecordedAnswer)| Ok((path, load_value(self.files(), &answer.input)?));
        self.answers().iter().map(load)
    }

    /// The variables of a component that did not end well, as they were evaluated when it was entered.
    ///
    /// # Errors
    /// If they were kept apart and cannot be read.
    pub fn variables(&self, path: &HierarchyPath) -> Result<Option<Map<String, Value>>, RunError> {
        let stored = self.state.entries.variables.get(path);
        let value = stored
            .map(|stored| load_value(self.files(), stored))
            .transpose()?;
        Ok(value.and_then(|value| match value {
            Value::Object(variables) => Some(variables),
            _ => None,
        }))
    }

    /// The variables the run was given from outside.
    ///
    /// # Errors
    /// If they were kept apart and cannot be read.
    pub fn given_variables(&self) -> Result<Map<String, Value>, RunError> {
        let given = self
            .state
            .entries
            .given
            .as_ref()
            .map(|given| load_value(self.files(), given));
        Ok(match given.transpose()? {
            Some(Value::Object(variables)) => variables,
            _ => Map::new(),
        })
    }

    /// The content of a question.
    ///
    /// # Errors
    /// If its file is missing or damaged, or, while it waits for an answer, not the one that was recorded.
    pub fn question(&self, id: &str) -> Result<Question, RunError> {
        let name = in_dot_run(QUESTIONS).join(format!("{id}.json"));
        let open = self.state.progress.open.questions.get(id);
        let bytes = match open.and_then(|open| open.file) {
            Some(recorded) => self.files().read_recorded(&name, recorded)?,
            None => self.files().read(&name)?,
        };
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(self.files.path_of(&name), e))
    }
}

/// The result of a step or component in a run directory.
pub(crate) fn read_result(run: &dyn RunFiles, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
    let dir = path.to_relative_dir();
    match run.read_optional(&dir.join(RESULT))? {
        Some(bytes) => Ok(Some(bytes)),
        None => Ok(run.read_optional(&dir.join(COMPONENT_RESULT))?),
    }
}
