//! `dhenara runs cost`: what runs consumed.

use anstyle::Style;
use clap::Args;
use dad_core::Timestamp;
use dad_project::{SpendBy, Spending, SpendingRow, spending_of};
use dad_run::RunEntry;
use dad_terminal::{
    BOLD,
    internal::{cost, count},
    output_width, print_line, printable,
};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::filter::Filter;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::table::{Cell, Column, table};
use crate::output::{json, out};

/// Show what runs consumed: calls, tokens and US dollars. A result that was taken from another run consumed nothing.
#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    /// The runs: each its id, a unique beginning of it, `last`, or `last~N` for the Nth before it. By default all of them.
    #[arg(value_name = "RUN", conflicts_with_all = ["status", "agent", "tag", "since", "newest"])]
    runs: Vec<String>,
    /// A row for each `model`, `agent`, `day` or `run`.
    #[arg(long, value_name = "PART", default_value = "model")]
    by: SpendBy,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for CostArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let filter = self.filter.read(Timestamp::now())?;
        let runs = app.project_or_here(&self.place)?.runs()?;
        let mut left_out = Vec::new();
        let chosen = if self.runs.is_empty() {
            let listing = runs.listing()?;
            left_out = listing.unreadable;
            filter.choose(listing.runs, |run| run)
        } else {
            let mut chosen: Vec<RunEntry> = Vec::new();
            for run in &self.runs {
                let entry = runs.find(run, None)?;
                if chosen.iter().all(|known| known.dir != entry.dir) {
                    chosen.push(entry);
                }
            }
            chosen
        };
        let mut spending = spending_of(&chosen, self.by);
        spending.unreadable.splice(0..0, left_out);
        if self.json {
            json::print(json!(spending))?;
        } else {
            show(&spending, self.by)?;
        }
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            paged: true,
            ..CommonOptions::default()
        }
    }
}

fn show(spending: &Spending, by: SpendBy) -> Result<(), CommandError> {
    let title = match by {
        SpendBy::Agent => "AGENT",
        SpendBy::Day => "DAY",
        SpendBy::Run => "RUN",
        _ => "MODEL",
    };
    let columns = [
        Column::new(title, 0).cut(),
        Column::new("RUNS", 2).right(),
        Column::new("CALLS", 1).right(),
        Column::new("SENT", 3).right(),
        Column::new("CACHED", 5).right(),
        Column::new("RECEIVED", 4).right(),
        Column::new("REPLAYED", 6).right(),
        Column::new("NO PRICE", 0).right(),
        Column::new("COST", 0).right(),
    ];
    let total = &spending.total;
    if spending.rows.is_empty() {
        print_line(&format!("no model was asked in {}", count(total.runs, "run")));
    } else {
        let rows = spending
            .rows
            .iter()
            .map(|row| cells(row, row_name(row), Style::new()));
        let mut rows: Vec<Vec<Cell>> = rows.chain([cells(total, "total".to_owned(), BOLD)]).collect();
        if by == SpendBy::Run {
            // Each row has one.
            rows.iter_mut().for_each(|row| row[1].0.clear());
        }
        out::lines(&table(&columns, &rows, output_width()))?;
    }
    out::end_paging()?;
    if total.unpriced_calls > 0 {
        let calls = count(total.unpriced_calls, "call");
        let verb = if total.unpriced_calls == 1 { "has" } else { "have" };
        print_line(&format!(
            "{calls} {verb} no known price and no part in the cost; a `price` in `.dhenara/models.yaml` gives later calls one"
        ));
    }
    for run in &spending.unreadable {
        print_line(&format!("left out: {}", printable(&run.reason)));
    }
    Ok(())
}

fn row_name(row: &SpendingRow) -> String {
    row.key.as_deref().map_or("(not recorded)".to_owned(), printable)
}

fn cells(row: &SpendingRow, name: String, style: Style) -> Vec<Cell> {
    let number = |number: u64| {
        if number == 0 {
            String::new()
        } else {
            number.to_string()
        }
    };
    let usage = &row.usage;
    let texts = [
        name,
        number(row.runs),
        number(usage.calls),
        number(usage.prompt_tokens),
        number(usage.cached_tokens),
        number(usage.completion_tokens),
        number(usage.replayed),
        number(row.unpriced_calls),
        usage.cost.and_then(cost).unwrap_or_default(),
    ];
    texts.map(|text| (text, style)).to_vec()
}
