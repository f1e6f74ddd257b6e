//! The plan of a re-run, from the options of its context.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use dad_core::HierarchyPath;
use dad_definition::Program;
use serde_json::Value;

use crate::error::{RunError, SetupError};
use crate::format;
use crate::journal::place::distinct_places;
use crate::live::inputs::check_external;
use crate::live::reuse::outcome_of;
use crate::rerun::edit::Edit;
use crate::rerun::order::EntryPoint;
use crate::rerun::plan::{Decision, RerunPlan};
use crate::rerun::planner::{plan_by_fingerprint, plan_from_entry_point};
use crate::setup::context::RunContext;
use crate::setup::options::Options;
use crate::store::view::RunView;

impl RunContext {
    pub(super) fn make_plan(&self, program: &Program, parent: &RunView) -> Result<RerunPlan, RunError> {
        let Options {
            alone,
            fresh,
            execute,
            ask,
            reuse_answers,
            ..
        } = &self.options;
        let entry = match (&self.entry_point, *alone) {
            (None, _) => None,
            (Some(selector), alone) => {
                let selected = match alone {
                    true => program.select_step(selector).map_err(SetupError::Step),
                    false => program.select(selector).map_err(SetupError::EntryPoint),
                };
                let path = selected?.first();
                Some(EntryPoint { path, alone })
            }
        };
        let steps = match &entry {
            Some(entry) => plan_from_entry_point(program, entry, &parent.run_id, parent)?,
            None => {
                let known: HashSet<_> = parent
                    .steps()
                    .map(|step| step.path.without_iterations())
                    .collect();
                plan_by_fingerprint(program, |path| known.contains(path))
            }
        };
        let execute = execute.iter().map(|selector| {
            let selected = program.select(&selector.parse()?).map_err(SetupError::Execute)?;
            Ok(selected.to_string())
        });
        let asking = |selector: &String| asking(selector, program);
        let parents_plan = parent.plan()?;
        let ancestors = parents_plan
            .iter()
            .flat_map(|plan| plan.ancestors.iter().cloned());
        let mut plan = RerunPlan {
            schema_version: format::PLAN,
            parent: parent.run_id.clone(),
            root_parent: parents_plan
                .as_ref()
                .map_or_else(|| parent.run_id.clone(), |plan| plan.root_parent.clone()),
            ancestors: distinct_places(parent.places().chain(ancestors)),
            entry_point: entry.map(|entry| entry.path),
            alone: *alone,
            fresh: *fresh,
            execute: execute.collect::<Result<_, RunError>>()?,
            ask: ask.iter().map(asking).collect::<Result<_, SetupError>>()?,
            reuse_answers: reuse_answers
                .iter()
                .map(asking)
                .collect::<Result<_, SetupError>>()?,
            answers: Vec::new(),
            edits: Vec::new(),
            inherited_edits: edits_in(parent, parents_plan.as_ref()),
            steps,
        };
        plan.edits = self.edits(program, &plan, parent)?;
        Ok(plan)
    }

    /// The changes of results that are taken over. Each is tried, so that none fails when the run has begun.
    fn edits(&self, program: &Program, plan: &RerunPlan, parent: &RunView) -> Result<Vec<Edit>, RunError> {
        let mut outcomes: HashMap<HierarchyPath, Value> = HashMap::new();
        let redactor = self.options.secrets.redactor();
        let edits = self
            .options
            .edits
            .iter()
            .map(|(target, value)| -> Result<Edit, RunError> {
                let mut value = value.clone();
                redactor.redact_json(&mut value);
                check_external(&format!("the value of `{target}`"), &value)?;
                let edit = Edit::parse(target, value, program)?;
                match plan.step(&edit.path).map(|step| &step.decision) {
                    Some(Decision::Reuse { .. }) => {
                        let outcome = match outcomes.entry(edit.path.clone()) {
                            Entry::Occupied(known) => known.into_mut(),
                            Entry::Vacant(new) => new.insert(outcome_of(&parent.result(&edit.path)?)),
                        };
                        edit.apply(outcome)?;
                        Ok(edit)
                    }
                    _ => Err(SetupError::Edit {
                        target: target.clone(),
                        reason: format!("`{}` does not lie before the entry point", edit.path),
                    }
                    .into()),
                }
            });
        edits.collect()
    }
}

/// What is to be asked again or answered as before, as the plan has it.
fn asking(selector: &str, program: &Program) -> Result<String, SetupError> {
    let selected = program.select(&selector.parse()?).map_err(SetupError::Ask)?;
    let path = &selected.path;
    let nodes = program.steps().filter(|node| node.asks()).map(|node| &node.path);
    let components = program.components().filter(|component| component.asks());
    let mut asking = nodes.chain(components.map(|component| &component.path));
    match asking.any(|asker| asker.is_within(path)) {
        true => Ok(selected.to_string()),
        false => Err(SetupError::NothingAsks(path.clone())),
    }
}

/// The changes that an earlier run made to results which a re-run of it may take.
fn edits_in(parent: &RunView, plan: Option<&RerunPlan>) -> Vec<Edit> {
    let all = plan.into_iter().flat_map(RerunPlan::all_edits);
    let is_there = |edit: &&Edit| {
        let step = parent.step(&edit.path);
        step.is_some_and(|step| step.edited_from.is_some())
    };
    all.filter(is_there).cloned().collect()
}
