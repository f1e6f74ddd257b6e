//! Programs: compiled definitions, with parsed templates and resolved references.

use std::sync::Arc;

use dad_core::{
    ComponentKind, Definition, DefinitionKind, Digest, ElementId, ElementOptions, HierarchyPath, NodeType,
    OnExhausted, OnLimit,
};
use serde_json::{Map, Value};

use crate::node_types::Prepared;
use crate::reference::References;
use crate::tree::TemplateTree;

/// The event by which a node asks before it executes.
pub(crate) const NODE_INPUT_REQUIRED: &str = "node_input_required";

/// The event by which a component asks before it is entered.
pub(crate) const COMPONENT_INPUT_REQUIRED: &str = "component_input_required";

/// A definition that was checked and made ready to run: templates parsed, `$hier` references resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Program {
    /// The definition that was compiled.
    pub definition: Arc<Definition>,
    /// Digest of the definition's canonical JSON.
    pub digest: Digest,
    /// The root component.
    pub root: Component,
    /// The run's own result, evaluated in the scope of the root after everything else.
    pub output: Option<Expression>,
}

/// A value with templates in it, and the steps that they refer to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expression {
    /// The expression.
    pub value: TemplateTree,
    /// The steps it refers to.
    pub references: References,
}

/// A component of a [`Program`]: an agent or flow, a loop, a conditional or a group.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Component {
    /// Its name in the definition: in the run, the iterations of the loops around it come in between.
    pub path: HierarchyPath,
    /// Its id, the last segment of its path.
    pub id: ElementId,
    /// The kind of the component.
    pub kind: ComponentKind,
    /// The place in the definition, such as `elements[0]`; empty for the root. See [`SpanMap`](crate::SpanMap).
    pub place: String,
    /// Evaluated in this order when the component is entered; each sees those before it.
    pub variables: Vec<Variable>,
    /// The options that any element may have; the defaults for the root.
    pub options: ElementOptions,
    /// The content that is executed.
    pub content: Content,
    /// The steps that `variables` refer to.
    pub references: References,
}

/// The content of a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Of agents and flows: one element after the other.
    Sequence {
        /// In order.
        elements: Vec<ProgramElement>,
        /// At the end, however the elements ended.
        finally: Vec<ProgramElement>,
    },
    /// One of two lists.
    Conditional {
        /// The condition.
        statement: Expression,
        /// If it is true.
        true_branch: Vec<ProgramElement>,
        /// If it is false.
        false_branch: Vec<ProgramElement>,
    },
    /// The body for every item.
    ForEach(Box<ForEachLoop>),
    /// The body until a condition holds.
    Repeat(Box<RepeatLoop>),
    /// All elements at the same time.
    Parallel {
        /// In document order.
        elements: Vec<ProgramElement>,
    },
}

/// A loop over a list or range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForEachLoop {
    /// The items.
    pub statement: Expression,
    /// The variable for the item.
    pub item_var: String,
    /// The variable for the number.
    pub index_var: String,
    /// The number of the first iteration.
    pub start_index: Expression,
    /// The largest number of iterations.
    pub max_iterations: Option<u64>,
    /// The consequence of more items than that.
    pub on_limit: OnLimit,
    /// The largest number of iterations that run at the same time, at least 1.
    pub max_concurrency: u32,
    /// Ends the loop early, evaluated after every iteration.
    pub until: Option<Expression>,
    /// The elements of every iteration.
    pub body: Vec<ProgramElement>,
}

/// A loop that ends by a condition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepeatLoop {
    /// Ends the loop, evaluated after every pass.
    pub until: Expression,
    /// The variable for the number of the pass.
    pub index_var: String,
    /// The largest number of passes.
    pub max_iterations: u64,
    /// The consequence if the last of them does not end the loop.
    pub on_exhausted: OnExhausted,
    /// The elements of every pass.
    pub body: Vec<ProgramElement>,
}

/// A variable of a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The value, or the template that it is evaluated from.
    pub value: TemplateTree,
    /// The same as the definition has it, with the texts of its templates.
    pub unrendered: Value,
}

/// An element of a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProgramElement {
    /// A step.
    Node(NodeElement),
    /// A component inside a component.
    Component(Component),
}

/// A leaf of a [`Program`]: a node or a callback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeElement {
    /// Its name in the definition: in the run, the iterations of the loops around it come in between.
    pub path: HierarchyPath,
    /// Its id, the last segment of its path.
    pub id: ElementId,
    /// The registered name of its type; [`NodeType::CALLBACK`] for callbacks.
    pub node_type: NodeType,
    /// Of a callback: the name of its function.
    pub function: Option<String>,
    /// The version of that type or function.
    pub version: u32,
    /// The place in the definition, such as `elements[0].elements[1]`. See [`SpanMap`](crate::SpanMap).
    pub place: String,
    /// The settings, to be rendered; of a callback its function and arguments.
    pub settings: TemplateTree,
    /// A compiled form of the settings, with values to be rendered beside them.
    pub prepared: Option<Prepared<TemplateTree>>,
    /// The settings as the definition has them, with the texts of their templates.
    pub unrendered: Value,
    /// The options that any element may have.
    pub options: ElementOptions,
    /// Digest of the canonical JSON of its definition.
    pub digest: Digest,
    /// The steps that the settings refer to.
    pub references: References,
    /// Variables of the node's own settings with their defaults, null for those without one.
    pub prompt_variables: Map<String, Value>,
}

impl NodeElement {
    /// Whether it asks for its input before it executes.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.options
            .pre_events
            .iter()
            .any(|event| event == NODE_INPUT_REQUIRED)
    }
}

