//! The common part of the builders of agents and flows.

use dad_core::{
    ApprovalRule, Budget, ComponentBody, Definition, DefinitionKind, Element, ElementId, ElementKind,
    ElementOptions,
};
use serde::Serialize;
use serde_json::Value;

use crate::build::rebase;
use crate::place::Place;
use crate::problem::{Problem, Problems, Report, quoted};
use crate::spans::SpanMap;
use crate::validate::validate;

/// The common part of the builders of agents and flows. Errors are kept until the end, so that all are reported at once.
#[derive(Clone, Debug, Default)]
pub struct ComponentBuilder {
    pub(crate) root_id: Option<String>,
    pub(crate) required: Vec<String>,
    pub(crate) budget: Option<Budget>,
    pub(crate) allow_protected: Vec<String>,
    pub(crate) approvals: Vec<ApprovalRule>,
    pub(crate) output: Option<Value>,
    pub(crate) body: ComponentBody,
    pub(crate) options: ElementOptions,
    pub(crate) problems: Vec<Problem>,
}

/// One of the two lists of elements.
#[derive(Clone, Copy)]
pub(crate) enum List {
    Elements,
    Finally,
}

impl ComponentBuilder {
    pub(crate) fn from_definition(definition: &Definition) -> Self {
        Self {
            root_id: definition.root_id.as_ref().map(ToString::to_string),
            required: definition.required.clone(),
            budget: definition.budget,
            allow_protected: definition.allow_protected.clone(),
            approvals: definition.approvals.clone(),
            output: definition.output.clone(),
            options: definition.options.clone(),
            body: definition.body.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn variable(&mut self, name: &str, value: &impl Serialize) {
        let place = Place::root().key("variables").key(name);
        let value = self.json(value, &place);
        if self.body.variables.insert(name.to_owned(), value).is_some() {
            let message = format!("the variable {} is defined twice", quoted(name));
            self.problems
                .push(Problem::new("duplicate_variable", message).place(&place));
        }
    }

    pub(crate) fn output(&mut self, output: &impl Serialize) {
        let output = self.json(output, &Place::root().key("output"));
        self.output = Some(output).filter(|output| !output.is_null());
    }

    fn json(&mut self, value: &impl Serialize, place: &Place) -> Value {
        serde_json::to_value(value).unwrap_or_else(|error| {
            self.problems.push(not_serialisable(&error).place(place));
            Value::Null
        })
    }

    /// Adds an element with the problems of its parts.
    pub(crate) fn element(
        &mut self,
        list: List,
        id: &str,
        kind: ElementKind,
        options: ElementOptions,
        problems: Vec<Problem>,
    ) {
        let (name, elements) = match list {
            List::Elements => ("elements", &mut self.body.elements),
            List::Finally => ("finally", &mut self.body.finally),
        };
        let place = Place::root().key(name).index(elements.len());
        self.problems.extend(rebase(problems, &place));
        let id = ElementId::new(id).or_else(|error| {
            let message = error.to_string();
            self.problems
                .push(Problem::new("invalid_id", message).place(&place.key(kind.key())));
            // Stands in for the refused one, so that the elements after it keep their numbers in other problems.
            ElementId::new(format!("refused_{}", elements.len()))
        });
        if let Ok(id) = id {
            let mut element = Element::new(id, kind);
            element.options = options;
            elements.push(element);
        }
    }

    /// Its parts as an element inside another component.
    pub(crate) fn into_element(mut self) -> (ComponentBody, ElementOptions, Vec<Problem>) {
        let root_only = [
            ("required", !self.required.is_empty()),
            ("budget", self.budget.is_some()),
            ("allow_protected", !self.allow_protected.is_empty()),
            ("approvals", !self.approvals.is_empty()),
            ("output", self.output.is_some()),
        ];
        for (key, _) in root_only.into_iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` belongs to the whole definition, not to a part of it");
            self.problems
                .push(Problem::new("unknown_key", message).place(&Place::root().key(key)));
        }
        (self.body, self.options, self.problems)
    }

    pub(crate) fn build(mut self, kind: DefinitionKind) -> Result<Definition, Problems> {
        let mut definition = Definition::new(kind);
        definition.root_id = self.root_id.take().and_then(|id| match ElementId::new(&id) {
            Ok(id) => Some(id),
            Err(error) => {
                let message = error.to_string();
                self.problems
                    .push(Problem::new("invalid_id", message).place(&Place::root().key("root_id")));
                None
            }
        });
        let ElementOptions {
            pre_events,
            post_events,
            timeout,
            ..
        } = self.options.clone();
        definition.options = ElementOptions::default();
        definition.options.pre_events = pre_events;
        definition.options.post_events = post_events;
        definition.options.timeout = timeout;
        if self.options != definition.options {
            let message = "retries, `on_error`, `reuse` and `requires_approval` belong to elements, not to the whole \
                           definition";
            self.problems.push(Problem::new("root_options", message));
        }
        definition.required = self.required;
        definition.budget = self.budget;
        definition.allow_protected = self.allow_protected;
        definition.approvals = self.approvals;
        definition.output = self.output;
        definition.body = self.body;
        let mut report = Report::default();
        for problem in self.problems {
            report.add(problem);
        }
        validate(&definition, &SpanMap::default(), &mut report);
        report.finish(&[]).map(|_| definition)
    }
}

pub(crate) fn not_serialisable(error: &serde_json::Error) -> Problem {
    Problem::new(
        "not_serialisable",
        format!("the value cannot be written as JSON: {error}"),
    )
}
