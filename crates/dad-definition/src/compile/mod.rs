//! From a definition to a [`Program`].

mod check;
mod control;
mod fits;
mod foreign;
mod name;
mod outline;
mod schema;
mod templates;
mod view;

pub use check::misfits;
pub(crate) use check::{common_settings, is_refused_when_empty};
pub(crate) use fits::write_texts;
pub(crate) use schema::known_keys;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dad_core::{
    ComponentBody, ComponentKind, Definition, Element, ElementId, ElementKind, ElementOptions,
    NodeDefinition, NodeType, Reuse,
};
use dad_template::{ReferenceKind, Template};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::compile::fits::Fits;
use crate::compile::outline::{Asker, Outline};
use crate::node_types::{Compiled, NestedSettings, NodeTypeInfo, NodeTypes, Prepared, SettingsProblem};
use crate::place::Place;
use crate::problem::{Problem, Problems, Report, quoted};
use crate::program::{
    Component, Content, Expression, NodeElement, Program, ProgramElement, Variable, component_kind,
};
use crate::reference::References;
use crate::spans::SpanMap;
use crate::tree::{TemplateTree, digest_of, value_at};
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
    let program = compile_into(definition, root_id, types, spans, &HashSet::new(), &mut report);
    report.finish(spans.sources())?;
    // Without problems there is a program.
    program
        .ok_or_else(|| Report::default().one(Problem::new("too_deep", "the definition is nested too deep")))
}

/// Compiles a definition that was validated, whatever that found. `None` if it cannot be gone through.
pub(crate) fn compile_into(
    definition: &Definition,
    root_id: &ElementId,
    types: &dyn NodeTypes,
    spans: &SpanMap,
    dropped: &HashSet<String>,
    report: &mut Report,
) -> Option<Program> {
    // What goes through a definition recurses.
    if report.has("too_deep") {
        return None;
    }
    let mut definition = definition.clone();
    write_texts(&mut definition, types, spans);
    let mut compiler = Compiler {
        outline: Outline::new(&definition, root_id),
        types,
        spans,
        report,
        names: Names::new(&definition.required),
        declared: HashSet::new(),
        reuse: Reuse::default(),
        broken: HashSet::new(),
        numbers: HashMap::new(),
        fits: Fits::default(),
        dropped,
    };
    let root = compiler.root(&definition);
    let output = compiler.output(&definition, &root);
    Some(Program {
        digest: digest_of(&definition),
        definition: Arc::new(definition),
        root,
        output,
    })
}

/// The names of variables, one component inside the other.
#[derive(Debug, Default)]
struct Names {
    /// The outermost first.
    stack: Vec<String>,
    /// The number of times that each name is in the stack.
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
    report: &'a mut Report,
    /// Variables of the components around the current place.
    names: Names,
    /// While the variables of a component are compiled, the names of all of them.
    declared: HashSet<String>,
    /// The reuse policy of the components around, for elements without one of their own.
    reuse: Reuse,
    /// Places of templates that did not parse, about which nothing more is said.
    broken: HashSet<String>,
    /// Variables that are numbers whose text is not what is written, by name: where that stands, and what is written.
    numbers: HashMap<String, (Place, String)>,
    /// The fits of the node types where templates stand.
    fits: Fits,
    /// Ids of elements that are not in the definition, because of something that is reported already.
    dropped: &'a HashSet<String>,
}

