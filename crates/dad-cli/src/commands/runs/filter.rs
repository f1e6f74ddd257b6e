//! The options that choose runs.

use clap::Args;
use dad_core::{RunStatus, Timestamp, parse_duration};
use dad_run::{RunFilter, Tag};

use crate::error::CommandError;

/// The runs that are wanted.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only runs of this status; several are several options.
    #[arg(long, value_name = "STATUS")]
    status: Vec<RunStatus>,
    /// Only runs of this agent or flow, by its name or its root component.
    #[arg(long, value_name = "NAME")]
    agent: Vec<String>,
    /// Only runs with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Only runs made since then: a duration before now, such as `7d` or `12h`, or a time such as `2026-01-31T00:00:00Z`.
    #[arg(long, value_name = "7d|TIME")]
    since: Option<String>,
    /// Only the newest so many.
    #[arg(short = 'n', value_name = "NUMBER")]
    newest: Option<usize>,
}

impl Filter {
    /// The filter, for a list that is made now.
    pub(crate) fn read(&self, now: Timestamp) -> Result<RunFilter, CommandError> {
        let since = self.since.as_deref().map(|text| since(text, now)).transpose()?;
        Ok(RunFilter::default()
            .statuses(self.status.clone())
            .agents(self.agent.clone())
            .tags(self.tag.clone())
            .since(since)
            .newest(self.newest))
    }
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let before = parse_duration(text).ok();
    // A time before all that can be written is before all runs.
    let at = before.map(|before| now.checked_sub(before).unwrap_or(Timestamp::MIN));
    at.ok_or_else(|| {
        let message = format!("`--since {text}` is neither a duration nor a time");
        CommandError::usage("since", message).with_hint(
            "write a duration before now, such as `7d` or `12h`, or a time such as `2026-01-31T00:00:00Z`",
        )
    })
}
