//! The runs there are, and one of them without its tree.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use dad_core::{RunStatus, Timestamp};
use dad_project::{SpendBy, Spending, spending_of};
use dad_run::{IndexedNode, Question, RunEntry, RunFilter, RunIndex, RunView, Tag, Unreadable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::{RunName, Words};
use super::state::Shared;
use crate::versioned::{Versioned, versioned};

/// The most runs in one answer.
const MOST: usize = 1000;

/// The runs in one answer, unless the request says it.
const USUAL: usize = 100;

/// The length of a journal up to which the consumption by model stands in the document of its run, in bytes: it is read from the
/// files of the steps.
const SHORT: u64 = 4_000_000;

/// The server and what it shows.
#[derive(Serialize)]
pub(super) struct About {
    program: String,
    version: &'static str,
    project: String,
    run_roots: Vec<String>,
    /// Whether runs are only looked at.
    read_only: bool,
}

pub(super) async fn about(State(view): Shared) -> Json<Versioned<About>> {
    let roots = view.run_roots().into_iter();
    Json(versioned(About {
        program: view.options.program.clone(),
        version: env!("CARGO_PKG_VERSION"),
        project: view.project.root().display().to_string(),
        run_roots: roots.map(|root| root.display().to_string()).collect(),
        read_only: true,
    }))
}

/// The runs that are wanted.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Statuses, with commas between them.
    status: Option<String>,
    /// A root component.
    agent: Option<String>,
    tag: Option<String>,
    /// A text in the id, root component or tags.
    text: Option<String>,
    since: Option<Timestamp>,
    /// The run that they were started from.
    parent: Option<String>,
    /// The run behind which the answer begins.
    before: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Runs {
    runs: Vec<RunEntry>,
    /// The number of runs that fit.
    total: usize,
    /// The run behind which the next answer begins, if there is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    unreadable: Vec<Unreadable>,
}

pub(super) async fn list(
    State(view): Shared,
    Words(wanted): Words<Wanted>,
) -> Result<Json<Versioned<Runs>>, ApiError> {
    let filter = filter(&wanted)?;
    view.blocking(move |view| {
        let listing = view.listing()?;
        let fits = |run: &&RunEntry| filter.fits(run) && fits_words(run, &wanted);
        let fitting: Vec<&RunEntry> = listing.runs.iter().rev().filter(fits).collect();
        let from = match &wanted.before {
            None => 0,
            Some(before) => {
                let place = fitting.iter().position(|run| run.run_id.as_str() == before);
                place.map_or(fitting.len(), |place| place + 1)
            }
        };
        let limit = wanted.limit.unwrap_or(USUAL).min(MOST);
        let shown = fitting.iter().skip(from).take(limit);
        let runs: Vec<RunEntry> = shown.map(|run| (*run).clone()).collect();
        let is_end = from + runs.len() >= fitting.len();
        let last = runs.last().map(|run| run.run_id.to_string());
        Ok(Json(versioned(Runs {
            total: fitting.len(),
            next: last.filter(|_| !is_end),
            runs,
            unreadable: listing.unreadable.clone(),
        })))
    })
    .await
}

fn filter(wanted: &Wanted) -> Result<RunFilter, ApiError> {
    let words = |text: &Option<String>| -> Vec<String> {
        let words = text.iter().flat_map(|text| text.split(','));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let statuses = words(&wanted.status);
    let statuses: Result<Vec<RunStatus>, _> = statuses.iter().map(|word| RunStatus::from_str(word)).collect();
    let tags: Result<Vec<Tag>, _> = words(&wanted.tag).iter().map(|word| word.parse()).collect();
    Ok(RunFilter::default()
        .statuses(statuses.map_err(|error| ApiError::bad_request(error.to_string()))?)
        .agents(words(&wanted.agent))
        .tags(tags.map_err(|error| ApiError::bad_request(error.to_string()))?)
        .since(wanted.since))
}

/// Whether a run has the text that is looked for, and the parent.
fn fits_words(run: &RunEntry, wanted: &Wanted) -> bool {
    let is_child = wanted
        .parent
        .as_ref()
        .is_none_or(|parent| run.parent.as_ref().is_some_and(|of| of.as_str() == parent));
    let Some(text) = wanted.text.as_deref().map(str::to_lowercase) else {
        return is_child;
    };
    let has = |word: &str| word.to_lowercase().contains(&text);
    let has_text = has(run.run_id.as_str())
        || run.root_id.as_ref().is_some_and(|root| has(root.as_str()))
        || run.tags.iter().any(|tag| has(&tag.to_string()));
    is_child && has_text
}

/// A run without its tree.
#[derive(Serialize)]
pub(super) struct Run {
    /// The fields of `dhenara runs show --json`, without the steps.
    #[serde(flatten)]
    run: Value,
    /// The command in the lines to copy.
    program: String,
    /// The number of records that are in it.
    seq: u64,
    questions: Vec<Question>,
    /// The consumption by model, of a run whose journal is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    spending: Option<Spending>,
    /// The root component, once it is entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<IndexedNode>,
}

pub(super) async fn run(
    State(view): Shared,
    RunName(run): RunName,
) -> Result<Json<Versioned<Run>>, ApiError> {
    let (run, shown, len) = view
        .in_run(run, |index| Ok((run_of(index)?, index.view()?, index.len_read())))
        .await?;
    let spending = (len <= SHORT).then(|| view.blocking(move |_| Ok(spending_by_model(&shown))));
    let spending = match spending {
        Some(spending) => Some(spending.await?),
        None => None,
    };
    let program = view.options.program.clone();
    Ok(Json(versioned(Run {
        program,
        spending,
        ..run
    })))
}

fn run_of(index: &RunIndex) -> Result<Run, ApiError> {
    let view = index.view()?;
    let mut document = json!(view.document());
    if let Some(fields) = document.as_object_mut() {
        fields.remove("steps");
    }
    let questions = view
        .open_questions()
        .filter_map(|open| view.question(&open.id).ok());
    Ok(Run {
        run: document,
        program: String::new(),
        seq: index.seq(),
        questions: questions.collect(),
        spending: None,
        root: index.children(None, 0, 1)?.pop(),
    })
}

pub(super) async fn spending(
    State(view): Shared,
    RunName(run): RunName,
) -> Result<Json<Versioned<Spending>>, ApiError> {
    let shown = view.in_run(run, |index| Ok(index.view()?)).await?;
    view.blocking(move |_| Ok(Json(versioned(spending_by_model(&shown)))))
        .await
}

fn spending_by_model(view: &RunView) -> Spending {
    let run = RunEntry::new(view.run_id.clone(), view.dir().to_path_buf(), view.status);
    spending_of(&[run.totals(view.totals)], SpendBy::Model)
}
