//! The builders of control flow: conditionals, loops, parallel branches and callbacks.

use dad_core::{
    Callback, Conditional, Element, ElementKind, ElementOptions, ForEach, OnExhausted, OnLimit, Parallel,
    Repeat,
};
use serde::Serialize;
use serde_json::Value;

use crate::build::component::{ComponentBuilder, not_serialisable};
use crate::build::{element_methods, rebase};
use crate::place::Place;
use crate::problem::{Problem, quoted};

/// Something with a list of elements: an [`AgentBuilder`](crate::AgentBuilder) or a
/// [`FlowBuilder`](crate::FlowBuilder), of which a branch or loop takes the elements.
pub trait Elements: Sized + sealed::Sealed {}

pub(crate) mod sealed {
    /// A seal: only this crate implements it.
    pub trait Sealed {
        /// The builder's parts.
        fn into_parts(self) -> super::ComponentBuilder;
    }
}

/// A finished element of control flow, before it has its id.
pub(crate) struct BuiltElement {
    kind: ElementKind,
    options: ElementOptions,
    problems: Vec<Problem>,
}

/// The parts that every element of control flow collects.
#[derive(Clone, Debug, Default)]
struct Parts {
    variables: indexmap::IndexMap<String, Value>,
    description: Option<String>,
    options: ElementOptions,
    problems: Vec<Problem>,
}

impl Parts {
    fn json(&mut self, value: &impl Serialize, key: &str) -> Value {
        serde_json::to_value(value).unwrap_or_else(|error| {
            self.problems
                .push(not_serialisable(&error).place(&Place::root().key(key)));
            Value::Null
        })
    }

    fn variable(&mut self, name: &str, value: &impl Serialize) {
        let value = self.json(value, "variables");
        if self.variables.insert(name.to_owned(), value).is_some() {
            let message = format!("the variable {} is defined twice", quoted(name));
            let place = Place::root().key("variables").key(name);
            self.problems
                .push(Problem::new("duplicate_variable", message).place(&place));
        }
    }

    /// The elements of a builder, for the list of this key.
    fn elements(&mut self, key: &str, elements: impl Elements) -> Vec<Element> {
        elements_of(&mut self.problems, key, 0, elements)
    }
}

/// The elements of a builder, for a list that has some already; the builder may say nothing else, because nothing else would be
/// used.
fn elements_of(
    problems: &mut Vec<Problem>,
    key: &str,
    there: usize,
    elements: impl Elements,
) -> Vec<Element> {
    let place = Place::root().key(key);
    let parts = elements.into_parts();
    for said in parts.beside_elements() {
        let message = format!("`{said}` belongs to an agent or flow, not to a list of elements");
        let problem = Problem::new("unknown_key", message).place(&place);
        problems.push(problem.hint("put the elements into a flow of their own"));
    }
    let moved = parts.problems.into_iter().map(|problem| {
        let inner = problem.path.as_deref().and_then(|path| behind(path, there));
        let inner = Place::from_text(inner.unwrap_or_default());
        problem.place(&inner)
    });
    problems.extend(rebase(moved.collect(), &place));
    parts.body.elements
}

/// The place of an element's problem in a list, behind those that are there: `elements[0].node` as `[2].node`.
fn behind(path: &str, there: usize) -> Option<String> {
    let (index, rest) = path.strip_prefix("elements[")?.split_once(']')?;
    let index: usize = index.parse().ok()?;
    Some(format!("[{}]{rest}", index + there))
}

/// Methods of all builders of control flow.
macro_rules! control_methods {
    () => {
        element_methods!(parts);

        /// Describes it for people.
        pub fn description(mut self, description: impl Into<String>) -> Self {
            self.parts.description = Some(description.into());
            self
        }

        /// Adds a variable, evaluated once when the element is entered. Strings in its value are templates.
        pub fn variable(mut self, name: &str, value: impl Serialize) -> Self {
            self.parts.variable(name, &value);
            self
        }
    };
}

/// A choice between two branches.
///
/// ```
/// use dad_core::NodeType;
/// use dad_definition::{ConditionalBuilder, FlowBuilder, NodeBuilder};
/// use serde_json::json;
///
/// let greet = NodeBuilder::new(NodeType::COMMAND, json!({ "commands": [["echo", "hello"]] }));
/// let flow = FlowBuilder::new()
///     .variable("polite", true)
///     .conditional("manners", ConditionalBuilder::new("$expr{polite}").when_true(FlowBuilder::new().node("greet", greet)))
///     .build()?;
/// # Ok::<(), dad_definition::Problems>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a conditional does nothing until it is added to an agent or flow"]
pub struct ConditionalBuilder {
    parts: Parts,
    conditional: Conditional,
}