impl ProgramElement {
    /// Its name in the definition.
    #[must_use]
    pub fn path(&self) -> &HierarchyPath {
        match self {
            Self::Node(node) => &node.path,
            Self::Component(component) => &component.path,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ElementId {
        match self {
            Self::Node(node) => &node.id,
            Self::Component(component) => &component.id,
        }
    }

    /// The options that any element may have.
    #[must_use]
    pub fn options(&self) -> &ElementOptions {
        match self {
            Self::Node(node) => &node.options,
            Self::Component(component) => &component.options,
        }
    }

    /// The place in the definition.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Node(node) => &node.place,
            Self::Component(component) => &component.place,
        }
    }
}

impl Component {
    /// The lists of elements in it, in document order, each with the path that its elements stand under.
    fn lists(&self) -> [(HierarchyPath, &[ProgramElement]); 2] {
        let here = || self.path.clone();
        match &self.content {
            Content::Sequence { elements, finally } => [(here(), elements), (here(), finally)],
            Content::Conditional {
                true_branch,
                false_branch,
                ..
            } => [
                (self.path.branch(true), true_branch),
                (self.path.branch(false), false_branch),
            ],
            Content::ForEach(for_each) => [(here(), &for_each.body), (here(), &[])],
            Content::Repeat(repeat) => [(here(), &repeat.body), (here(), &[])],
            Content::Parallel { elements } => [(here(), elements), (here(), &[])],
        }
    }

    /// Whether it asks for its input before it is entered.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.options
            .pre_events
            .iter()
            .any(|event| event == COMPONENT_INPUT_REQUIRED)
    }

    /// The elements in it, of both branches and of `finally` too, in document order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &ProgramElement> {
        self.lists().into_iter().flat_map(|(_, list)| list)
    }

    /// The steps in it, at any depth, in document order.
    pub fn steps(&self) -> impl Iterator<Item = &NodeElement> {
        // A stack instead of recursion, because nested iterators of one type cannot be written without boxes.
        let mut stack: Vec<&ProgramElement> = self.children().rev().collect();
        std::iter::from_fn(move || {
            loop {
                match stack.pop()? {
                    ProgramElement::Node(node) => return Some(node),
                    ProgramElement::Component(component) => stack.extend(component.children().rev()),
                }
            }
        })
    }

    fn collect_paths(&self, paths: &mut Vec<HierarchyPath>) {
        paths.push(self.path.clone());
        for (path, list) in self.lists() {
            if path != self.path && !list.is_empty() {
                paths.push(path);
            }
            for child in list {
                match child {
                    ProgramElement::Node(node) => paths.push(node.path.clone()),
                    ProgramElement::Component(component) => component.collect_paths(paths),
                }
            }
        }
    }

    fn find(&self, path: &HierarchyPath) -> Option<&ProgramElement> {
        let child = self.children().find(|child| path.is_within(child.path()))?;
        match child {
            _ if child.path() == path => Some(child),
            ProgramElement::Component(component) => component.find(path),
            ProgramElement::Node(_) => None,
        }
    }
}

impl Program {
    /// The steps in document order, those of `finally` after the elements of their component.
    pub fn steps(&self) -> impl Iterator<Item = &NodeElement> {
        self.root.steps()
    }

    /// The components in document order, the root first.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        let mut stack = vec![&self.root];
        std::iter::from_fn(move || {
            let component = stack.pop()?;
            let inside = component.children().filter_map(|child| match child {
                ProgramElement::Component(component) => Some(component),
                ProgramElement::Node(_) => None,
            });
            stack.extend(inside.rev());
            Some(component)
        })
    }

    /// The paths of all components, branches and steps in document order, the root first; without iterations.
    #[must_use]
    pub fn paths(&self) -> Vec<HierarchyPath> {
        let mut paths = Vec::new();
        self.root.collect_paths(&mut paths);
        paths
    }

    /// The element at a path, whatever the iterations in it; `None` for the root, branches, and paths that do not exist.
    #[must_use]
    pub fn element(&self, path: &HierarchyPath) -> Option<&ProgramElement> {
        self.root.find(&path.without_iterations())
    }

    /// The component at a path, whatever the iterations in it.
    #[must_use]
    pub fn component(&self, path: &HierarchyPath) -> Option<&Component> {
        if path.without_iterations() == self.root.path {
            return Some(&self.root);
        }
        match self.element(path)? {
            ProgramElement::Component(component) => Some(component),
            ProgramElement::Node(_) => None,
        }
    }

    /// The step at a path, whatever the iterations in it.
    #[must_use]
    pub fn step(&self, path: &HierarchyPath) -> Option<&NodeElement> {
        match self.element(path)? {
            ProgramElement::Node(node) => Some(node),
            ProgramElement::Component(_) => None,
        }
    }

    /// Variables that must be given from outside.
    #[must_use]
    pub fn required(&self) -> &[String] {
        &self.definition.required
    }

    /// The names that may be given from outside: the required ones, then the root's variables.
    #[must_use]
    pub fn variable_names(&self) -> Vec<&str> {
        let required = self.definition.required.iter().map(String::as_str);
        required
            .chain(self.root.variables.iter().map(|variable| variable.name.as_str()))
            .collect()
    }
}

/// The kind of the root component of a definition.
pub(crate) const fn component_kind(kind: DefinitionKind) -> ComponentKind {
    match kind {
        DefinitionKind::Agent => ComponentKind::Agent,
        DefinitionKind::Flow => ComponentKind::Flow,
    }
}
