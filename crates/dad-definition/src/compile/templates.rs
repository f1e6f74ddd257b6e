//! Parsing the strings of a value, and finding what they refer to.

use std::collections::HashSet;

use dad_template::{ReferenceKind, Template};
use serde_json::{Map, Value};

use crate::compile::Compiler;
use crate::compile::outline::Asker;
use crate::place::Place;
use crate::problem::{Problem, Report, quoted};
use crate::reference::References;
use crate::spans::SpanMap;
use crate::tree::TemplateTree;
use crate::validate::RUN_VARIABLES;

/// The state of parsing templates.
pub(super) struct Parsing<'a> {
    pub(super) spans: &'a SpanMap,
    pub(super) report: &'a mut Report,
    pub(super) broken: &'a mut HashSet<String>,
}

/// The value with its strings as templates, and parts without any as they are.
pub(super) fn parse(value: &Value, place: &Place, cx: &mut Parsing<'_>) -> TemplateTree {
    match value {
        Value::String(text) => parse_text(text, place, cx),
        Value::Array(items) => {
            let items = items
                .iter()
                .enumerate()
                .map(|(index, item)| parse(item, &place.index(index), cx));
            let items: Vec<TemplateTree> = items.collect();
            match literals(items) {
                Ok(values) => TemplateTree::Literal(Value::Array(values)),
                Err(items) => TemplateTree::Array(items),
            }
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, field)| (key.clone(), parse(field, &place.key(key), cx)));
            let (keys, fields): (Vec<String>, Vec<TemplateTree>) = fields.unzip();
            match literals(fields) {
                Ok(values) => TemplateTree::Literal(Value::Object(keys.into_iter().zip(values).collect())),
                Err(fields) => TemplateTree::Object(keys.into_iter().zip(fields).collect()),
            }
        }
        other => TemplateTree::Literal(other.clone()),
    }
}

/// The values of trees without templates; the trees themselves if there is a template in one.
fn literals(trees: Vec<TemplateTree>) -> Result<Vec<Value>, Vec<TemplateTree>> {
    if !trees.iter().all(TemplateTree::is_literal) {
        return Err(trees);
    }
    let values = trees.into_iter().filter_map(|tree| match tree {
        TemplateTree::Literal(value) => Some(value),
        _ => None,
    });
    Ok(values.collect())
}

fn parse_text(text: &str, place: &Place, cx: &mut Parsing<'_>) -> TemplateTree {
    // Most texts are plain, and nothing but `$` begins a placeholder or an escape.
    if !text.contains('$') {
        return TemplateTree::Literal(Value::from(text));
    }
    match Template::parse(text) {
        Ok(template) => match template.as_literal() {
            Some(literal) => TemplateTree::Literal(Value::String(literal.to_string())),
            None => TemplateTree::Template(template),
        },
        Err(error) => {
            cx.broken.insert(place.to_string());
            if !cx.report.is_full() {
                let problem = Problem::new(error.code(), error.message.clone());
                let problem = problem.within(cx.spans, place, text, error.span.range());
                let as_text = as_text(text, error.span.range().start);
                cx.report.add(Problem {
                    hint: error.hint.or(as_text),
                    ..problem
                });
            }
            TemplateTree::Literal(Value::Null)
        }
    }
}

/// The right spelling of a text that only looks like a placeholder; `at` is the place of the fault.
fn as_text(text: &str, at: usize) -> Option<String> {
    let is_name = text.get(..at)?.trim_end().ends_with("$var{");
    is_name.then(|| "if it is meant as text, write `$$var{`".to_owned())
}

impl Compiler<'_> {
    /// Checks what the templates of a tree refer to, and resolves the steps among it.
    pub(super) fn references(
        &mut self,
        tree: &TemplateTree,
        place: &Place,
        asker: Asker,
        prompt_variables: &Map<String, Value>,
    ) -> References {
        let mut references = References::default();
        let mut templates = Vec::new();
        tree.collect(place, &mut templates);
        for (place, template) in templates {
            for reference in template.references() {
                if self.report.is_full() {
                    // Enough is wrong; finding names takes time.
                    return references;
                }
                let problem = match reference.kind {
                    ReferenceKind::Variable => {
                        let known = reference.guarded || self.is_known(&reference.name, prompt_variables);
                        let unknown = || {
                            if reference.called {
                                unknown_function(&reference.name)
                            } else {
                                let is_short = template.source()[reference.span.range()].starts_with("$var{");
                                let unknown =
                                    self.unknown_variable(&reference.name, prompt_variables, is_short);
                                self.with_step(unknown, &reference.name, asker)
                            }
                        };
                        (!known).then(unknown)
                    }
                    ReferenceKind::Hier if references.get(&reference.name).is_some() => None,
                    ReferenceKind::Hier => match self.outline.resolve(&reference.name, asker) {
                        Ok(target) => {
                            references.insert(&reference.name, target);
                            None
                        }
                        Err(_) if self.is_dropped(&reference.name) => None,
                        Err(problem) => Some(*problem),
                    },
                };
                if let Some(problem) = problem {
                    let span = reference.span.range();
                    self.report
                        .add(problem.within(self.spans, &place, template.source(), span));
                }
            }
        }
        references
    }

    /// Whether a name leads to something that was left out of the definition.
    fn is_dropped(&self, name: &str) -> bool {
        name.split('.').any(|segment| self.dropped.contains(segment))
    }

    fn is_known(&self, name: &str, prompt_variables: &Map<String, Value>) -> bool {
        RUN_VARIABLES.contains(&name) || prompt_variables.contains_key(name) || self.names.contains(name)
    }

    /// The problem, with the form in which the result of a step is read, if the name is that of a step and of no variable.
    fn with_step(&self, unknown: Problem, name: &str, asker: Asker) -> Problem {
        if self.declared.contains(name) || self.outline.resolve(name, asker).is_err() {
            return unknown;
        }
        unknown.hint(format!(
            "it is the name of a step, whose result is `$hier{{{name}}}`, such as `$hier{{{name}}}.outcome`"
        ))
    }

    /// `is_short` says that it is written as `$var{}`, which a text may hold by chance.
    fn unknown_variable(&self, name: &str, prompt_variables: &Map<String, Value>, is_short: bool) -> Problem {
        let names = self
            .names
            .iter()
            .chain(prompt_variables.keys().map(String::as_str));
        let names = names.chain(RUN_VARIABLES.iter().copied());
        let problem = Problem::new("unknown_variable", format!("unknown variable {}", quoted(name)));
        match dad_core::nearest(name, names) {
            _ if self.declared.contains(name) => {
                problem.hint("it is defined here, but a variable sees only those written before it")
            }
            Some(nearest) => problem.hint(format!("did you mean `{nearest}`?")),
            None => problem.hint(format!(
                "declare it in `variables` of a component around it, or in `required`; \
                 if it may be left out, write a default: `$var{{{name}:…}}` or `{name} || …`{}",
                if is_short {
                    "; if it is meant as text, write `$$var{`"
                } else {
                    ""
                }
            )),
        }
    }
}

fn unknown_function(name: &str) -> Problem {
    let problem = Problem::new("unknown_function", format!("unknown function {}", quoted(name)));
    match dad_core::nearest(name, dad_template::function_names().iter().copied()) {
        Some(nearest) => problem.hint(format!("did you mean `{nearest}`?")),
        None => problem.hint(format!("there are {}", dad_template::function_names().join(", "))),
    }
}
