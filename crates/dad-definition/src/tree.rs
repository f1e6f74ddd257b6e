//! Values with templates in them, and their rendering.

use std::sync::Arc;

use dad_core::Digest;
use dad_template::{EvalError, Limits, Scope, Template};
use serde_json::{Map, Value};

use crate::fit::Fit;
use crate::place::{Place, Step};

/// A JSON value whose strings are templates. A closed set.
#[derive(Clone, Debug)]
pub enum TemplateTree {
    /// A value without a template in it; escapes are already undone.
    Literal(Value),
    /// A text with at least one placeholder.
    Template(Template),
    /// A text that is one placeholder, where a text is wanted: how its value is made one.
    Fitted(Template, Arc<Fit>),
    /// A list with at least one template in it.
    Array(Vec<Self>),
    /// An object with at least one template in it; keys are never templates.
    Object(Vec<(String, Self)>),
}

/// A template of a [`TemplateTree`] that could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
#[non_exhaustive]
pub struct TreeError {
    /// Its place in the tree, such as `operations[0].path`; empty for the tree itself.
    pub pointer: String,
    /// The text of the template.
    pub template: String,
    /// The error of the template.
    #[source]
    pub source: RenderError,
}

/// Why a template gives no JSON value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// It cannot be evaluated.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// JSON cannot hold its value, for example an infinite number.
    #[error(transparent)]
    Json(#[from] dad_template::ToJsonError),
}

impl RenderError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Eval(error) => error.code(),
            Self::Json(_) => "template_value",
        }
    }
}

impl TreeError {
    fn text(&self) -> String {
        match self.pointer.as_str() {
            "" => "cannot evaluate the template".to_owned(),
            pointer => format!("cannot evaluate `{pointer}`"),
        }
    }
}

impl TemplateTree {
    /// The value with every template evaluated once. A text that is exactly one placeholder keeps the type of its
    /// value.
    ///
    /// # Errors
    /// [`TreeError`] names the first template that fails.
    pub fn render(&self, scope: &dyn Scope, limits: &Limits) -> Result<Value, TreeError> {
        self.render_at(scope, limits, &Place::root())
    }

    /// The value as templates have it: of a text that is exactly one placeholder without a detour over JSON, so that
    /// large values are shared and a range stays one.
    ///
    /// # Errors
    /// [`TreeError`] names the first template that fails.
    pub fn evaluate(&self, scope: &dyn Scope, limits: &Limits) -> Result<dad_template::Value, TreeError> {
        match self {
            Self::Literal(value) => Ok(value.into()),
            Self::Template(template) if template.is_single_placeholder() => {
                template.evaluate(scope, limits).map_err(|error| TreeError {
                    pointer: String::new(),
                    template: template.source().to_owned(),
                    source: error.into(),
                })
            }
            _ => self.render(scope, limits).map(Into::into),
        }
    }

    fn render_at(&self, scope: &dyn Scope, limits: &Limits, place: &Place) -> Result<Value, TreeError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Template(template) => evaluated(template, scope, limits, place),
            Self::Fitted(template, fit) => Ok(fit.fitted(evaluated(template, scope, limits, place)?)),
            Self::Array(items) => {
                let rendered = items.iter().enumerate();
                rendered
                    .map(|(index, item)| item.render_at(scope, limits, &place.index(index)))
                    .collect()
            }
            Self::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (key, field) in fields {
                    object.insert(key.clone(), field.render_at(scope, limits, &place.key(key))?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// The value with the texts of its templates in their places.
    #[must_use]
    pub fn unrendered(&self) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Template(template) | Self::Fitted(template, _) => template.source().into(),
            Self::Array(items) => items.iter().map(Self::unrendered).collect(),
            Self::Object(fields) => {
                let fields = fields.iter();
                Value::Object(
                    fields
                        .map(|(key, field)| (key.clone(), field.unrendered()))
                        .collect(),
                )
            }
        }
    }

    /// The part at steps into it.
    pub(crate) fn at(&self, steps: &[Step]) -> Option<Self> {
        let Some((step, rest)) = steps.split_first() else {
            return Some(self.clone());
        };
        match (self, step) {
            (Self::Object(fields), Step::Key(key)) => fields.iter().find(|(name, _)| name == key)?.1.at(rest),
            (Self::Array(items), Step::Index(index)) => items.get(*index)?.at(rest),
            (Self::Literal(value), _) => value_at(value, steps).cloned().map(Self::Literal),
            _ => None,
        }
    }

    /// The same with something else in the place of what stands at steps into it.
    pub(crate) fn changed_at(self, steps: &[Step], change: &dyn Fn(Self) -> Self) -> Self {
        let Some((step, rest)) = steps.split_first() else {
            return change(self);
        };
        match (self, step) {
            (Self::Object(fields), Step::Key(key)) => {
                let fields = fields.into_iter().map(|(name, field)| {
                    if name == *key {
                        (name, field.changed_at(rest, change))
                    } else {
                        (name, field)
                    }
                });
                Self::Object(fields.collect())
            }
            (Self::Array(items), Step::Index(index)) => {
                let items = items.into_iter().enumerate().map(|(at, item)| {
                    if at == *index {
                        item.changed_at(rest, change)
                    } else {
                        item
                    }
                });
                Self::Array(items.collect())
            }
            (other, _) => other,
        }
    }

    /// Whether there is no template in it.
    #[must_use]
    pub const fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// The templates in it with their places, in order.
    #[must_use]
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let mut found = Vec::new();
        self.collect(&Place::root(), &mut found);
        found
            .into_iter()
            .map(|(place, template)| (place.to_string(), template))
            .collect()
    }

    /// The templates in it that come to texts, whatever their placeholders are.
    pub(crate) fn texts<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Template(template) if !template.is_single_placeholder() => found.push(template),
            Self::Fitted(template, _) => found.push(template),
            Self::Literal(_) | Self::Template(_) => {}
            Self::Array(items) => items.iter().for_each(|item| item.texts(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, field)| field.texts(found)),
        }
    }

    pub(crate) fn collect<'a>(&'a self, place: &Place, found: &mut Vec<(Place, &'a Template)>) {
        match self {
            Self::Literal(_) => {}
            Self::Template(template) | Self::Fitted(template, _) => found.push((place.clone(), template)),
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.collect(&place.index(index), found);
                }
            }
            Self::Object(fields) => {
                for (key, field) in fields {
                    field.collect(&place.key(key), found);
                }
            }
        }
    }
}

/// The part at steps into a value.
pub(crate) fn value_at<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
    })
}

/// The part at steps into a value, to be changed.
pub(crate) fn value_at_mut<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
    })
}

fn evaluated(
    template: &Template,
    scope: &dyn Scope,
    limits: &Limits,
    place: &Place,
) -> Result<Value, TreeError> {
    evaluate(template, scope, limits).map_err(|source| TreeError {
        pointer: place.as_str().to_owned(),
        template: template.source().to_owned(),
        source,
    })
}

fn evaluate(template: &Template, scope: &dyn Scope, limits: &Limits) -> Result<Value, RenderError> {
    if template.is_single_placeholder() {
        Ok(template.evaluate(scope, limits)?.to_json()?)
    } else {
        Ok(Value::String(template.render(scope, limits)?))
    }
}

/// The digest of something that is already JSON.
pub(crate) fn digest_of(value: &impl serde::Serialize) -> Digest {
    // Definitions have only text as keys and finite numbers, so they always serialise.
    Digest::of_json(&serde_json::to_value(value).unwrap_or_default())
}
