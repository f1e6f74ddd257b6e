//! The scope of templates at one place of a run: variables, and results of earlier steps through a cache.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use dad_core::{ElementId, HierarchyPath, Segment, StepResult};
use dad_definition::{References, Target, TargetSegment};
use dad_run::driver::ResultStore;
use dad_run::{RunError, RunPreview, RunScope};
use dad_template::{Scope, ScopeError, ToJsonError, Value};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value as Json};

/// The results kept for templates to read again, in bytes of their files.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The part of a run that templates see, whether the run is driven or only looked at.
pub(crate) trait Evidence: Send + Sync {
    /// The scope that all its steps share.
    fn scope(&self) -> &RunScope;
    /// The path of its root component.
    fn root_path(&self) -> HierarchyPath;
    /// Its directory.
    fn run_dir(&self) -> &Path;
    /// The result of a step or component, `None` if there is none.
    fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError>;
}

impl Evidence for ResultStore {
    fn scope(&self) -> &RunScope {
        self.scope()
    }

    fn root_path(&self) -> HierarchyPath {
        self.program().root.path.clone()
    }

    fn run_dir(&self) -> &Path {
        self.run_dir()
    }

    fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        self.read_result(path)
    }
}

impl Evidence for RunPreview {
    fn scope(&self) -> &RunScope {
        self.scope()
    }

    fn root_path(&self) -> HierarchyPath {
        self.program().root.path.clone()
    }

    fn run_dir(&self) -> &Path {
        self.run_dir()
    }

    fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        self.results().map_or(Ok(None), |view| view.result_bytes(path))
    }
}

/// The variables of an entered component, and of those around it.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The component or iteration.
    path: HierarchyPath,
    variables: Vec<(String, Value)>,
    parent: Option<Arc<Frame>>,
}

impl Frame {
    pub(crate) fn new(
        path: &HierarchyPath,
        variables: Vec<(String, Value)>,
        parent: Option<Arc<Self>>,
    ) -> Self {
        Self {
            path: path.clone(),
            variables,
            parent,
        }
    }

    pub(crate) fn into_variables(self) -> Vec<(String, Value)> {
        self.variables
    }

    /// The component's own variables, for the journal.
    pub(crate) fn to_json(&self) -> Result<Map<String, Json>, ToJsonError> {
        self.variables
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.to_json()?)))
            .collect()
    }

    /// The component or iteration that declares a variable.
    pub(crate) fn owner(&self, name: &str) -> Option<&HierarchyPath> {
        if self.variables.iter().any(|(known, _)| known == name) {
            Some(&self.path)
        } else {
            self.parent.as_ref()?.owner(name)
        }
    }

    /// The items of the loops around, the innermost first. The first variable of an iteration tells it from others: it is
    /// the item, or the number of the pass.
    pub(crate) fn items(&self) -> Vec<&Value> {
        let is_iteration = matches!(
            self.path.typed_segments().next_back(),
            Some(Segment::Iteration(_))
        );
        let own = self
            .variables
            .first()
            .filter(|_| is_iteration)
            .map(|(_, value)| value);
        let around = self.parent.as_deref().map(Self::items).unwrap_or_default();
        own.into_iter().chain(around).collect()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let own = self.variables.iter().rfind(|(known, _)| known == name);
        match own {
            Some((_, value)) => Some(value),
            None => self.parent.as_ref()?.get(name),
        }
    }
}

/// Results that were read, as templates see them. Above [`CACHE_BYTES`] the oldest are dropped first.
#[derive(Debug, Default)]
pub(crate) struct ResultCache {
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    values: HashMap<HierarchyPath, Cached>,
    /// The paths of the values, the next to be evicted first.
    order: VecDeque<HierarchyPath>,
    bytes: usize,
}

#[derive(Debug)]
struct Cached {
    value: Value,
    /// The length of its file in bytes.
    len: usize,
    /// Whether it was read again since it was last considered for eviction.
    is_used: bool,
}