impl ConditionalBuilder {
    /// A choice by a statement: a template of a boolean.
    pub fn new(statement: impl Serialize) -> Self {
        let mut parts = Parts::default();
        let statement = parts.json(&statement, "statement");
        let mut conditional = Conditional::default();
        conditional.statement = statement;
        Self { parts, conditional }
    }

    control_methods!();

    /// Sets what is executed if the statement is true.
    pub fn when_true(mut self, elements: impl Elements) -> Self {
        self.conditional.true_branch = self.parts.elements("true_branch", elements);
        self
    }

    /// Sets what is executed if the statement is false.
    pub fn when_false(mut self, elements: impl Elements) -> Self {
        self.conditional.false_branch = self.parts.elements("false_branch", elements);
        self
    }

    pub(crate) fn into_element(self) -> BuiltElement {
        let Self {
            parts,
            mut conditional,
        } = self;
        conditional.description = parts.description;
        conditional.variables = parts.variables;
        BuiltElement {
            kind: ElementKind::Conditional(conditional),
            options: parts.options,
            problems: parts.problems,
        }
    }
}

/// A loop over a list or range.
#[derive(Clone, Debug)]
#[must_use = "a loop does nothing until it is added to an agent or flow"]
pub struct ForEachBuilder {
    parts: Parts,
    for_each: ForEach,
}

impl ForEachBuilder {
    /// A loop over a statement: a list, or a template of a list or `range`.
    pub fn new(statement: impl Serialize, body: impl Elements) -> Self {
        let mut parts = Parts::default();
        let statement = parts.json(&statement, "statement");
        let body = parts.elements("body", body);
        let mut for_each = ForEach::default();
        for_each.statement = statement;
        for_each.body = body;
        Self { parts, for_each }
    }

    control_methods!();

    /// Names the variable for the item; `item` otherwise.
    pub fn item_var(mut self, name: impl Into<String>) -> Self {
        self.for_each.item_var = name.into();
        self
    }

    /// Names the variable for the number of the iteration; `index` otherwise.
    pub fn index_var(mut self, name: impl Into<String>) -> Self {
        self.for_each.index_var = name.into();
        self
    }

    /// Sets the number of the first iteration, a number or a template; 0 otherwise.
    pub fn start_index(mut self, start: impl Serialize) -> Self {
        self.for_each.start_index = self.parts.json(&start, "start_index");
        self
    }

    /// Sets how many iterations there may be, and what more items mean.
    pub fn max_iterations(mut self, count: u64, on_limit: OnLimit) -> Self {
        self.for_each.max_iterations = Some(count);
        self.for_each.on_limit = on_limit;
        self
    }

    /// Sets how many iterations may run at the same time; 1 otherwise.
    pub fn max_concurrency(mut self, count: u32) -> Self {
        self.for_each.max_concurrency = count;
        self
    }

    /// Ends the loop early: a template of a boolean, evaluated after every iteration in its scope.
    pub fn until(mut self, condition: impl Serialize) -> Self {
        self.for_each.until = Some(self.parts.json(&condition, "until"));
        self
    }

    pub(crate) fn into_element(self) -> BuiltElement {
        let Self { parts, mut for_each } = self;
        for_each.description = parts.description;
        for_each.variables = parts.variables;
        BuiltElement {
            kind: ElementKind::ForEach(for_each),
            options: parts.options,
            problems: parts.problems,
        }
    }
}

/// A loop that ends by a condition.
#[derive(Clone, Debug)]
#[must_use = "a loop does nothing until it is added to an agent or flow"]
pub struct RepeatBuilder {
    parts: Parts,
    repeat: Repeat,
}

impl RepeatBuilder {
    /// A loop that is left when `until`, a template of a boolean, is true after a pass; at the latest after
    /// `max_iterations` passes.
    pub fn new(until: impl Serialize, max_iterations: u64, body: impl Elements) -> Self {
        let mut parts = Parts::default();
        let until = parts.json(&until, "until");
        let body = parts.elements("body", body);
        let mut repeat = Repeat::default();
        repeat.until = until;
        repeat.max_iterations = max_iterations;
        repeat.body = body;
        Self { parts, repeat }
    }

