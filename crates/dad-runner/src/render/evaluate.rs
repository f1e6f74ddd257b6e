//! The evaluation of templates: settings of steps, variables, conditions and loop items, in a run that is driven or only
//! looked at.

use std::sync::Arc;

use dad_core::json::check_recorded;
use dad_core::{ErrorInfo, HierarchyPath, OnLimit};
use dad_definition::{
    Component, Expression, ForEachLoop, NodeElement, Prepared, RenderError, TemplateTree, TreeError, Variable,
};
use dad_run::RangeBounds;
use dad_run::driver::{Items, LoopStart};
use dad_template::{Limits, Range, Value};
use serde_json::{Map, Value as Json};

use crate::render::scope::{Evidence, Frame, Place, PlaceScope, ResultCache};

/// The items of a loop.
pub(crate) struct Over {
    pub(crate) items: OverItems,
    pub(crate) start_index: i64,
}

pub(crate) enum OverItems {
    Range(Range),
    /// As they are recorded: a run sees the same before and after it is resumed.
    List(Vec<Json>),
}

impl OverItems {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Range(range) => range.len(),
            Self::List(items) => items.len() as u64,
        }
    }

    fn get(&self, iteration: u64) -> Option<Value> {
        match self {
            Self::Range(range) => range.get(iteration).map(Value::from),
            Self::List(items) => {
                let item = items.get(usize::try_from(iteration).ok()?)?;
                Some(Value::from(item.clone()))
            }
        }
    }

    fn truncate(&mut self, count: u64) {
        match self {
            Self::Range(range) => range.stop = range.get(count).unwrap_or(range.stop),
            Self::List(items) => items.truncate(usize::try_from(count).unwrap_or(usize::MAX)),
        }
    }
}

impl Over {
    pub(crate) fn recorded(start: LoopStart) -> Self {
        let items = match start.items {
            Items::Range(RangeBounds { start, stop, step }) => OverItems::Range(Range { start, stop, step }),
            Items::List(items) => match items.into_inner() {
                Json::Array(items) => OverItems::List(items),
                _ => OverItems::List(Vec::new()),
            },
        };
        Self {
            items,
            start_index: start.start_index,
        }
    }

    /// The variables of an iteration.
    pub(crate) fn variables(&self, for_each: &ForEachLoop, iteration: u64) -> Vec<(String, Value)> {
        let index = self.start_index.saturating_add_unsigned(iteration);
        let item = self.items.get(iteration).unwrap_or_default();
        vec![
            (for_each.item_var.clone(), item),
            (for_each.index_var.clone(), Value::from(index)),
        ]
    }
}

/// The variables of a component; after an error, those before the variable that it names.
pub(crate) struct EvaluatedVariables {
    pub(crate) frame: Arc<Frame>,
    pub(crate) error: Option<ErrorInfo>,
}

/// The rendered settings of a step, with the results that their templates read.
pub(crate) struct Rendered {
    pub(crate) settings: Json,
    /// The compiled form of the settings, its values rendered.
    pub(crate) prepared: Option<Prepared>,
    pub(crate) reads: Vec<String>,
}

/// Evaluates templates against the results of a run.
#[derive(Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    pub(crate) run: &'a dyn Evidence,
    pub(crate) cache: &'a ResultCache,
}

