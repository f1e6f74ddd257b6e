//! `dhenara runs watch`: the tree of a run that another process drives, as it grows.

use clap::Args;
use dad_events::RunObserver;
use dad_project::ProjectRun;
use dad_runner::RunReport;
use dad_terminal::{Progress, print_line};

use crate::app::App;
use crate::commands::wait::{WaitOptions, exit_code_of, interrupted};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::output::summary::{Changes, Invocation, show_summary};
use crate::output::{json, program};
use crate::session::drive::{print_output, runtime, unheard};
use crate::signals::Signals;

/// Watch a run that another process drives: its steps as they execute, and its end as that process shows it. Ctrl-C ends the
/// watching, not the run.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    options: WaitOptions,
}

impl Execute for WatchArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let options = &self.options;
        let run = options.find(app)?;
        let invocation = Invocation::new(&options.place, run.project().root());
        let name = run.view().name().into_owned();
        let Some((run, changes)) = runtime()?.block_on(watch(run, options))? else {
            let again = invocation.command(&["runs", "watch", &name]);
            print_line(&format!("{name} continues; `{again}` shows it again"));
            return Ok(exit_code::CANCELLED);
        };
        let view = run.view();
        interrupted(view)?;
        let report = RunReport::of(view)?;
        if options.json {
            json::print(serde_json::json!(report))?;
        } else {
            if !program::is_quiet() {
                show_summary(&report, Some(view), &changes, &invocation);
            }
            print_output(&report)?;
        }
        Ok(exit_code_of(view.status))
    }

    fn common(&self) -> CommonOptions {
        self.options.common()
    }
}

/// Watches a run until it pauses or ends, and notes the steps that changed files; `None` if a signal ended that before.
async fn watch(
    run: ProjectRun,
    options: &WaitOptions,
) -> Result<Option<(ProjectRun, Changes)>, CommandError> {
    let mut signals = Signals::listen().map_err(|error| unheard(&error))?;
    let changes = Changes::default();
    let progress = (!program::is_quiet()).then(Progress::new);
    let watched = options.until(run, async |events| {
        changes.observe(events).await;
        if let Some(progress) = &progress {
            progress.observe(events).await;
        }
    });
    let watched = tokio::select! {
        run = watched => Some(run),
        _ = signals.next() => None,
    };
    if let Some(progress) = &progress {
        progress.finish().await;
    }
    let run = watched.transpose()?;
    Ok(run.map(|run| (run, changes)))
}
