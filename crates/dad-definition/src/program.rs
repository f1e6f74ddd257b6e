use std::sync::Arc;

use dad_core::{
    ComponentKind, Definition, DefinitionKind, Digest, ElementId, ElementOptions, HierarchyPath, NodeType,
};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::tree::TemplateTree;

/// A definition that was checked and made ready to run: templates parsed, `$hier` references resolved.
#[derive(Clone, Debug)]
pub struct Program {
    /// What was compiled.
    pub definition: Arc<Definition>,
    /// Digest of the definition's canonical JSON.
    pub digest: Digest,
    /// The root component.
    pub root: Component,
    /// The run's own result, evaluated in the scope of the root after everything else.
    pub output: Option<Output>,
}

/// The `output` of a definition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// What is evaluated.
    pub value: TemplateTree,
    /// The steps it refers to.
    pub references: References,
}

/// An agent or flow of a [`Program`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Component {
    /// Its name in the run.
    pub path: HierarchyPath,
    /// Its id, the last segment of its path.
    pub id: ElementId,
    /// Agent or flow.
    pub kind: ComponentKind,
    /// Where it stands in the definition, such as `elements[0]`; empty for the root. See [`SpanMap`](crate::SpanMap).
    pub place: String,
    /// Evaluated in this order when the component is entered; each sees those before it.
    pub variables: Vec<Variable>,
    /// What any element may have; the defaults for the root.
    pub options: ElementOptions,
    /// What is executed, in order.
    pub elements: Vec<ProgramElement>,
    /// What is executed at the end, however the elements ended.
    pub finally: Vec<ProgramElement>,
    /// The steps that `variables` refer to.
    pub references: References,
}

/// A variable of a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is evaluated from.
    pub value: TemplateTree,
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

/// A node of a [`Program`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeElement {
    /// Its name in the run.
    pub path: HierarchyPath,
    /// Its id, the last segment of its path.
    pub id: ElementId,
    /// The registered name of its type.
    pub node_type: NodeType,
    /// The version of that type.
    pub version: u32,
    /// Where it stands in the definition, such as `elements[0].elements[1]`. See [`SpanMap`](crate::SpanMap).
    pub place: String,
    /// The settings, to be rendered.
    pub settings: TemplateTree,
    /// The settings as the definition has them, with the texts of their templates.
    pub unrendered: Value,
    /// What any element may have.
    pub options: ElementOptions,
    /// Digest of the canonical JSON of its definition.
    pub digest: Digest,
    /// The steps that the settings refer to.
    pub references: References,
    /// Variables of the node's own settings with their defaults, null for those without one.
    pub prompt_variables: Map<String, Value>,
}

/// The `$hier{…}` references of one place: what was written, and the path it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(IndexMap<String, HierarchyPath>);

impl References {
    /// The path of the step or component that `$hier{name}` means.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&HierarchyPath> {
        self.0.get(name)
    }

    /// All references in the order in which they first occur.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &HierarchyPath)> {
        self.0.iter().map(|(name, path)| (name.as_str(), path))
    }

    /// How many different references there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn insert(&mut self, name: &str, path: HierarchyPath) {
        self.0.insert(name.to_owned(), path);
    }
}

impl ProgramElement {
    /// Its name in the run.
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

    /// What any element may have.
    #[must_use]
    pub fn options(&self) -> &ElementOptions {
        match self {
            Self::Node(node) => &node.options,
            Self::Component(component) => &component.options,
        }
    }

    /// Where it stands in the definition.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Node(node) => &node.place,
            Self::Component(component) => &component.place,
        }
    }
}

impl Component {
    /// The elements in document order: `elements`, then `finally`.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &ProgramElement> {
        self.elements.iter().chain(&self.finally)
    }

    /// The nodes in it, at any depth, in document order.
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
        for child in self.children() {
            match child {
                ProgramElement::Node(node) => paths.push(node.path.clone()),
                ProgramElement::Component(component) => component.collect_paths(paths),
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
    /// The nodes in document order, those of `finally` after the elements of their component.
    pub fn steps(&self) -> impl Iterator<Item = &NodeElement> {
        self.root.steps()
    }

    /// The paths of all components and steps in document order, the root first.
    #[must_use]
    pub fn paths(&self) -> Vec<HierarchyPath> {
        let mut paths = Vec::new();
        self.root.collect_paths(&mut paths);
        paths
    }

    /// The element at a path, `None` for the root and for paths that do not exist.
    #[must_use]
    pub fn element(&self, path: &HierarchyPath) -> Option<&ProgramElement> {
        self.root.find(path)
    }

    /// The step at a path.
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

/// What a root component of this kind of definition is.
pub(crate) const fn component_kind(kind: DefinitionKind) -> ComponentKind {
    match kind {
        DefinitionKind::Agent => ComponentKind::Agent,
        DefinitionKind::Flow => ComponentKind::Flow,
    }
}
