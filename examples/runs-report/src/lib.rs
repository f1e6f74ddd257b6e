//! A table of the runs in a directory: it needs neither the programs that made the runs nor their definitions.

use std::fmt::Write;
use std::path::Path;

use dad_run::{Catalog, RunError, RunView, StepCommitted};

/// The runs in a directory, one in a line, the oldest first. The steps that failed stand below their run; a run that cannot be
/// read stands at the end.
///
/// # Errors
/// If the directory cannot be listed.
pub fn report(run_root: &Path) -> Result<String, RunError> {
    let listing = Catalog::new(run_root, run_root).listing()?;
    let mut text = line(["run", "status", "steps", "cost", "seconds"]);
    for run in &listing.runs {
        match RunView::open(&run.dir) {
            Ok(view) => text += &described(&view),
            Err(error) => text += &format!("{}: {error}\n", run.run_id),
        }
    }
    for run in &listing.unreadable {
        text += &format!("{}: {}\n", run.dir.display(), run.reason);
    }
    Ok(text)
}

fn described(run: &RunView) -> String {
    let seconds = run.last_record_at.duration_since(run.created_at).as_secs_f64();
    let cost = run.totals.usage.cost.map(|cost| format!("${cost:.4}"));
    let mut text = line([
        run.run_id.as_str(),
        run.status.as_str(),
        &run.steps().count().to_string(),
        cost.as_deref().unwrap_or("-"),
        &format!("{seconds:.1}"),
    ]);
    for StepCommitted { path, error, .. } in run.steps() {
        if let Some(error) = error {
            let first = error.message.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {path}: {first}");
        }
    }
    text
}

fn line([run, status, steps, cost, seconds]: [&str; 5]) -> String {
    format!("{run:28} {status:12} {steps:>6} {cost:>10} {seconds:>9}\n")
}
