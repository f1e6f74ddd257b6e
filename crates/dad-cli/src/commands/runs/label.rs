//! `dhenara runs tag` and `dhenara runs note`: the labels that people give a run.

use clap::Args;
use dad_run::{Labels, Tag};
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::{json, out};

/// Give a run tags (`+good`) or take them away (`-bad`), and print those that it has then. A tag is no part of the record: it
/// changes nothing that the run did or will do.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// `+TAG` or `TAG` to add a tag, `-TAG` to remove it.
    #[arg(value_name = "+TAG|-TAG", allow_hyphen_values = true)]
    changes: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A change of the tags of a run.
enum TagChange {
    Add(Tag),
    Remove(Tag),
}

impl TagArgs {
    fn changes(&self) -> Result<Vec<TagChange>, CommandError> {
        let read = |text: &String| {
            let (word, change): (_, fn(Tag) -> TagChange) = match text.strip_prefix('-') {
                Some(word) => (word, TagChange::Remove),
                None => (text.strip_prefix('+').unwrap_or(text), TagChange::Add),
            };
            word.parse().map(change).map_err(|error| {
                CommandError::usage("tag", format!("{error}")).with_hint(format!(
                    "write `{}`; options stand before the tags",
                    program::command("runs tag RUN +good -bad")
                ))
            })
        };
        self.changes.iter().map(read).collect()
    }
}

impl Execute for TagArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let changes = self.changes()?;
        let project = app.project_or_here(&self.place)?;
        let run = project.runs()?.find(&self.run, None)?;
        let labels = if changes.is_empty() {
            Labels::read(&run.dir)?
        } else {
            Labels::change(&run.dir, |labels| {
                for change in changes {
                    match change {
                        TagChange::Add(tag) => labels.tags.insert(tag),
                        TagChange::Remove(tag) => labels.tags.remove(&tag),
                    };
                }
            })?
        };
        if self.json {
            json::print(json!({ "run_id": run.run_id, "labels": labels }))?;
        } else if !labels.tags.is_empty() {
            let tags: Vec<String> = labels.tags.iter().map(ToString::to_string).collect();
            out::lines(&tags.join(" "))?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// Write a note beside a run, in the place of the one before; an empty text removes it. Without a text, print the note.
#[derive(Debug, Args)]
pub(crate) struct NoteArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The note. Known secrets in it are masked.
    text: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for NoteArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let run = project.runs()?.find(&self.run, None)?;
        let labels = match &self.text {
            None => Labels::read(&run.dir)?,
            Some(text) => {
                let text = project.secrets().redactor().redact(text).into_owned();
                Labels::change(&run.dir, |labels| {
                    labels.note = Some(text).filter(|text| !text.is_empty());
                })?
            }
        };
        if self.json {
            json::print(json!({ "run_id": run.run_id, "labels": labels }))?;
        } else if let (None, Some(note)) = (&self.text, &labels.note) {
            out::exact(note)?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}
