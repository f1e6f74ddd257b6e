use dad_core::RunStatus;
use dad_run::{RunView, request_cancel};

use crate::args::Place;
use crate::error::CommandError;
use crate::runs::{catalog, select};
use crate::{exit_code, json};

/// `dhenara cancel RUN [PATH]`.
pub(crate) fn cancel(run: &str, path: Option<&str>, place: &Place) -> Result<u8, CommandError> {
    let entry = catalog(place)?.find(run, None)?;
    let view = RunView::open(&entry.dir)?;
    if view.status != RunStatus::Running {
        let message = format!("`{}` is {}: nobody drives it", view.run_id, view.status);
        let mut error = CommandError::usage("not_running", message);
        error.exit_code = exit_code::REFUSED;
        return Err(error.with_hint("only what executes can be stopped; `dhenara runs list` shows what does"));
    }
    let path = match path {
        None => None,
        Some(path) => {
            let open = view
                .entries
                .iter()
                .filter(|(_, entry)| !entry.status().is_terminal());
            Some(select(path, open.map(|(path, _)| path), &entry)?.clone())
        }
    };
    request_cancel(view.dir(), path.as_ref(), "dhenara cancel")?;
    let what = path.map_or_else(
        || view.run_id.to_string(),
        |path| format!("{path} of {}", view.run_id),
    );
    json::print_text(&format!(
        "{what} is to stop; `dhenara runs show {}` tells how it ended",
        view.run_id
    ));
    Ok(exit_code::DONE)
}
