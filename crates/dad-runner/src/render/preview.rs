//! The rendered settings of one step, with the origins of their values; nothing is executed.

use std::sync::Arc;

use dad_core::{ErrorInfo, HierarchyPath, NodeType, PathSelector, Segment, SelectError};
use dad_definition::{Component, Content, NodeElement, Program, ProgramElement};
use dad_run::{RunError, RunPreview};
use dad_template::{Reference, ReferenceKind, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::render::evaluate::{EvaluatedVariables, Evaluator, Over};
use crate::render::scope::{Frame, ResultCache, read_name};

/// A step as it would be executed, with the origins of the values in its settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RenderedStep {
    /// Its place in the run.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// The input that it would be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// Its settings, rendered.
    pub settings: Json,
    /// The origins of the values in them, in the order of the settings.
    pub origins: Vec<ValueOrigin>,
}

/// The origin of a value in rendered settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValueOrigin {
    /// The place in the settings, such as `prompt`.
    pub place: String,
    /// The reference in the template there.
    pub reference: String,
    /// The meaning of the reference, in words.
    pub origin: String,
}

/// Renders the settings of one step and executes nothing. A selector that leaves out the iteration of a loop means the first.
///
/// # Errors
/// If there is no such step or iteration, or a template cannot be evaluated: mostly because it needs the result of
/// a step, and no given run has one.
pub fn render_step(preview: &RunPreview, selector: &PathSelector) -> Result<RenderedStep, ErrorInfo> {
    let program = preview.program();
    let selected = program
        .select_step(selector)
        .map_err(|error| unknown_step(&error))?;
    let path = selected.first();
    let node = program
        .step(&path)
        .ok_or_else(|| ErrorInfo::new("unknown_step", format!("`{path}` is no step")))?;
    let cache = &ResultCache::default();
    let evaluator = Evaluator { run: preview, cache };
    let surroundings = Descent { preview, evaluator }.go(program, &path)?;
    let input = preview.input(&path).map_err(|error| error.to_info())?;
    let value = input.as_ref().map(|input| &input.value);
    let Surroundings { frame, component } = &surroundings;
    let rendered = evaluator
        .settings(node, &path, component, frame, value)
        .map_err(|error| error.at(&path))?;
    let source = input.as_ref().map_or("", |input| input.source.as_str());
    let given = value
        .and_then(|input| input.get("prompt_variables"))
        .and_then(Json::as_object);
    let origins = Origins {
        preview,
        node,
        path: &path,
        frame,
        given,
        source,
    };
    Ok(RenderedStep {
        node_type: node.node_type.clone(),
        settings: rendered.settings,
        origins: origins.all(),
        input: input.map(|input| input.value),
        path,
    })
}

/// The surroundings of a step.
struct Surroundings {
    frame: Arc<Frame>,
    /// The component, iteration or branch it stands in.
    component: HierarchyPath,
}

/// The way from the root to a step.
struct Descent<'a> {
    preview: &'a RunPreview,
    evaluator: Evaluator<'a>,
}