impl ResultCache {
    /// The result of a step as templates see it, `None` if it was skipped or not reached.
    pub(crate) fn read(&self, run: &dyn Evidence, path: &HierarchyPath) -> Result<Option<Value>, RunError> {
        if let Some(cached) = self.state().values.get_mut(path) {
            cached.is_used = true;
            return Ok(Some(cached.value.clone()));
        }
        let Some(bytes) = run.read_result(path)? else {
            return Ok(None);
        };
        let unreadable = |error: serde_json::Error| RunError::Unreadable {
            path: run.run_dir().join(path.to_relative_dir()),
            reason: error.to_string(),
        };
        let json = match serde_json::from_slice::<StepResult>(&bytes) {
            Ok(result) => result.to_scope_value().map_err(unreadable)?,
            // The result of a component has other fields.
            Err(_) => {
                let mut json = serde_json::from_slice::<Json>(&bytes).map_err(unreadable)?;
                define_step_fields(&mut json);
                json
            }
        };
        let value = Value::from(json);
        self.insert(path, value.clone(), bytes.len());
        Ok(Some(value))
    }

    /// The value of a reference in a template of the step or component at `asker`.
    pub(crate) fn look_up(
        &self,
        run: &dyn Evidence,
        target: &Target,
        asker: &HierarchyPath,
    ) -> Result<Option<Value>, RunError> {
        match target.fixed() {
            Some(path) => self.read(run, path),
            None => self.descend(run, None, &target.segments, asker),
        }
    }

    /// The value of the rest of a reference, below a place of the run.
    fn descend(
        &self,
        run: &dyn Evidence,
        base: Option<HierarchyPath>,
        rest: &[TargetSegment],
        asker: &HierarchyPath,
    ) -> Result<Option<Value>, RunError> {
        let Some((segment, rest)) = rest.split_first() else {
            return base.map_or(Ok(None), |path| self.read(run, &path));
        };
        let Some(base) = base else {
            let root = run.root_path();
            return self.descend(run, Some(root), rest, asker);
        };
        let own = || iteration_at(asker, base.segments().count());
        let iteration = match segment {
            TargetSegment::Element(id) => return self.descend(run, Some(base.child(id)), rest, asker),
            TargetSegment::Branch(taken) => return self.descend(run, Some(base.branch(*taken)), rest, asker),
            TargetSegment::Same => own(),
            TargetSegment::Previous => own().and_then(|index| index.checked_sub(1)),
            TargetSegment::Iteration(index) => Some(*index),
            TargetSegment::Last => self.iterations(run, &base)?.checked_sub(1),
            TargetSegment::Every => {
                let all = (0..self.iterations(run, &base)?).map(|index| {
                    let found = self.descend(run, Some(base.iteration(index)), rest, asker)?;
                    // A skipped step keeps its position in the list.
                    Ok(found.unwrap_or_default())
                });
                return Ok(Some(Value::from(all.collect::<Result<Vec<Value>, RunError>>()?)));
            }
            // A kind that dad-definition has learned and this crate has not.
            _ => None,
        };
        match iteration {
            Some(index) => self.descend(run, Some(base.iteration(index)), rest, asker),
            None => Ok(None),
        }
    }

