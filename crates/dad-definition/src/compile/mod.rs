//! From a definition to a [`Program`].

mod check;
mod outline;
mod schema;
mod templates;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dad_core::{
    ComponentBody, ComponentKind, Definition, Element, ElementId, ElementKind, ElementOptions,
    NodeDefinition, NodeType,
};
use serde_json::{Map, Value};

use crate::compile::outline::{Asker, Outline};
use crate::node_types::{NodeTypeInfo, NodeTypes};
use crate::place::Place;
use crate::problem::{Problem, Problems, Report, quoted};
use crate::program::{
    Component, NodeElement, Output, Program, ProgramElement, References, Variable, component_kind,
};
use crate::spans::SpanMap;
use crate::tree::{TemplateTree, digest_of};
use crate::validate::{RUN_VARIABLES, validate};

/// Checks a definition against the node types and makes it ready to run, with `root_id` as the id of its root.
///
/// With the spans that the loader returned, problems have their place in the file.
///
/// # Errors
/// [`Problems`] with everything that is wrong, not only the first thing.
pub fn compile(
    definition: &Definition,
    root_id: &ElementId,
    types: &dyn NodeTypes,
    spans: Option<&SpanMap>,
) -> Result<Program, Problems> {
    let no_spans = SpanMap::default();
    let spans = spans.unwrap_or(&no_spans);
    let mut report = Report::default();
    validate(definition, spans, &mut report);
    if report.has_errors() {
        // Names and places are only clear in a definition that is valid by itself.
        return Err(report.into_problems(spans.sources()));
    }
    let mut compiler = Compiler {
        outline: Outline::new(definition, root_id),
        types,
        spans,
        report,
        names: Names::new(&definition.required),
        declared: HashSet::new(),
        broken: HashSet::new(),
    };
    let root = compiler.root(definition);
    let output = compiler.output(definition, &root);
    compiler.report.finish(spans.sources())?;
    Ok(Program {
        definition: Arc::new(definition.clone()),
        digest: digest_of(definition),
        root,
        output,
    })
}

/// The names of variables, one component inside the other.
#[derive(Debug, Default)]
struct Names {
    /// The outermost first.
    stack: Vec<String>,
    /// How often each is in the stack.
    counts: HashMap<String, usize>,
}

impl Names {
    fn new(names: &[String]) -> Self {
        let mut new = Self::default();
        for name in names {
            new.push(name);
        }
        new
    }

    fn push(&mut self, name: &str) {
        *self.counts.entry(name.to_owned()).or_default() += 1;
        self.stack.push(name.to_owned());
    }

    fn len(&self) -> usize {
        self.stack.len()
    }

    fn truncate(&mut self, length: usize) {
        for name in self.stack.drain(length..) {
            if let Some(count) = self.counts.get_mut(&name) {
                *count -= 1;
            }
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.counts.get(name).is_some_and(|count| *count > 0)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.stack.iter().map(String::as_str)
    }
}

struct Compiler<'a> {
    outline: Outline,
    types: &'a dyn NodeTypes,
    spans: &'a SpanMap,
    report: Report,
    /// Variables of the components around the current place.
    names: Names,
    /// While the variables of a component are compiled, the names of all of them.
    declared: HashSet<String>,
    /// Places of templates that did not parse, about which nothing more is said.
    broken: HashSet<String>,
}