impl Descent<'_> {
    fn go(&self, program: &Program, path: &HierarchyPath) -> Result<Surroundings, ErrorInfo> {
        let mut component = &program.root;
        let mut at = component.path.clone();
        let mut given = self.preview.scope().given_variables.clone();
        let mut parent: Option<Arc<Frame>> = None;
        loop {
            let EvaluatedVariables { mut frame, error } =
                self.evaluator.variables(component, &at, parent.as_ref(), &given);
            if let Some(error) = error {
                return Err(error.at(path));
            }
            let depth = at.segments().count();
            match path.typed_segments().nth(depth) {
                Some(Segment::Iteration(index)) => {
                    let part = at.iteration(index);
                    frame = self.iteration(component, &at, index, frame)?;
                    at = part;
                }
                Some(Segment::Branch(taken)) => at = at.branch(taken),
                _ => {}
            }
            let next = path.segments().nth(at.segments().count()).unwrap_or_default();
            let child = format!("{at}.{next}").parse::<HierarchyPath>();
            let child = child
                .ok()
                .and_then(|child| Some((program.element(&child)?, child)));
            match child {
                Some((ProgramElement::Component(inner), child)) => {
                    component = inner;
                    let variables = self.preview.given_component_variables(&child);
                    given = variables.map_err(|error| error.to_info())?;
                    at = child;
                    parent = Some(frame);
                }
                _ => return Ok(Surroundings { frame, component: at }),
            }
        }
    }

    /// The variables of an iteration: of the recorded items of the loop, else of the items that it would have now.
    fn iteration(
        &self,
        component: &Component,
        path: &HierarchyPath,
        index: u64,
        around: Arc<Frame>,
    ) -> Result<Arc<Frame>, ErrorInfo> {
        let variables = match &component.content {
            Content::ForEach(for_each) => {
                let recorded = self.preview.results().map(|view| view.loop_start(path));
                let recorded = recorded.transpose().map_err(|error: RunError| error.to_info())?;
                let over = match recorded.flatten() {
                    Some(start) => Over::recorded(start),
                    None => self
                        .evaluator
                        .over(component, for_each, path, &around)
                        .map_err(|error| error.at(path))?,
                };
                let count = over.items.len();
                if index >= count {
                    let message = format!("`{path}` has no iteration {index}: it goes over {count} items");
                    return Err(ErrorInfo::new("unknown_step", message));
                }
                over.variables(for_each, index)
            }
            Content::Repeat(repeat) => vec![(repeat.index_var.clone(), Value::from(index))],
            _ => return Ok(around),
        };
        Ok(Arc::new(Frame::new(
            &path.iteration(index),
            variables,
            Some(around),
        )))
    }
}

/// The search for the origins of values.
struct Origins<'a> {
    preview: &'a RunPreview,
    node: &'a NodeElement,
    path: &'a HierarchyPath,
    frame: &'a Frame,
    /// Prompt variables of the input, with the source of the input.
    given: Option<&'a Map<String, Json>>,
    source: &'a str,
}

impl Origins<'_> {
    fn all(&self) -> Vec<ValueOrigin> {
        let mut all: Vec<ValueOrigin> = Vec::new();
        for (place, template) in self.node.settings.templates() {
            for reference in template.references() {
                let origin = ValueOrigin {
                    place: place.clone(),
                    reference: match reference.kind {
                        ReferenceKind::Hier => format!("$hier{{{}}}", reference.name),
                        ReferenceKind::Variable => reference.name.clone(),
                    },
                    origin: self.origin(reference),
                };
                if !all.contains(&origin) {
                    all.push(origin);
                }
            }
        }
        all
    }

    fn origin(&self, reference: &Reference) -> String {
        let name = &*reference.name;
        match reference.kind {
            ReferenceKind::Hier => self.result(name),
            ReferenceKind::Variable => self.variable(name),
        }
    }

    fn result(&self, name: &str) -> String {
        let Some(target) = self.node.references.get(name) else {
            return "nothing".to_owned();
        };
        let path = read_name(target, self.path);
        match self.preview.results() {
            Some(run) => format!("the result of `{path}` in {}", run.run_id),
            None => format!("the result of `{path}`, of which there is none"),
        }
    }

    fn variable(&self, name: &str) -> String {
        let scope = self.preview.scope();
        let of_step = ["element_id", "element_hier_path", "component_hier_path"];
        if of_step.contains(&name) || scope.run_variables.contains_key(name) {
            return "a variable of every run".to_owned();
        }
        if self.given.is_some_and(|given| given.contains_key(name)) {
            return format!("the input ({})", self.source);
        }
        match self.frame.owner(name) {
            Some(owner) if owner.parent().is_none() && scope.given_variables.contains_key(name) => {
                "given from outside".to_owned()
            }
            Some(owner) if matches!(owner.typed_segments().next_back(), Some(Segment::Iteration(_))) => {
                format!("the iteration `{owner}`")
            }
            Some(owner) => format!("a variable of `{owner}`"),
            None if self
                .node
                .prompt_variables
                .get(name)
                .is_some_and(|default| !default.is_null()) =>
            {
                "the default of the prompt variable".to_owned()
            }
            None => "nothing: it is not defined".to_owned(),
        }
    }
}

fn unknown_step(error: &SelectError) -> ErrorInfo {
    ErrorInfo::new("unknown_step", error.to_string())
}
