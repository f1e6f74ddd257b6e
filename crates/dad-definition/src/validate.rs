//! What must hold of any definition, wherever it comes from.

use std::collections::{HashMap, HashSet};

use dad_core::{
    Budget, ComponentBody, ComponentKind, Definition, Element, ElementKind, ElementOptions, NodeDefinition,
    SCHEMA_VERSION,
};
use serde_json::Value;

use crate::decode::{INCLUDE_KEYS, not_allowed};
use crate::place::Place;
use crate::problem::{Problem, Report, quoted};
use crate::program::component_kind;
use crate::spans::SpanMap;
use crate::value::{MAX_DEPTH, MAX_KEY};

/// Variables that every run defines and nothing may shadow.
pub const RUN_VARIABLES: &[&str] = &[
    "run_id",
    "run_dir",
    "run_root",
    "effective_run_root",
    "project_root",
    "static_inputs_dir",
    "environment",
    "element_id",
    "element_hier_path",
    "component_hier_path",
];

/// Words of the template language.
const KEYWORDS: &[&str] = &["true", "false", "null", "in"];

/// Reports everything that is wrong with a definition without knowing the node types.
pub(crate) fn validate(definition: &Definition, spans: &SpanMap, report: &mut Report) {
    let mut checks = Checks { spans, report };
    let root = Place::root();
    if definition.schema_version != SCHEMA_VERSION {
        let found = definition.schema_version;
        let message = format!(
            "the definition has the schema version {found}, this program works with {SCHEMA_VERSION}"
        );
        checks.at(
            &root.key("schema_version"),
            Problem::new("schema_version", message),
        );
    }
    checks.required(definition);
    if let Some(budget) = &definition.budget {
        checks.budget(budget);
    }
    if let Some(output) = &definition.output {
        checks.value(output, &root.key("output"), 1);
    }
    checks.body(&definition.body, component_kind(definition.kind), &root, 0);
}

struct Checks<'a> {
    spans: &'a SpanMap,
    report: &'a mut Report,
}