impl<'a> Evaluator<'a> {
    /// The scope of a component's expression at a place of the run.
    pub(crate) fn scope<'s>(
        &self,
        expression: &'s Expression,
        component: &'s Component,
        path: &'s HierarchyPath,
        frame: &'s Arc<Frame>,
    ) -> PlaceScope<'s>
    where
        'a: 's,
    {
        let place = Place {
            id: &component.id,
            path,
            component: path,
        };
        PlaceScope::new(self.run, self.cache, frame, &expression.references, place)
    }

    /// Renders the settings of a step. The overrides of its input are merged in afterwards: they are data, never templates.
    pub(crate) fn settings(
        &self,
        node: &NodeElement,
        path: &HierarchyPath,
        component: &HierarchyPath,
        frame: &Frame,
        input: Option<&Json>,
    ) -> Result<Rendered, ErrorInfo> {
        let none = Map::new();
        let field = |name: &str| input.and_then(|input| input.get(name));
        let place = Place {
            id: &node.id,
            path,
            component,
        };
        let mut scope = PlaceScope::new(self.run, self.cache, frame, &node.references, place);
        let given = field("prompt_variables").and_then(Json::as_object);
        scope.prompt_variables = Some(given.unwrap_or(&none));
        scope.defaults = Some(&node.prompt_variables);
        let failed = |error: TreeError| self.failed(&error, &format!("{}.settings", node.place), None);
        let mut settings = node.settings.render(&scope, &Limits::default()).map_err(failed)?;
        let render = |prepared: &Prepared<TemplateTree>| -> Result<Prepared, TreeError> {
            Ok(Prepared::new(
                Arc::clone(&prepared.found),
                prepared.values.render(&scope, &Limits::default())?,
            ))
        };
        let prepared = node.prepared.as_ref().map(render).transpose().map_err(failed)?;
        if let Some(patch) = field("settings_override") {
            json_patch::merge(&mut settings, patch);
        }
        Ok(Rendered {
            settings,
            prepared,
            reads: scope.into_reads(),
        })
    }

    /// Evaluates the variables of a component in their order; each sees those before it.
    pub(crate) fn variables(
        &self,
        component: &Component,
        path: &HierarchyPath,
        parent: Option<&Arc<Frame>>,
        given: &Map<String, serde_json::Value>,
    ) -> EvaluatedVariables {
        let mut values: Vec<(String, Value)> = given
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.clone())))
            .collect();
        for variable in component
            .variables
            .iter()
            .filter(|variable| !given.contains_key(&variable.name))
        {
            let so_far = Frame::new(path, values, parent.cloned());
            let evaluated = self.variable(variable, component, path, &so_far);
            values = so_far.into_variables();
            match evaluated {
                Ok(value) => values.push((variable.name.clone(), Value::from(value))),
                Err(error) => {
                    return EvaluatedVariables {
                        frame: Arc::new(Frame::new(path, values, parent.cloned())),
                        error: Some(error.at(path)),
                    };
                }
            }
        }
        EvaluatedVariables {
            frame: Arc::new(Frame::new(path, values, parent.cloned())),
            error: None,
        }
    }

    fn variable(
        &self,
        variable: &Variable,
        component: &Component,
        path: &HierarchyPath,
        so_far: &Frame,
    ) -> Result<Json, ErrorInfo> {
        let place = Place {
            id: &component.id,
            path,
            component: path,
        };
        let scope = PlaceScope::new(self.run, self.cache, so_far, &component.references, place);
        let named = || format!("the variable `{}`", variable.name);
        let value = variable
            .value
            .render(&scope, &Limits::default())
            .map_err(|error| {
                let place = format!("{}.variables.{}", component.place, variable.name);
                self.failed(&error, place.trim_start_matches('.'), Some(&named()))
            })?;
        check_recorded(&value).map_err(|error| {
            let message = format!("{} cannot be recorded: {error}", named());
            ErrorInfo::new(error.code(), message)
        })?;
        Ok(value)
    }

    pub(crate) fn condition(
        &self,
        name: &str,
        expression: &Expression,
        component: &Component,
        path: &HierarchyPath,
        frame: &Arc<Frame>,
    ) -> Result<bool, ErrorInfo> {
        let value = self.evaluate(name, expression, component, path, frame)?;
        value.as_bool().ok_or_else(|| {
            let message = format!("`{name}` must be true or false, it is {}", described(&value));
            ErrorInfo::new("condition", message)
                .with_hint("compare it inside the braces: `$expr{ … != null }`, `$expr{ len(…) > 0 }`")
        })
    }

    fn evaluate(
        &self,
        name: &str,
        expression: &Expression,
        component: &Component,
        path: &HierarchyPath,
        frame: &Arc<Frame>,
    ) -> Result<Value, ErrorInfo> {
        let scope = self.scope(expression, component, path, frame);
        expression
            .value
            .evaluate(&scope, &Limits::default())
            .map_err(|error| {
                let place = match component.place.as_str() {
                    "" => name.to_owned(),
                    place => format!("{place}.{name}"),
                };
                self.failed(&error, &place, Some(&format!("`{name}`")))
            })
    }

    /// The error for a template that could not be evaluated: its place in the files of the definition, the reason, and the
    /// names that exist instead.
    pub(crate) fn failed(&self, error: &TreeError, place: &str, what: Option<&str>) -> ErrorInfo {
        let separator = match error.pointer.as_str() {
            "" => "",
            pointer if pointer.starts_with('[') => "",
            _ => ".",
        };
        let place = format!("{place}{separator}{}", error.pointer);
        let (part, hint) = match &error.source {
            RenderError::Eval(error) => (error.span().range(), error.hint_text()),
            _ => (0..error.template.len(), None),
        };
        let at = self.run.scope().position(&place, &error.template, part);
        let at = at.map(|at| format!(" ({at})")).unwrap_or_default();
        let mut info = ErrorInfo::from_error("template", &error.source);
        info.message = match what {
            Some(what) => format!("cannot evaluate {what}{at}: {}", info.message),
            None => format!("{error}{at}: {}", info.message),
        };
        match hint {
            Some(hint) => info.with_hint(hint.into_owned()),
            None => info,
        }
    }

    pub(crate) fn over(
        &self,
        component: &Component,
        for_each: &ForEachLoop,
        path: &HierarchyPath,
        frame: &Arc<Frame>,
    ) -> Result<Over, ErrorInfo> {
        let start = self.evaluate("start_index", &for_each.start_index, component, path, frame)?;
        let start_index = start
            .as_i64()
            .filter(|_| start.as_bool().is_none())
            .ok_or_else(|| {
                let message = format!(
                    "`start_index` must be a whole number, it is {}",
                    described(&start)
                );
                ErrorInfo::new("condition", message)
            })?;
        let statement = self.evaluate("statement", &for_each.statement, component, path, frame)?;
        let mut items = match &statement {
            Value::Range(range) => OverItems::Range(*range),
            other => {
                let items = other.items().ok_or_else(|| {
                    let message = format!(
                        "`statement` must be a list or a range, it is {}",
                        described(other)
                    );
                    ErrorInfo::new("condition", message)
                })?;
                OverItems::List(recordable(items)?)
            }
        };
        let count = items.len();
        match (
            for_each.max_iterations.filter(|limit| count > *limit),
            for_each.on_limit,
        ) {
            (None, _) => {}
            (Some(limit), OnLimit::Truncate) => items.truncate(limit),
            (Some(limit), OnLimit::Fail) => {
                let message = format!("there are {count} items, `max_iterations` allows {limit}");
                let hint = "raise the limit, or leave the others out by `on_limit: truncate`";
                return Err(ErrorInfo::new("too_many_items", message).with_hint(hint));
            }
        }
        Ok(Over { items, start_index })
    }
}

/// The items of a loop as they are recorded.
fn recordable(items: impl Iterator<Item = Value>) -> Result<Vec<Json>, ErrorInfo> {
    let unfit = |index: usize, reason: &dyn std::fmt::Display, hint: Option<&str>| {
        let message = format!("item {index} of `statement` (the first is 0) cannot be recorded: {reason}");
        let error = ErrorInfo::new("loop_item", message);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    };
    let item = |(index, item): (usize, Value)| {
        let item = item.to_json().map_err(|error| unfit(index, &error, None))?;
        check_recorded(&item).map_err(|error| unfit(index, &error, error.hint()))?;
        Ok(item)
    };
    items.enumerate().map(item).collect()
}

fn described(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_text();
    match value {
        Value::Null => "nothing".to_owned(),
        _ if text.chars().count() > LONGEST => value.type_name().to_owned(),
        _ => format!("{} (`{text}`)", value.type_name()),
    }
}