impl Compiler<'_> {
    fn root(&mut self, definition: &Definition) -> Component {
        let kind = component_kind(definition.kind);
        // The root has the first number; its variables stay known, for `output`.
        let options = definition.options.clone();
        self.component(&definition.body, kind, options, 0, &Place::root())
    }

    fn output(&mut self, definition: &Definition, root: &Component) -> Option<Expression> {
        let output = definition.output.as_ref()?;
        for variable in &root.variables {
            self.names.push(&variable.name);
        }
        Some(self.expression(output, &Place::root().key("output"), Asker::Output))
    }

    /// Compiles a value with templates in it.
    fn expression(&mut self, value: &Value, place: &Place, asker: Asker) -> Expression {
        let value = self.tree(value, place);
        let references = self.references(&value, place, asker, &Map::new());
        Expression { value, references }
    }

    /// Compiles an agent or flow with a number of the outline.
    fn component(
        &mut self,
        body: &ComponentBody,
        kind: ComponentKind,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        self.part(&body.variables, kind, options, number, place, |cx| {
            let elements = cx.elements(&body.elements, number, 0, &place.key("elements"));
            let finally = cx.elements(&body.finally, number, body.elements.len(), &place.key("finally"));
            Content::Sequence { elements, finally }
        })
    }

    /// Compiles what every component has, and in the scope of its variables its content.
    fn part(
        &mut self,
        variables: &IndexMap<String, Value>,
        kind: ComponentKind,
        options: ElementOptions,
        number: usize,
        place: &Place,
        content: impl FnOnce(&mut Self) -> Content,
    ) -> Component {
        let outer = self.names.len();
        let (variables, references) = self.variables(variables, number, place);
        let content = content(self);
        self.names.truncate(outer);
        let item = self.outline.item(number);
        Component {
            path: item.path.clone(),
            id: item.id.clone(),
            kind,
            place: place.to_string(),
            variables,
            options,
            content,
            references,
        }
    }

    fn variables(
        &mut self,
        body: &IndexMap<String, Value>,
        number: usize,
        place: &Place,
    ) -> (Vec<Variable>, References) {
        let place = place.key("variables");
        let mut references = References::default();
        let mut variables = Vec::with_capacity(body.len());
        self.declared = body.keys().cloned().collect();
        for (name, unrendered) in body {
            let place = place.key(name);
            let Expression {
                value,
                references: found,
            } = self.expression(unrendered, &place, Asker::Entry(number));
            references.extend(found);
            self.note_number(name, unrendered, &place);
            // Only now, because a variable sees those before it and not itself.
            self.names.push(name);
            variables.push(Variable {
                name: name.clone(),
                value,
                unrendered: unrendered.clone(),
            });
        }
        self.declared.clear();
        (variables, references)
    }

    /// Keeps a number whose text is another one than is written, such as `1.10`, until it is put into a text.
    fn note_number(&mut self, name: &str, value: &Value, place: &Place) {
        let written = self.spans.written(place.as_str()).filter(|_| value.is_number());
        match written.filter(|written| *written != dad_template::Value::from(value).to_text()) {
            Some(written) => drop(
                self.numbers
                    .insert(name.to_owned(), (place.clone(), written.to_owned())),
            ),
            None => {
                self.numbers.remove(name);
            }
        }
    }

    /// Warns of such numbers that become texts, once each.
    fn numbers_in_texts(&mut self, settings: &TemplateTree) {
        if self.numbers.is_empty() {
            return;
        }
        let mut texts = Vec::new();
        settings.texts(&mut texts);
        let references = texts.into_iter().flat_map(Template::references);
        let variables = references.filter(|reference| reference.kind == ReferenceKind::Variable);
        for reference in variables.filter(|reference| reference.path.is_empty()) {
            let Some((place, written)) = self.numbers.remove(&reference.name) else {
                continue;
            };
            let message = format!(
                "{} is a number, and where `{}` becomes a text it may be written otherwise",
                quoted(&written),
                reference.name
            );
            let problem = Problem::new("ambiguous_text", message).hint("put it in quotes if it is a text");
            self.report.add(problem.warning().at(self.spans, &place));
        }
    }

    /// Compiles a list of elements; `first` is the position of its first among all children of the item.
    fn elements(
        &mut self,
        list: &[Element],
        parent: usize,
        first: usize,
        place: &Place,
    ) -> Vec<ProgramElement> {
        let mut elements = Vec::with_capacity(list.len());
        for (index, element) in list.iter().enumerate() {
            let Some(number) = self.outline.child(parent, first + index) else {
                continue;
            };
            elements.extend(self.element(element, number, &place.index(index)));
        }
        elements
    }

    fn element(&mut self, element: &Element, number: usize, place: &Place) -> Option<ProgramElement> {
        let mut options = element.options.clone();
        if options.reuse == Reuse::Auto {
            options.reuse = self.reuse;
        }
        let leaf = match &element.kind {
            ElementKind::Node(node) => Some(self.node(element, node, number, place)),
            ElementKind::Callback(callback) => Some(self.callback(element, callback, number, place)),
            _ => None,
        };
        if let Some(leaf) = leaf {
            return Some(ProgramElement::Node(NodeElement { options, ..leaf }));
        }
        let around = std::mem::replace(&mut self.reuse, options.reuse);
        let component = self.component_element(element, options, number, place);
        self.reuse = around;
        component.map(ProgramElement::Component)
    }

    fn component_element(
        &mut self,
        element: &Element,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Option<Component> {
        Some(match &element.kind {
            ElementKind::Flow(body) | ElementKind::Subflow(body) => {
                self.component(body, ComponentKind::Flow, options, number, place)
            }
            ElementKind::Subagent(body) => self.component(body, ComponentKind::Agent, options, number, place),
            ElementKind::Conditional(it) => self.conditional(it, options, number, place),
            ElementKind::ForEach(it) => self.for_each(it, options, number, place),
            ElementKind::Repeat(it) => self.repeat(it, options, number, place),
            ElementKind::Parallel(it) => self.parallel(it, options, number, place),
            // Leaves are no components, and anything else `validate` has refused.
            _ => return None,
        })
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
        let Compiled {
            mut problems,
            prompt_variables,
            settings: replaced,
            prepared,
            nested,
        } = info
            .map(|info| (info.compile)(&node.settings))
            .unwrap_or_default();
        self.reserved_names(&prompt_variables, &settings_place);
        self.foreign_placeholders(
            &node.settings,
            node.node_type == NodeType::COMMAND,
            &settings_place,
        );
        // Of a node of unknown type it is not known which variables it adds.
        let mut references = match info {
            Some(_) => self.references(
                &settings,
                &settings_place,
                Asker::Element(number),
                &prompt_variables,
            ),
            None => References::default(),
        };
        if let Some(info) = info {
            problems.extend((info.check_settings)(&settings));
            self.settings(info, &settings, &problems, &settings_place);
            self.own_problems(problems, &settings_place);
        }
        for nested in &nested {
            self.nested(nested, &settings, &node.settings, &settings_place);
        }
        let is_wrong = self.report.has_errors();
        let fit = info.map(|info| self.fits.of(&node.node_type, info));
        let settings = match replaced.filter(|_| !is_wrong) {
            Some(replaced) => {
                let replaced = self.tree(&replaced, &settings_place);
                let asker = Asker::Element(number);
                // What was made into a reference only now.
                references.extend(self.references(&replaced, &settings_place, asker, &prompt_variables));
                replaced
            }
            None => settings,
        };
        let settings = match fit {
            Some(fit) => fit.tree(settings),
            None => settings,
        };
        let settings = self.fit_nested(settings, &nested);
        self.numbers_in_texts(&settings);
        let prepared = prepared.filter(|_| !is_wrong).map(|prepared| Prepared {
            values: self.tree(&prepared.values, &settings_place),
            found: prepared.found,
        });
        let item = self.outline.item(number);
        NodeElement {
            path: item.path.clone(),
            id: item.id.clone(),
            node_type: node.node_type.clone(),
            function: None,
            version: info.map_or(0, |info| info.version),
            place: place.to_string(),
            settings,
            prepared,
            unrendered: node.settings.clone(),
            options: element.options.clone(),
            digest: digest_of(element),
            references,
            prompt_variables,
        }
    }

    /// Reports variables of a node that have the name of one that every run has.
    fn reserved_names(&mut self, prompt_variables: &Map<String, Value>, settings_place: &Place) {
        for name in prompt_variables
            .keys()
            .filter(|name| RUN_VARIABLES.contains(&name.as_str()))
        {
            let message = format!("`{name}` is a variable of every run and cannot be defined again");
            let problem = Problem::new("reserved_variable", message).hint("choose another name");
            self.report.add(problem.at(self.spans, settings_place));
        }
    }

    /// Checks settings of another node type, of which some may be missing.
    fn nested(
        &mut self,
        nested: &NestedSettings,
        settings: &TemplateTree,
        unrendered: &Value,
        place: &Place,
    ) {
        let found = self.types.node_type(&nested.node_type).cloned();
        let Some(steps) = Place::parse(&nested.place) else {
            return;
        };
        let (Some(mut info), Some(settings), Some(unrendered)) =
            (found, settings.at(&steps), value_at(unrendered, &steps))
        else {
            return;
        };
        if let Some(schema) = info.settings_schema.as_object_mut() {
            schema.remove("required");
        }
        let place = place.within(&nested.place);
        let mut problems = (info.compile)(unrendered).problems;
        problems.extend((info.check_settings)(&settings));
        self.settings(&info, &settings, &problems, &place);
        self.own_problems(problems, &place);
    }

    /// Settings in whose settings of other nodes templates give what is wanted where they stand.
    fn fit_nested(&mut self, settings: TemplateTree, nested: &[NestedSettings]) -> TemplateTree {
        let types = self.types;
        nested.iter().fold(settings, |settings, nested| {
            let found = types
                .node_type(&nested.node_type)
                .zip(Place::parse(&nested.place));
            match found {
                Some((info, steps)) => {
                    let fit = self.fits.of(&nested.node_type, info);
                    settings.changed_at(&steps, &|inner| fit.tree(inner))
                }
                None => settings,
            }
        })
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
            None => problem.hint(format!("the types are {}", names.join(", "))),
        };
        self.report.add(problem.at(self.spans, place));
    }

    fn settings(
        &mut self,
        info: &NodeTypeInfo,
        settings: &TemplateTree,
        own: &[SettingsProblem],
        place: &Place,
    ) {
        // Said once, with the reason, and not again as an unknown key.
        let unsupported = own
            .iter()
            .filter(|problem| problem.code == SettingsProblem::UNSUPPORTED);
        let unsupported = unsupported.map(|problem| place.within(&problem.place).to_string());
        let mut settled: HashSet<String> = unsupported.chain(self.broken.iter().cloned()).collect();
        for finding in check::settings(info, settings, place, &mut settled) {
            self.report.add(finding.into_problem(self.spans));
        }
    }

    /// Reports what the node type itself found.
    fn own_problems(&mut self, problems: Vec<SettingsProblem>, place: &Place) {
        for found in problems {
            let at = place.within(&found.place);
            let problem = Problem {
                hint: found.hint,
                ..Problem::new(found.code, found.message)
            };
            self.report.add(match found.code {
                SettingsProblem::UNSUPPORTED => problem.at_key(self.spans, &at),
                _ => problem.at(self.spans, &at),
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
                report: self.report,
                broken: &mut self.broken,
            },
        )
    }
}