impl Compiler<'_> {
    fn root(&mut self, definition: &Definition) -> Component {
        let kind = component_kind(definition.kind);
        // The root has the first number; its variables stay known, for `output`.
        self.component(
            &definition.body,
            kind,
            ElementOptions::default(),
            0,
            &Place::root(),
        )
    }

    fn output(&mut self, definition: &Definition, root: &Component) -> Option<Output> {
        let output = definition.output.as_ref()?;
        for variable in &root.variables {
            self.names.push(&variable.name);
        }
        let place = Place::root().key("output");
        let value = self.tree(output, &place);
        let references = self.references(&value, &place, Asker::Output, &Map::new());
        Some(Output { value, references })
    }

    /// Compiles the component with a number of the outline.
    fn component(
        &mut self,
        body: &ComponentBody,
        kind: ComponentKind,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        let outer = self.names.len();
        let (variables, references) = self.variables(body, number, place);
        let elements = self.elements(&body.elements, number, 0, &place.key("elements"));
        let finally = self.elements(&body.finally, number, body.elements.len(), &place.key("finally"));
        self.names.truncate(outer);
        let item = self.outline.item(number);
        Component {
            path: item.path.clone(),
            id: item.id.clone(),
            kind,
            place: place.to_string(),
            variables,
            options,
            elements,
            finally,
            references,
        }
    }

    fn variables(
        &mut self,
        body: &ComponentBody,
        number: usize,
        place: &Place,
    ) -> (Vec<Variable>, References) {
        let place = place.key("variables");
        let mut references = References::default();
        let mut variables = Vec::with_capacity(body.variables.len());
        self.declared = body.variables.keys().cloned().collect();
        for (name, value) in &body.variables {
            let place = place.key(name);
            let value = self.tree(value, &place);
            let found = self.references(&value, &place, Asker::Variables(number), &Map::new());
            references.extend(found);
            // Only now, because a variable sees those before it and not itself.
            self.names.push(name);
            variables.push(Variable {
                name: name.clone(),
                value,
            });
        }
        self.declared.clear();
        (variables, references)
    }

    /// Compiles a list of elements; `first` is the position of its first among all children of the component.
    fn elements(
        &mut self,
        list: &[Element],
        parent: usize,
        first: usize,
        place: &Place,
    ) -> Vec<ProgramElement> {
        let mut elements = Vec::with_capacity(list.len());
        for (index, element) in list.iter().enumerate() {
            let place = place.index(index);
            let Some(number) = self.outline.child(parent, first + index) else {
                continue;
            };
            let options = element.options.clone();
            elements.push(match &element.kind {
                ElementKind::Node(node) => ProgramElement::Node(self.node(element, node, number, &place)),
                ElementKind::Flow(body) | ElementKind::Subflow(body) => {
                    let component = self.component(body, ComponentKind::Flow, options, number, &place);
                    ProgramElement::Component(component)
                }
                ElementKind::Subagent(body) => {
                    let component = self.component(body, ComponentKind::Agent, options, number, &place);
                    ProgramElement::Component(component)
                }
                // `validate` has refused it.
                _ => continue,
            });
        }
        elements
    }

    fn node(
        &mut self,
        element: &Element,
        node: &NodeDefinition,
        number: usize,
        place: &Place,
    ) -> NodeElement {
        let settings_place = place.key("settings");
        let settings = self.tree(&node.settings, &settings_place);
        let types = self.types;
        let info = types.node_type(&node.node_type);
        if info.is_none() {
            self.unknown_type(&node.node_type, &place.key("type"));
        }
        let prompt_variables = info
            .map(|info| (info.prompt_variables)(&node.settings))
            .unwrap_or_default();
        for name in prompt_variables
            .keys()
            .filter(|name| RUN_VARIABLES.contains(&name.as_str()))
        {
            let message = format!("`{name}` is a variable of every run and cannot be defined again");
            let problem = Problem::new("reserved_variable", message).hint("choose another name");
            self.report.add(problem.at(self.spans, &settings_place));
        }
        // Of a node of unknown type it is not known which variables it adds.
        let references = match info {
            Some(_) => self.references(
                &settings,
                &settings_place,
                Asker::Element(number),
                &prompt_variables,
            ),
            None => References::default(),
        };
        if let Some(info) = info {
            self.settings(info, &settings, &settings_place);
            self.own_checks(info, &node.settings, &settings_place);
        }
        let prepared = info
            .filter(|_| !self.report.has_errors())
            .and_then(|info| (info.prepare_settings)(&node.settings));
        let settings = match &prepared {
            Some(prepared) => self.tree(prepared, &settings_place),
            None => settings,
        };
        let item = self.outline.item(number);
        NodeElement {
            path: item.path.clone(),
            id: item.id.clone(),
            node_type: node.node_type.clone(),
            version: info.map_or(0, |info| info.version),
            place: place.to_string(),
            settings,
            unrendered: node.settings.clone(),
            options: element.options.clone(),
            digest: digest_of(element),
            references,
            prompt_variables,
        }
    }

    fn unknown_type(&mut self, node_type: &NodeType, place: &Place) {
        let names = self.types.names();
        let problem = Problem::new(
            "unknown_node_type",
            format!("unknown node type {}", quoted(node_type.as_str())),
        );
        let problem = match dad_core::nearest(node_type.as_str(), names.iter().copied()) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None if names.is_empty() => problem.hint("no node types are registered"),
            None => problem.hint(format!("registered are {}", names.join(", "))),
        };
        self.report.add(problem.at(self.spans, place));
    }

    fn settings(&mut self, info: &NodeTypeInfo, settings: &TemplateTree, place: &Place) {
        for finding in check::settings(info, settings, place, &self.broken) {
            self.report.add(finding.into_problem(self.spans));
        }
    }

    /// What the node type itself finds.
    fn own_checks(&mut self, info: &NodeTypeInfo, unrendered: &Value, place: &Place) {
        for found in (info.check_settings)(unrendered) {
            let problem = Problem::new(found.code, found.message);
            let at = place.join(&Place::from_text(found.place));
            self.report.add(Problem {
                hint: found.hint,
                ..problem.at(self.spans, &at)
            });
        }
    }

    /// Parses every string of a value as a template.
    fn tree(&mut self, value: &Value, place: &Place) -> TemplateTree {
        templates::parse(
            value,
            place,
            &mut templates::Parsing {
                spans: self.spans,
                report: &mut self.report,
                broken: &mut self.broken,
            },
        )
    }
}
