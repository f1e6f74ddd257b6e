//! The consumption of runs, by model, agent, day or run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dad_core::{Timestamp, UnknownWord, Usage};
use dad_models::internal::MODEL_CALL;
use dad_run::internal::in_parallel;
use dad_run::{Consumption, RunEntry, RunError, Unreadable};
use serde::{Deserialize, Serialize};

/// The part of a consumption that rows are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpendBy {
    /// The model, by the exchanges that were recorded.
    Model,
    /// The root component of the run.
    Agent,
    /// The day on which a step ended, in UTC.
    Day,
    /// The run.
    Run,
}

impl SpendBy {
    /// The word used on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Day => "day",
            Self::Run => "run",
        }
    }
}

impl fmt::Display for SpendBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SpendBy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: &[SpendBy] = &[SpendBy::Model, SpendBy::Agent, SpendBy::Day, SpendBy::Run];
        UnknownWord::find(word, "grouping of costs", ALL)
    }
}

/// The consumption of runs. A result that was taken from another run consumed nothing, and a run that was resumed counts once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spending {
    /// The part that the rows are made by.
    pub by: SpendBy,
    /// The rows: days and runs in the order of time, models and agents with the largest cost first.
    pub rows: Vec<SpendingRow>,
    /// All of them together.
    pub total: SpendingRow,
    /// The runs that are not, or not wholly, among them.
    pub unreadable: Vec<Unreadable>,
}

/// The consumption of one model or agent, on one day, or in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpendingRow {
    /// The model, agent, day or run; `None` of the total, and of calls of which it is not known.
    pub key: Option<String>,
    /// The number of runs with a part in it.
    pub runs: u64,
    /// The consumption. Its cost is that of the calls with a price.
    pub usage: Usage,
    /// The number of calls of which no price is known: they are in no cost.
    pub unpriced_calls: u64,
}

/// The consumption under one key, as it is added up.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    usage: Usage,
    unpriced_calls: u64,
}

impl Spent {
    /// The consumption of calls that are wholly with a price or wholly without.
    fn of(usage: Usage) -> Self {
        let unpriced_calls = if usage.cost.is_none() { usage.calls } else { 0 };
        Self {
            usage,
            unpriced_calls,
        }
    }

    fn add(&mut self, other: Self) {
        self.usage += other.usage;
        self.unpriced_calls += other.unpriced_calls;
    }
}

type Rows = BTreeMap<Option<String>, Spent>;

/// Adds up what runs consumed, several of them at the same time. Only runs that asked models are opened.
#[must_use]
pub fn spending_of(runs: &[RunEntry], by: SpendBy) -> Spending {
    let read = in_parallel(runs, |run| rows_of(run, by));
    let mut total = SpendingRow::default();
    let mut unreadable = Vec::new();
    let mut rows: BTreeMap<Option<String>, SpendingRow> = BTreeMap::new();
    for (run, (read, problem)) in runs.iter().zip(read) {
        unreadable.extend(problem.map(|error| Unreadable::new(run.dir.clone(), error.to_info().message)));
        total.runs += 1;
        for (key, spent) in read {
            let row = rows.entry(key.clone()).or_insert_with(|| SpendingRow {
                key,
                ..SpendingRow::default()
            });
            row.runs += 1;
            for row in [row, &mut total] {
                row.usage += spent.usage;
                row.unpriced_calls += spent.unpriced_calls;
            }
        }
    }
    let mut rows: Vec<SpendingRow> = rows.into_values().collect();
    match by {
        SpendBy::Model | SpendBy::Agent => rows.sort_by(|a, b| {
            let cost = |row: &SpendingRow| row.usage.cost.unwrap_or_default();
            cost(b)
                .total_cmp(&cost(a))
                .then(b.usage.total_tokens.cmp(&a.usage.total_tokens))
        }),
        SpendBy::Run => {
            let place = |row: &SpendingRow| {
                runs.iter()
                    .position(|run| row.key.as_deref() == Some(run.run_id.as_str()))
            };
            rows.sort_by_cached_key(place);
        }
        SpendBy::Day => {}
    }
    Spending {
        by,
        rows,
        total,
        unreadable,
    }
}

/// The consumption of one run, as far as it could be read.
fn rows_of(run: &RunEntry, by: SpendBy) -> (Rows, Option<RunError>) {
    let mut rows = Rows::new();
    let consumed = run.totals.map(|totals| totals.usage);
    if run.is_original {
        rows.insert(
            key(run, by, run.created_at, None),
            Spent::of(consumed.unwrap_or_default()),
        );
        return (rows, None);
    }
    if consumed.is_some_and(|usage| usage.is_zero()) {
        if by != SpendBy::Model {
            rows.insert(key(run, by, run.last_record_at, None), Spent::default());
        }
        return (rows, None);
    }
    // Of several calls some may have a price and others none.
    let wants = |usage: &Usage| match by {
        SpendBy::Model => usage.calls + usage.replayed > 0,
        _ => usage.calls > 1 && usage.cost.is_some(),
    };
    let read = Consumption::read_each(&run.dir, wants, |consumption| {
        let calls = calls_in(&consumption.exchanges);
        if by == SpendBy::Model {
            for (model, spent) in by_model(consumption.usage, calls) {
                rows.entry(model).or_default().add(spent);
            }
        } else {
            let mut spent = Spent::of(consumption.usage);
            spent.unpriced_calls += match spent.unpriced_calls {
                0 => calls.iter().map(|(_, spent)| spent.unpriced_calls).sum(),
                _ => 0,
            };
            rows.entry(key(run, by, Some(consumption.at), None))
                .or_default()
                .add(spent);
        }
    });
    (rows, read.err())
}

fn key(run: &RunEntry, by: SpendBy, at: Option<Timestamp>, model: Option<String>) -> Option<String> {
    match by {
        SpendBy::Model => model,
        SpendBy::Agent => run.root_id.as_ref().map(ToString::to_string),
        SpendBy::Day => at.map(|at| at.strftime("%Y-%m-%d").to_string()),
        SpendBy::Run => Some(run.run_id.to_string()),
    }
}

/// The consumption of a record by model: what its exchanges do not tell is of no known model.
fn by_model(usage: Usage, calls: Vec<(String, Spent)>) -> Vec<(Option<String>, Spent)> {
    let mut left = usage;
    calls.iter().for_each(|(_, spent)| left -= spent.usage);
    let mut rows: Vec<(Option<String>, Spent)> = calls
        .into_iter()
        .map(|(model, spent)| (Some(model), spent))
        .collect();
    if left.calls + left.replayed > 0 {
        left.cost = left.cost.filter(|cost| *cost > 0.0);
        rows.push((None, Spent::of(left)));
    }
    rows
}

/// The calls of models in the lines of exchanges; those are left out whose consumption an earlier record of the step states.
fn calls_in(exchanges: &[u8]) -> Vec<(String, Spent)> {
    #[derive(Deserialize)]
    struct Line {
        name: String,
        #[serde(default)]
        is_counted: bool,
    }
    #[derive(Deserialize)]
    struct Call {
        request: Request,
        response: Response,
    }
    #[derive(Deserialize)]
    struct Request {
        model: String,
    }
    #[derive(Deserialize)]
    struct Response {
        usage: Usage,
    }
    let calls = exchanges.split(|byte| *byte == b'\n').filter_map(|line| {
        let kind: Line = serde_json::from_slice(line).ok()?;
        if kind.name != MODEL_CALL || kind.is_counted {
            return None;
        }
        let call: Call = serde_json::from_slice(line).ok()?;
        Some((call.request.model, Spent::of(call.response.usage)))
    });
    calls.collect()
}