    /// The number of iterations of a loop that has ended.
    fn iterations(&self, run: &dyn Evidence, path: &HierarchyPath) -> Result<u64, RunError> {
        let result = self.read(run, path)?;
        let count = result.as_ref().and_then(|result| result.get("iterations"));
        Ok(count
            .and_then(Value::as_i64)
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    fn insert(&self, path: &HierarchyPath, value: Value, len: usize) {
        if len > CACHE_BYTES {
            return;
        }
        let mut state = self.state();
        let cached = Cached {
            value,
            len,
            is_used: false,
        };
        if state.values.insert(path.clone(), cached).is_none() {
            state.order.push_back(path.clone());
            state.bytes += len;
        }
        while state.bytes > CACHE_BYTES {
            let Some(oldest) = state.order.pop_front() else {
                return;
            };
            match state.values.get_mut(&oldest) {
                // A result that is read again and again, such as a first analysis, outlives those that were read once.
                Some(cached) if cached.is_used => {
                    cached.is_used = false;
                    state.order.push_back(oldest);
                }
                _ => {
                    if let Some(evicted) = state.values.remove(&oldest) {
                        state.bytes -= evicted.len;
                    }
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock()
    }
}

/// Adds the fields that results of the original system leave out where they have no value.
fn define_step_fields(json: &mut Json) {
    if let Some(fields) = json
        .as_object_mut()
        .filter(|fields| fields.contains_key("node_identifier"))
    {
        for name in ["input", "settings", "output", "outcome", "error"] {
            fields.entry(name).or_insert(Json::Null);
        }
    }
}

/// The iteration at a position of a path.
fn iteration_at(path: &HierarchyPath, position: usize) -> Option<u64> {
    match Segment::of(path.segments().nth(position)?) {
        Segment::Iteration(index) => Some(index),
        _ => None,
    }
}

/// The name of a reference in a template of `asker` for the journal: with the numbers of iterations, where they are known.
pub(crate) fn read_name(target: &Target, asker: &HierarchyPath) -> String {
    if let Some(path) = target.fixed() {
        return path.to_string();
    }
    let names = target.segments.iter().enumerate().map(|(position, segment)| {
        let index = match segment {
            TargetSegment::Same => iteration_at(asker, position),
            TargetSegment::Previous => iteration_at(asker, position).and_then(|index| index.checked_sub(1)),
            _ => None,
        };
        index.map_or_else(|| segment.to_string(), |index| format!("iter_{index}"))
    });
    names.collect::<Vec<_>>().join(".")
}

/// The scope of the templates of one place, and the results that they used.
pub(crate) struct PlaceScope<'a> {
    pub(crate) run: &'a dyn Evidence,
    pub(crate) cache: &'a ResultCache,
    pub(crate) frame: &'a Frame,
    pub(crate) references: &'a References,
    pub(crate) place: Place<'a>,
    /// Variables of the step's input: innermost.
    pub(crate) prompt_variables: Option<&'a Map<String, Json>>,
    /// Defaults the node's settings declare: outermost.
    pub(crate) defaults: Option<&'a Map<String, Json>>,
    reads: Mutex<Vec<String>>,
}

/// The place of a template.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) id: &'a ElementId,
    pub(crate) path: &'a HierarchyPath,
    pub(crate) component: &'a HierarchyPath,
}

impl<'a> PlaceScope<'a> {
    pub(crate) fn new(
        run: &'a dyn Evidence,
        cache: &'a ResultCache,
        frame: &'a Frame,
        references: &'a References,
        place: Place<'a>,
    ) -> Self {
        Self {
            run,
            cache,
            frame,
            references,
            place,
            prompt_variables: None,
            defaults: None,
            reads: Mutex::default(),
        }
    }

    /// The steps whose results were used, in the order of their first use.
    pub(crate) fn into_reads(self) -> Vec<String> {
        self.reads.into_inner()
    }

    fn run_variable(&self, name: &str) -> Option<Value> {
        let text = match name {
            "element_id" => self.place.id.as_str(),
            "element_hier_path" => self.place.path.as_str(),
            "component_hier_path" => self.place.component.as_str(),
            _ => return self.run.scope().run_variables.get(name).cloned().map(Value::from),
        };
        Some(Value::from(Json::from(text)))
    }
}

impl Scope for PlaceScope<'_> {
    fn variable(&self, name: &str) -> Result<Option<Value>, ScopeError> {
        // Run variables may not be shadowed, so they can be looked up first.
        let declared = |map: Option<&Map<String, Json>>| map?.get(name).filter(|v| !v.is_null()).cloned();
        Ok(self
            .run_variable(name)
            .or_else(|| self.prompt_variables?.get(name).cloned().map(Value::from))
            .or_else(|| self.frame.get(name).cloned())
            .or_else(|| declared(self.defaults).map(Value::from)))
    }

    fn step(&self, reference: &str) -> Result<Option<Value>, ScopeError> {
        let Some(target) = self.references.get(reference) else {
            return Err(ScopeError::new(format!(
                "`{reference}` names no step that comes before"
            )));
        };
        let read = read_name(target, self.place.path);
        {
            let mut reads = self.reads.lock();
            if !reads.contains(&read) {
                reads.push(read);
            }
        }
        self.cache
            .look_up(self.run, target, self.place.path)
            .map_err(|error| ScopeError::new(error.to_string()))
    }
}
