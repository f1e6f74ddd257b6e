//! Rules that hold for any definition, wherever it comes from.

use std::collections::{HashMap, HashSet};

use dad_core::{
    ApprovalRule, Budget, ComponentBody, ComponentKind, Conditional, Definition, Element, ElementKind,
    ElementOptions, ForEach, NodeDefinition, Repeat, SCHEMA_VERSION,
};
use dad_template::{Part, PlaceholderKind, Template};
use indexmap::IndexMap;
use serde_json::Value;

use crate::approvals::ReadyRule;
use crate::decode::{INCLUDE_KEYS, not_allowed};
use crate::globs::PathGlobs;
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
pub(crate) const KEYWORDS: &[&str] = &["true", "false", "null", "in"];

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
        checks.budget(budget, &root);
    }
    checks.allow_protected(&definition.allow_protected);
    checks.approvals(&definition.approvals);
    if let Some(output) = &definition.output {
        checks.value(output, &root.key("output"), 1);
    }
    checks.options(&definition.options, &root);
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

    fn allow_protected(&mut self, globs: &[String]) {
        let list = Place::root().key("allow_protected");
        for (index, glob) in globs.iter().enumerate() {
            if let Err(reason) = PathGlobs::check(glob) {
                let message = format!("{} is no glob of paths: {reason}", quoted(glob));
                let hint = "write a path from the project root, such as `.github/workflows/**`";
                self.at(
                    &list.index(index),
                    Problem::new("wrong_value", message).hint(hint),
                );
            }
        }
    }

    fn approvals(&mut self, rules: &[ApprovalRule]) {
        let list = Place::root().key("approvals");
        for (index, rule) in rules.iter().enumerate() {
            if let Err(reason) = ReadyRule::new(rule.clone()) {
                self.at(&list.index(index), Problem::new("wrong_value", reason));
            }
        }
    }

    fn budget(&mut self, budget: &Budget, place: &Place) {
        if budget.cost.is_some_and(|cost| !cost.is_finite() || cost < 0.0) {
            let message = "the cost of a budget must be a positive number of US dollars";
            self.at(
                &place.key("budget").key("cost"),
                Problem::new("wrong_value", message),
            );
        }
    }

    fn body(&mut self, body: &ComponentBody, kind: ComponentKind, place: &Place, depth: usize) {
        self.variables(&body.variables, place, depth);
        let mut seen: HashMap<String, String> = HashMap::new();
        for (key, list) in [("elements", &body.elements), ("finally", &body.finally)] {
            self.elements(list, kind, &place.key(key), depth, &mut seen);
        }
    }

    fn variables(&mut self, variables: &IndexMap<String, Value>, place: &Place, depth: usize) {
        let place = place.key("variables");
        for (name, value) in variables {
            let place = place.key(name);
            if let Some(problem) = refused_name(name) {
                self.at_key(&place, problem);
            }
            self.value(value, &place, depth + 2);
        }
    }

    /// Elements of a list; `seen` holds the ids of their siblings in other lists.
    fn elements(
        &mut self,
        list: &[Element],
        inside: ComponentKind,
        place: &Place,
        depth: usize,
        seen: &mut HashMap<String, String>,
    ) {
        for (index, element) in list.iter().enumerate() {
            let place = place.index(index);
            self.unique(element, &place, seen);
            self.element(element, inside, &place, depth + 2);
        }
    }

    fn unique(&mut self, element: &Element, place: &Place, seen: &mut HashMap<String, String>) {
        let id = element.id.as_str();
        let Some(other) = seen.insert(id.to_ascii_lowercase(), id.to_owned()) else {
            return;
        };
        let problem = if other == id {
            let message = format!("the id `{id}` occurs twice among its siblings");
            Problem::new("duplicate_id", message).hint("give one of the two another id")
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
            ElementKind::Callback(callback) => self.object(&callback.args, &place.key("args"), depth),
            ElementKind::Flow(body) | ElementKind::Subflow(body) => {
                self.body(body, ComponentKind::Flow, place, depth);
            }
            ElementKind::Subagent(body) => self.body(body, ComponentKind::Agent, place, depth),
            ElementKind::Conditional(conditional) => self.conditional(conditional, place, depth),
            ElementKind::ForEach(for_each) => self.for_each(for_each, place, depth),
            ElementKind::Repeat(repeat) => self.repeat(repeat, place, depth),
            ElementKind::Parallel(_) => {}
            // A kind that dad-core has learned and this crate has not.
            other => {
                let message = format!("`{}` is not supported yet in this version", other.key());
                self.at_key(&place.key(other.key()), Problem::new("unsupported_key", message));
            }
        }
        if let ElementKind::Flow(_) | ElementKind::Subflow(_) | ElementKind::Subagent(_) = element.kind {
            return;
        }
        for (key, list) in element.kind.lists() {
            // Each list is executed alone: both branches may have a step of one id.
            self.elements(list, inside, &place.key(key), depth, &mut HashMap::new());
        }
    }

    fn conditional(&mut self, conditional: &Conditional, place: &Place, depth: usize) {
        self.variables(&conditional.variables, place, depth);
        self.boolean(&conditional.statement, &place.key("statement"));
    }

    fn for_each(&mut self, for_each: &ForEach, place: &Place, depth: usize) {
        self.variables(&for_each.variables, place, depth);
        let statement = place.key("statement");
        // Null stands for one that is missing, which was reported when the file was read.
        if !matches!(
            for_each.statement,
            Value::Array(_) | Value::String(_) | Value::Null
        ) {
            let message = "what is looped over must be a list, or a template of a list or `range`";
            self.at(&statement, Problem::new("wrong_type", message));
        }
        self.no_text(&for_each.statement, "what is looped over,", "a list", &statement);
        self.value(&for_each.statement, &statement, depth + 1);
        self.names(
            &[
                ("item_var", &for_each.item_var),
                ("index_var", &for_each.index_var),
            ],
            place,
        );
        if for_each.item_var == for_each.index_var {
            let message = "item and number need different names";
            self.at(
                &place.key("index_var"),
                Problem::new("duplicate_variable", message),
            );
        }
        if !(for_each.start_index.is_i64()
            || for_each.start_index.is_u64()
            || for_each.start_index.is_string())
        {
            let message = "the first number must be a whole number, or a template of one";
            self.at(&place.key("start_index"), Problem::new("wrong_type", message));
        }
        if for_each.max_concurrency == 0 {
            let message = "at least one iteration must be able to run";
            self.at(
                &place.key("max_concurrency"),
                Problem::new("wrong_value", message),
            );
        }
        if let Some(until) = &for_each.until {
            self.boolean(until, &place.key("until"));
            if for_each.max_concurrency > 1 {
                let message = "`until` decides after each iteration, so they must run one after the other";
                let hint = "leave out `until` or `max_concurrency`";
                self.at_key(
                    &place.key("until"),
                    Problem::new("concurrent_until", message).hint(hint),
                );
            }
        }
    }

    fn repeat(&mut self, repeat: &Repeat, place: &Place, depth: usize) {
        self.variables(&repeat.variables, place, depth);
        self.boolean(&repeat.until, &place.key("until"));
        self.names(&[("index_var", &repeat.index_var)], place);
        if repeat.max_iterations == 0 {
            let message = "there must be at least one pass";
            self.at(&place.key("max_iterations"), Problem::new("wrong_value", message));
        }
    }

    /// A condition: a boolean or a template.
    fn boolean(&mut self, value: &Value, place: &Place) {
        // Null: as above.
        if !matches!(value, Value::Bool(_) | Value::String(_) | Value::Null) {
            let message = "a condition must be `true`, `false` or a template that becomes one of them";
            self.at(place, Problem::new("wrong_type", message));
        }
        self.no_text(value, "the condition", "true or false", place);
    }

    /// Refuses a text that can only be a text: a template is the value of its placeholder only where nothing stands around
    /// it.
    fn no_text(&mut self, value: &Value, what: &str, wanted: &str, place: &Place) {
        let Value::String(text) = value else { return };
        // A template that cannot be parsed is reported when it is compiled.
        let Ok(template) = Template::parse(text) else {
            return;
        };
        if template.is_single_placeholder() {
            return;
        }
        let message = format!("{what} {} can only be a text, never {wanted}", quoted(text));
        let inside = text.trim();
        let alone = Template::parse(inside).is_ok_and(|template| template.is_single_placeholder());
        let hint = match (alone, as_expression(&template)) {
            (true, _) => format!("leave out the blanks around it: `{inside}`"),
            (false, Some(expression)) => format!("write all of it as one expression: `{expression}`"),
            (false, None) => {
                format!("write one placeholder that is {wanted}: `$var{{NAME}}`, `$expr{{ … }}`")
            }
        };
        self.at(place, Problem::new("wrong_type", message).hint(hint));
    }

    fn names(&mut self, names: &[(&str, &str)], place: &Place) {
        for (key, name) in names {
            if let Some(problem) = refused_name(name) {
                self.at(&place.key(key), problem);
            }
        }
    }

    fn object(&mut self, value: &Value, place: &Place, depth: usize) {
        if !value.is_object() {
            let message = "it must be an object";
            self.at(place, Problem::new("wrong_type", message));
        }
        self.value(value, place, depth + 1);
    }

    fn node(&mut self, node: &NodeDefinition, place: &Place, depth: usize) {
        self.object(&node.settings, &place.key("settings"), depth);
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
        if let Some(budget) = &options.budget {
            self.budget(budget, place);
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
    (!is_variable_name(name)).then(|| {
        let message = format!(
            "{} is not the name of a variable; it is made of letters of any script, digits and `_` and does not begin \
             with a digit",
            quoted(name)
        );
        Problem::new("invalid_name", message)
    })
}

/// As templates read a name.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A text with placeholders as one placeholder, if that is what was meant: it can be parsed.
fn as_expression(template: &Template) -> Option<String> {
    if template.source().contains("$$") {
        return None;
    }
    let mut expression = String::new();
    for part in template.parts() {
        match part {
            Part::Text { text, .. } => expression += text,
            Part::Placeholder(placeholder) if placeholder.kind() == PlaceholderKind::Expression => {
                let inside = placeholder.source().strip_prefix("$expr{")?.strip_suffix('}')?;
                expression += &format!("({})", inside.trim());
            }
            Part::Placeholder(placeholder) => expression += placeholder.source(),
        }
    }
    let expression = format!("$expr{{ {} }}", expression.trim());
    let parsed = Template::parse(&expression).ok()?;
    parsed.is_single_placeholder().then_some(expression)
}
