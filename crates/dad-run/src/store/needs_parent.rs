//! The condition under which a re-run still needs the run that it was started from.

use dad_core::HierarchyPath;

use crate::rerun::plan::{Decision, PlannedStep, RerunPlan};
use crate::store::view::RunView;

/// Whether a re-run that is gone on with may still take something from its parent. With an entry point it took all it
/// wanted when it has every result from before and has come to the entry point: by then the branches and loops around
/// are decided as well. Without one, each step that could be taken must be there, and how many iterations a loop still
/// has is not known: steps in loops count as missing.
pub(crate) fn needs_parent(plan: &RerunPlan, view: &RunView) -> bool {
    let is_missing = |path: &HierarchyPath| view.step(path).is_none();
    let reached = |entry: &HierarchyPath| view.entries.keys().any(|path| path.is_within(entry));
    let takes = |planned: &PlannedStep| match plan.entry_point {
        Some(_) => matches!(planned.decision, Decision::Reuse { .. }),
        None => !matches!(planned.decision, Decision::Execute),
    };
    // What executes alone has the parent's results in scope.
    plan.alone
        || plan.entry_point.as_ref().is_some_and(|entry| !reached(entry))
        || plan
            .steps
            .iter()
            .any(|planned| takes(planned) && is_missing(&planned.path))
}