    control_methods!();

    /// Names the variable for the number of the pass; `index` otherwise.
    pub fn index_var(mut self, name: impl Into<String>) -> Self {
        self.repeat.index_var = name.into();
        self
    }

    /// Sets what it means if the last pass does not end the loop; a failure otherwise.
    pub fn on_exhausted(mut self, on_exhausted: OnExhausted) -> Self {
        self.repeat.on_exhausted = on_exhausted;
        self
    }

    pub(crate) fn into_element(self) -> BuiltElement {
        let Self { parts, mut repeat } = self;
        repeat.description = parts.description;
        repeat.variables = parts.variables;
        BuiltElement {
            kind: ElementKind::Repeat(repeat),
            options: parts.options,
            problems: parts.problems,
        }
    }
}

/// A function of the application, as a leaf.
#[derive(Clone, Debug)]
#[must_use = "a callback does nothing until it is added to an agent or flow"]
pub struct CallbackBuilder {
    options: ElementOptions,
    callback: Callback,
    problems: Vec<Problem>,
}

impl CallbackBuilder {
    /// A call of a registered function without arguments.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            options: ElementOptions::default(),
            callback: Callback::new(function.into()),
            problems: Vec::new(),
        }
    }

    element_methods!();

    /// Sets the arguments: something that serialises to an object, whose strings are templates.
    pub fn args(mut self, args: impl Serialize) -> Self {
        match serde_json::to_value(args) {
            Ok(args @ Value::Object(_)) => self.callback.args = args,
            Ok(_) => {
                let problem = Problem::new("wrong_type", "the arguments of a callback must be an object");
                self.problems.push(problem.place(&Place::root().key("args")));
            }
            Err(error) => self
                .problems
                .push(not_serialisable(&error).place(&Place::root().key("args"))),
        }
        self
    }

    pub(crate) fn into_element(self) -> BuiltElement {
        BuiltElement {
            kind: ElementKind::Callback(self.callback),
            options: self.options,
            problems: self.problems,
        }
    }
}

/// Elements that may run at the same time and may not refer to each other.
#[derive(Clone, Debug)]
#[must_use = "a group does nothing until it is added to an agent or flow"]
pub struct ParallelBuilder {
    parts: Parts,
    elements: Vec<Element>,
}

impl ParallelBuilder {
    /// A group of the elements of a builder.
    pub fn new(elements: impl Elements) -> Self {
        let mut parts = Parts::default();
        let elements = parts.elements("elements", elements);
        Self { parts, elements }
    }

    element_methods!(parts);

    /// Describes it for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.parts.description = Some(description.into());
        self
    }

    pub(crate) fn into_element(self) -> BuiltElement {
        let Self { parts, elements } = self;
        let mut parallel = Parallel::default();
        parallel.description = parts.description;
        parallel.elements = elements;
        BuiltElement {
            kind: ElementKind::Parallel(parallel),
            options: parts.options,
            problems: parts.problems,
        }
    }
}

impl<E: Elements> From<E> for ParallelBuilder {
    fn from(elements: E) -> Self {
        Self::new(elements)
    }
}

impl ComponentBuilder {
    /// Adds an element that another builder made.
    pub(crate) fn add(&mut self, id: &str, built: BuiltElement) {
        self.element(
            crate::build::component::List::Elements,
            id,
            built.kind,
            built.options,
            built.problems,
        );
    }

    /// Adds elements that are executed at the end.
    pub(crate) fn finally(&mut self, elements: impl Elements) {
        let there = self.body.finally.len();
        let elements = elements_of(&mut self.problems, "finally", there, elements);
        self.body.finally.extend(elements);
    }

    /// The parts that were given beside the elements.
    fn beside_elements(&self) -> Vec<&'static str> {
        let said = [
            ("required", !self.required.is_empty()),
            ("budget", self.budget.is_some()),
            ("output", self.output.is_some()),
            ("variables", !self.body.variables.is_empty()),
            ("description", self.body.description.is_some()),
            ("io_description", self.body.io_description.is_some()),
            ("finally", !self.body.finally.is_empty()),
            ("options", self.options != ElementOptions::default()),
        ];
        said.into_iter()
            .filter(|(_, said)| *said)
            .map(|(key, _)| key)
            .collect()
    }
}
