//! Results of a run by the names that templates use, for listeners and nodes.

use std::sync::Arc;

use dad_core::{HierarchyPath, PathSelector};
use dad_definition::{Program, Selected};
use dad_events::ReadResults;
use dad_run::driver::ResultStore;
use serde_json::Value;

use crate::render::scope::ResultCache;

/// The results of a run, read by listeners and nodes. It holds nothing of the run's driver, so that an event that a listener
/// keeps does not keep the run.
pub(crate) struct NamedResults {
    pub(crate) results: ResultStore,
    pub(crate) cache: Arc<ResultCache>,
}

impl ReadResults for NamedResults {
    fn settings(&self, path: &HierarchyPath) -> Option<Value> {
        let node = self.results.program().step(path)?;
        Some(node.unrendered.clone())
    }

    fn result(&self, asker: &HierarchyPath, name: &str) -> Result<Option<Value>, String> {
        let program = self.results.program();
        let references = match program.step(asker) {
            Some(node) => Some(&node.references),
            None => program.component(asker).map(|component| &component.references),
        };
        let found = match references.and_then(|references| references.get(name)) {
            Some(target) => self.cache.look_up(&self.results, target, asker),
            None => {
                let path = resolve(program, name, asker);
                let path = path.ok_or_else(|| format!("`{name}` names no step that comes before"))?;
                self.cache.read(&self.results, &path)
            }
        };
        let value = found.map_err(|error| error.to_string())?;
        value
            .map(|value| value.to_json().map_err(|error| error.to_string()))
            .transpose()
    }

    fn previous_input(&self, path: &HierarchyPath) -> Result<Option<Value>, String> {
        self.results
            .previous_input(path)
            .map_err(|error| error.to_string())
    }
}

/// The step that a name means in a template of `asker`.
fn resolve(program: &Program, name: &str, asker: &HierarchyPath) -> Option<HierarchyPath> {
    let selected = program.select(&name.parse::<PathSelector>().ok()?);
    selected.ok().map(|selected: Selected| selected.near(asker))
}
