//! The subjects of questions: the values that the templates of the asking step or component read. A re-run reuses an answer
//! only for the same subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dad_core::HierarchyPath;
use dad_definition::TemplateTree;
use dad_events::QuestionKind;
use dad_run::Subject;
use dad_run::driver::About;
use dad_run::reuse::Normaliser;
use dad_template::{PathSegment, Reference, ReferenceKind, Scope, Template};
use serde_json::{Value, json};

use crate::ask::asker::{AskedIn, Asker, open_variables};
use crate::render::evaluate::Evaluator;
use crate::render::scope::{Frame, Place, PlaceScope};
use crate::session::Session;

/// The means to find the subjects of questions.
#[derive(Clone, Copy)]
pub(crate) struct Subjects<'a> {
    pub(crate) asked_in: AskedIn<'a>,
    pub(crate) evaluator: Evaluator<'a>,
    pub(crate) normaliser: &'a Normaliser,
    pub(crate) salt: &'a str,
}

impl Session {
    pub(crate) fn subjects(&self) -> Subjects<'_> {
        Subjects {
            asked_in: self.asked_in(),
            evaluator: self.evaluator(),
            normaliser: &self.normaliser,
            salt: self.driver.salt(),
        }
    }
}

impl Subjects<'_> {
    /// The subject of the question for the input of a step or component. `around` has the variables around it; the root has
    /// none.
    pub(crate) fn of(&self, asker: Asker<'_>, path: &HierarchyPath, around: Option<&Arc<Frame>>) -> Subject {
        let items = around.map(|frame| frame.items()).unwrap_or_default();
        let items = items
            .into_iter()
            .map(|item| self.normaliser.value(&json_of(item)));
        let about = About::default()
            .schema(self.schema(asker))
            .items(items.collect())
            .reads(self.reads(asker, path, around));
        Subject::new(self.salt, QuestionKind::Input, path, &about)
    }

    /// The shape of the answer; the variables of a prompt are a part of it.
    fn schema(&self, asker: Asker<'_>) -> Value {
        let schema = asker.schema(&self.asked_in);
        match asker {
            Asker::Node(node) if !node.prompt_variables.is_empty() => {
                let names: Vec<&String> = node.prompt_variables.keys().collect();
                json!({ "schema": schema, "variables": names })
            }
            _ => schema,
        }
    }

    /// The values that the templates read, without those that the answer gives.
    fn reads(
        &self,
        asker: Asker<'_>,
        path: &HierarchyPath,
        around: Option<&Arc<Frame>>,
    ) -> BTreeMap<String, Value> {
        let (id, references) = match asker {
            Asker::Node(node) => (&node.id, &node.references),
            Asker::Component(component) => (&component.id, &component.references),
        };
        let frame = around.cloned().unwrap_or_else(|| self.root_frame(path));
        let component = path.parent().unwrap_or_else(|| path.clone());
        let place = Place {
            id,
            path,
            component: &component,
        };
        let Evaluator { run, cache } = self.evaluator;
        let scope = PlaceScope::new(run, cache, &frame, references, place);
        let given = self.given_by_answer(asker);
        let templates = templates(asker);
        let mut reads = BTreeMap::new();
        for reference in templates.iter().flat_map(|template| template.references()) {
            let is_answer = reference.kind == ReferenceKind::Variable && given.contains(&reference.name);
            if is_answer || PLACES.contains(&&*reference.name) {
                continue;
            }
            if let Some(value) = read(&scope, reference) {
                reads.insert(name_of(reference), self.normaliser.value(&value));
            }
        }
        reads
    }

    /// The variables that the answer gives.
    fn given_by_answer(&self, asker: Asker<'_>) -> BTreeSet<String> {
        match asker {
            Asker::Node(node) => node.prompt_variables.keys().cloned().collect(),
            Asker::Component(component) => open_variables(component, &self.asked_in)
                .into_iter()
                .map(|(name, _)| name)
                .collect(),
        }
    }

    /// The variables that those of the root see: those that the run was given.
    fn root_frame(&self, path: &HierarchyPath) -> Arc<Frame> {
        let given = self.asked_in.given.iter();
        let given = given.map(|(name, value)| (name.clone(), value.clone().into()));
        Arc::new(Frame::new(path, given.collect(), None))
    }
}

/// Variables that name the place of a step, which is a part of the question already, without the numbers of iterations.
const PLACES: [&str; 3] = ["element_id", "element_hier_path", "component_hier_path"];

