//! `dhenara runs search`: the runs that hold a text.

use clap::Args;
use dad_run::{FoundText, SearchText, search_runs};
use dad_terminal::{BOLD, DIM, print_line, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::filter::Filter;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::summary::made_at;
use crate::output::{json, out};
use dad_core::Timestamp;

/// Search the prompts, answers, inputs, outcomes and printed output of runs for a text, the newest run last. Upper and lower case
/// are the same.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The text, as it is: no part of it is a pattern.
    text: String,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for SearchArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let filter = self.filter.read(Timestamp::now())?;
        let text = SearchText::new(&self.text)
            .map_err(|error| CommandError::usage("search_text", error.to_string()))?;
        let runs = app.project_or_here(&self.place)?.runs()?;
        let listing = runs.listing()?;
        let chosen = filter.choose(listing.runs, |run| run);
        let mut findings = search_runs(&chosen, &text);
        findings.unreadable.splice(0..0, listing.unreadable);
        if self.json {
            json::print(json!({
                "searched": chosen.len(),
                "runs": findings.runs,
                "unreadable": findings.unreadable,
            }))?;
            return Ok(exit_code::DONE);
        }
        let mut shown = String::new();
        for run in &findings.runs {
            let made = run.created_at.map(made_at).unwrap_or_default();
            shown += &format!("{BOLD}{}{BOLD:#}  {DIM}{made}{DIM:#}\n", run.run_id);
            shown.extend(run.found.iter().map(found_line));
        }
        if !shown.is_empty() {
            out::lines(&shown)?;
        }
        out::end_paging()?;
        for run in &findings.unreadable {
            print_line(&format!("left out: {}", printable(&run.reason)));
        }
        if findings.runs.is_empty() {
            print_line(&format!(
                "the text stands in none of {}",
                dad_terminal::internal::count(chosen.len() as u64, "run")
            ));
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

/// A place with the text and some of what stands around it, on one line.
fn found_line(found: &FoundText) -> String {
    let line = |text: &str| printable(&text.replace(['\n', '\t'], " "));
    let place = match &found.path {
        Some(path) => format!("{path}.{}", found.place),
        None => found.place.clone(),
    };
    format!(
        "  {DIM}{}:{DIM:#} {}{BOLD}{}{BOLD:#}{}\n",
        printable(&place),
        line(&found.before).trim_start(),
        line(&found.text),
        line(&found.behind).trim_end()
    )
}