impl Checks<'_> {
    fn at(&mut self, place: &Place, problem: Problem) {
        self.report.add(problem.at(self.spans, place));
    }

    fn at_key(&mut self, place: &Place, problem: Problem) {
        self.report.add(problem.at_key(self.spans, place));
    }

    fn required(&mut self, definition: &Definition) {
        let list = Place::root().key("required");
        let mut seen = HashSet::new();
        for (index, name) in definition.required.iter().enumerate() {
            let place = list.index(index);
            if let Some(problem) = refused_name(name) {
                self.at(&place, problem);
            } else if !seen.insert(name) {
                let message = format!("the variable {} is required twice", quoted(name));
                self.at(&place, Problem::new("duplicate_variable", message));
            } else if definition.body.variables.contains_key(name) {
                let message = format!(
                    "the variable {} is required and has a value as well",
                    quoted(name)
                );
                let hint = "leave it out of `required` to make its value a default";
                self.at(&place, Problem::new("duplicate_variable", message).hint(hint));
            }
        }
    }

    fn budget(&mut self, budget: &Budget) {
        if budget.cost.is_some_and(|cost| !cost.is_finite() || cost < 0.0) {
            let message = "the cost of a budget must be a positive number of US dollars";
            self.at(
                &Place::root().key("budget").key("cost"),
                Problem::new("wrong_value", message),
            );
        }
    }

    fn body(&mut self, body: &ComponentBody, kind: ComponentKind, place: &Place, depth: usize) {
        let variables = place.key("variables");
        for (name, value) in &body.variables {
            let place = variables.key(name);
            if let Some(problem) = refused_name(name) {
                self.at_key(&place, problem);
            }
            self.value(value, &place, depth + 2);
        }
        let mut seen: HashMap<String, String> = HashMap::new();
        for (list, elements) in [("elements", &body.elements), ("finally", &body.finally)] {
            for (index, element) in elements.iter().enumerate() {
                let place = place.key(list).index(index);
                self.unique(element, &place, &mut seen);
                self.element(element, kind, &place, depth + 2);
            }
        }
    }

    fn unique(&mut self, element: &Element, place: &Place, seen: &mut HashMap<String, String>) {
        let id = element.id.as_str();
        let Some(other) = seen.insert(id.to_ascii_lowercase(), id.to_owned()) else {
            return;
        };
        let problem = if other == id {
            Problem::new(
                "duplicate_id",
                format!("the id `{id}` occurs twice among its siblings"),
            )
        } else {
            let message = format!("the ids `{other}` and `{id}` differ only in case");
            Problem::new("duplicate_id", message)
                .hint("ids are names of directories, which some systems compare without case")
        };
        self.at(&place.key(element.kind.key()), problem);
    }

    fn element(&mut self, element: &Element, inside: ComponentKind, place: &Place, depth: usize) {
        if depth >= MAX_DEPTH {
            let message = format!("elements are nested more than {} levels deep", MAX_DEPTH / 2);
            self.at(place, Problem::new("too_deep", message));
            return;
        }
        if let Some(problem) = not_allowed(element.kind.key(), inside) {
            self.at_key(&place.key(element.kind.key()), problem);
        }
        self.options(&element.options, place);
        match &element.kind {
            ElementKind::Node(node) => self.node(node, place, depth),
            ElementKind::Flow(body) | ElementKind::Subflow(body) => {
                self.body(body, ComponentKind::Flow, place, depth);
            }
            ElementKind::Subagent(body) => self.body(body, ComponentKind::Agent, place, depth),
            // A kind that dad-core has learned and this crate has not.
            other => {
                let message = format!("`{}` is not supported yet in this version", other.key());
                self.at_key(&place.key(other.key()), Problem::new("unsupported_key", message));
            }
        }
    }

    fn node(&mut self, node: &NodeDefinition, place: &Place, depth: usize) {
        let settings = place.key("settings");
        if !node.settings.is_object() {
            self.at(
                &settings,
                Problem::new("wrong_type", "the settings of a node must be an object"),
            );
        }
        self.value(&node.settings, &settings, depth + 1);
    }

    fn options(&mut self, options: &ElementOptions, place: &Place) {
        for (key, events) in [
            ("pre_events", &options.pre_events),
            ("post_events", &options.post_events),
        ] {
            for (index, event) in events
                .iter()
                .enumerate()
                .filter(|(_, event)| !is_identifier(event))
            {
                let message = format!(
                    "{} is not the name of an event; it is made of letters, digits and `_`",
                    quoted(event)
                );
                self.at(
                    &place.key(key).index(index),
                    Problem::new("invalid_name", message),
                );
            }
        }
        if options.timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.at(
                &place.key("timeout"),
                Problem::new("wrong_value", "a timeout must be longer than nothing"),
            );
        }
        if let Some(retry) = &options.retry {
            let place = place.key("retry");
            if retry.max_attempts == 0 {
                let message = "there must be at least one attempt";
                self.at(&place.key("max_attempts"), Problem::new("wrong_value", message));
            }
            if retry.initial_delay > retry.max_delay {
                let message = "the first pause is longer than the longest";
                self.at(&place.key("initial_delay"), Problem::new("wrong_value", message));
            }
        }
    }

    fn value(&mut self, value: &Value, place: &Place, depth: usize) {
        if depth > MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} levels deep");
            self.at(place, Problem::new("too_deep", message));
            return;
        }
        match value {
            Value::String(text) if text.contains('\0') => {
                self.at(
                    place,
                    Problem::new("nul", "a text must not contain a NUL character"),
                );
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &place.index(index), depth + 1);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    if key.len() > MAX_KEY {
                        let message =
                            format!("a key has at most {MAX_KEY} bytes, this one has {}", key.len());
                        self.at(place, Problem::new("key_too_long", message));
                    }
                    if INCLUDE_KEYS.contains(&key.as_str()) {
                        let message = format!("`{key}` is followed only in files");
                        let hint = "read the file in Rust, or with `include_str!`";
                        self.at(
                            &place.key(key),
                            Problem::new("include_not_possible", message).hint(hint),
                        );
                    }
                    self.value(field, &place.key(key), depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// Why a text cannot be the name of a variable.
fn refused_name(name: &str) -> Option<Problem> {
    if RUN_VARIABLES.contains(&name) {
        let message = format!("`{name}` is a variable of every run and cannot be defined again");
        return Some(Problem::new("reserved_variable", message).hint("choose another name"));
    }
    if KEYWORDS.contains(&name) {
        return Some(Problem::new(
            "invalid_name",
            format!("`{name}` is a word of the template language"),
        ));
    }
    (!is_identifier(name)).then(|| {
        let message = format!(
            "{} is not the name of a variable; it is made of letters, digits and `_` and does not begin with a digit",
            quoted(name)
        );
        Problem::new("invalid_name", message)
    })
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