fn templates(asker: Asker<'_>) -> Vec<&Template> {
    let trees: Vec<&TemplateTree> = match asker {
        Asker::Node(node) => {
            let prepared = node.prepared.as_ref().map(|prepared| &prepared.values);
            std::iter::once(&node.settings).chain(prepared).collect()
        }
        Asker::Component(component) => component
            .variables
            .iter()
            .map(|variable| &variable.value)
            .collect(),
    };
    let templates = trees.into_iter().flat_map(TemplateTree::templates);
    templates.map(|(_, template)| template).collect()
}

/// The value of a reference; `None` if it is not defined, which rendering reports with more detail.
fn read(scope: &PlaceScope<'_>, reference: &Reference) -> Option<Value> {
    let found = match reference.kind {
        ReferenceKind::Variable => scope.variable(&reference.name),
        ReferenceKind::Hier => scope.step(&reference.name),
    };
    let value = json_of(&found.ok().flatten()?);
    let value = match (reference.kind, &reference.path[..]) {
        (ReferenceKind::Hier, [] | [PathSegment::Index(_)]) => lasting(value),
        _ => value,
    };
    Some(at(value, &reference.path))
}

/// The part of a value at a path, as far as the path leads in it.
fn at(mut value: Value, path: &[PathSegment]) -> Value {
    for segment in path {
        value = match (segment, value) {
            (PathSegment::Key(key), Value::Object(mut fields)) => fields.remove(key).unwrap_or_default(),
            (PathSegment::Index(index), Value::Array(mut items)) => match position(*index, items.len()) {
                Some(position) => items.swap_remove(position),
                None => Value::Null,
            },
            (_, value) => return value,
        };
    }
    value
}

fn position(index: i64, len: usize) -> Option<usize> {
    let from_end = || len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    let position = match index {
        0.. => usize::try_from(index).ok(),
        _ => from_end(),
    };
    position.filter(|position| *position < len)
}

/// The fields of whole results that stay the same when a step executes again and does the same: no times, attempts or costs.
fn lasting(value: Value) -> Value {
    const FIELDS: [&str; 8] = [
        "execution_status",
        "input",
        "settings",
        "output",
        "outcome",
        "error",
        "iterations",
        "branch",
    ];
    match value {
        Value::Array(items) => items.into_iter().map(lasting).collect(),
        Value::Object(mut fields) if fields.contains_key("execution_status") => {
            fields.retain(|name, _| FIELDS.contains(&name.as_str()));
            Value::Object(fields)
        }
        value => value,
    }
}

/// A reference as an author writes it.
fn name_of(reference: &Reference) -> String {
    let sigil = match reference.kind {
        ReferenceKind::Variable => "var",
        ReferenceKind::Hier => "hier",
    };
    let mut name = format!("${sigil}{{{}}}", reference.name);
    for segment in &reference.path {
        match segment {
            PathSegment::Key(key) => name.extend([".", key]),
            PathSegment::Index(index) => name += &format!("[{index}]"),
        }
    }
    name
}

/// The value as JSON; as its text if it has no JSON, such as a number beyond the range of JSON.
fn json_of(value: &dad_template::Value) -> Value {
    value.to_json().unwrap_or_else(|_| value.to_text().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_far_as_its_path_leads() {
        let value = json!({ "outcome": { "results": [{ "stdout": "a" }, { "stdout": "b" }], "text": "t" } });
        let read = |template: &str| {
            let template = Template::parse(template).unwrap();
            let reference = template.references()[0].clone();
            (name_of(&reference), at(value.clone(), &reference.path))
        };
        assert_eq!(
            read("$expr{$hier{x}.outcome.results[-1].stdout}"),
            ("$hier{x}.outcome.results[-1].stdout".to_owned(), json!("b"))
        );
        assert_eq!(read("$expr{$hier{x}.outcome.results[2]}").1, json!(null));
        assert_eq!(read("$expr{$hier{x}.outcome.text.upper()}").1, json!("t"));
        assert_eq!(read("$expr{$hier{x}.outcome.none}").1, json!(null));
        assert_eq!(read("$expr{x}").0, "$var{x}");
    }

    #[test]
    fn times_and_costs_of_whole_results_do_not_count() {
        let result = |at: &str, text: &str| json!([{ "execution_status": "completed", "started_at": at, "attempt": 1, "outcome": { "text": text } }]);
        assert_eq!(lasting(result("1", "a")), lasting(result("2", "a")));
        assert_ne!(lasting(result("1", "a")), lasting(result("1", "b")));
    }
}
