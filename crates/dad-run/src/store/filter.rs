//! The choice of runs that a list is about.

use dad_core::{RunStatus, Timestamp};
use derive_setters::Setters;

use crate::store::labels::Tag;
use crate::store::run_entry::RunEntry;

/// The runs that a list is about; by default all of them.
///
/// ```
/// use dad_core::RunStatus;
/// use dad_run::RunFilter;
///
/// // The last five that failed.
/// let failed = RunFilter::default().statuses([RunStatus::Failed]).newest(5);
/// assert!(!failed.is_everything());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Setters)]
#[setters(into)]
#[non_exhaustive]
pub struct RunFilter {
    /// Their statuses; any if there is none.
    pub statuses: Vec<RunStatus>,
    /// Their root components, by id or by the name of the agent or flow, whose root component is `NAME_root`; any if there
    /// is none.
    pub agents: Vec<String>,
    /// The tags that they all have.
    pub tags: Vec<Tag>,
    /// The earliest time of their creation.
    pub since: Option<Timestamp>,
    /// The largest number of them: of more that fit, the newest.
    pub newest: Option<usize>,
}

impl RunFilter {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a run fits, apart from the number of runs.
    #[must_use]
    pub fn fits(&self, run: &RunEntry) -> bool {
        let is_of_agent = |name: &String| {
            let root = run.root_id.as_ref().map(dad_core::ElementId::as_str);
            root.is_some_and(|root| root == name || root.strip_suffix("_root") == Some(name))
        };
        (self.statuses.is_empty() || self.statuses.contains(&run.status))
            && self.tags.iter().all(|tag| run.tags.contains(tag))
            && (self.agents.is_empty() || self.agents.iter().any(is_of_agent))
            && self
                .since
                .is_none_or(|since| run.created_at.is_some_and(|at| at >= since))
    }

    /// The runs that fit, of runs that stand oldest first.
    #[must_use]
    pub fn choose<T>(&self, mut runs: Vec<T>, entry_of: impl Fn(&T) -> &RunEntry) -> Vec<T> {
        runs.retain(|run| self.fits(entry_of(run)));
        let surplus = self.newest.map_or(0, |newest| runs.len().saturating_sub(newest));
        runs.drain(..surplus);
        runs
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(number: u32, agent: &str, status: RunStatus) -> RunEntry {
        let id = format!("run_20251123_141516_{number:06x}");
        let run = RunEntry::new(id.parse().unwrap(), PathBuf::from(id), status);
        let at = Timestamp::from_second(i64::from(number) * 60).unwrap();
        run.root_id(agent.parse::<dad_core::ElementId>().unwrap())
            .created_at(at)
    }

    fn chosen(filter: &RunFilter) -> Vec<u64> {
        let runs = vec![
            run(1, "draft_root", RunStatus::Failed),
            run(2, "draft_root", RunStatus::Completed),
            run(3, "draft", RunStatus::Failed),
            run(4, "review_root", RunStatus::Waiting),
        ];
        let runs = filter.choose(runs, |run| run);
        let minute = |run: &RunEntry| run.created_at.unwrap().as_second() as u64 / 60;
        runs.iter().map(minute).collect()
    }

    #[test]
    fn each_condition_leaves_out_the_others() {
        let all = RunFilter::default;
        assert_eq!(chosen(&all()), [1, 2, 3, 4]);
        let failed = all().statuses([RunStatus::Failed, RunStatus::Waiting]);
        assert_eq!(chosen(&failed), [1, 3, 4]);
        assert_eq!(chosen(&failed.clone().newest(2)), [3, 4]);
        assert_eq!(chosen(&failed.agents(["draft".to_owned()])), [1, 3]);
        assert_eq!(chosen(&all().agents(["draft_root".to_owned()])), [1, 2]);
        assert_eq!(chosen(&all().since(Timestamp::from_second(121).unwrap())), [3, 4]);
        assert_eq!(chosen(&all().newest(0)), [0; 0]);
    }
}
