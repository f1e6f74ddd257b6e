//! One way of looking at settings, whether there are templates in them or not.

use serde_json::Value;

use crate::tree::TemplateTree;

/// A value of settings.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Json(&'a Value),
    Tree(&'a TemplateTree),
}

/// The kind of a value, as far as it is known before the value is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    /// Text, or text with placeholders in it.
    Text,
    List,
    Object,
    /// Exactly one placeholder, which may become anything.
    Any,
}

impl<'a> View<'a> {
    pub(super) fn of(tree: &'a TemplateTree) -> Self {
        match tree {
            TemplateTree::Literal(value) => Self::Json(value),
            other => Self::Tree(other),
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Json(Value::Null) => Kind::Null,
            Self::Json(Value::Bool(_)) => Kind::Boolean,
            Self::Json(Value::Number(number)) if number.is_f64() => Kind::Number,
            Self::Json(Value::Number(_)) => Kind::Integer,
            Self::Json(Value::String(_)) => Kind::Text,
            Self::Json(Value::Array(_)) | Self::Tree(TemplateTree::Array(_)) => Kind::List,
            Self::Json(Value::Object(_)) | Self::Tree(TemplateTree::Object(_)) => Kind::Object,
            Self::Tree(TemplateTree::Template(template)) if template.is_single_placeholder() => Kind::Any,
            Self::Tree(TemplateTree::Template(_)) => Kind::Text,
            // `of` never makes a literal; it is JSON.
            Self::Tree(TemplateTree::Fitted(..) | TemplateTree::Literal(_)) => Kind::Any,
        }
    }

    /// The value, if there is no template in it.
    pub(super) const fn literal(self) -> Option<&'a Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Tree(_) => None,
        }
    }

    pub(super) fn items(self) -> Vec<Self> {
        match self {
            Self::Json(Value::Array(items)) => items.iter().map(Self::Json).collect(),
            Self::Tree(TemplateTree::Array(items)) => items.iter().map(Self::of).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn fields(self) -> Vec<(&'a str, Self)> {
        match self {
            Self::Json(Value::Object(fields)) => fields
                .iter()
                .map(|(key, field)| (key.as_str(), Self::Json(field)))
                .collect(),
            Self::Tree(TemplateTree::Object(fields)) => fields
                .iter()
                .map(|(key, field)| (key.as_str(), Self::of(field)))
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn field(self, key: &str) -> Option<Self> {
        self.fields()
            .into_iter()
            .find(|(found, _)| *found == key)
            .map(|(_, field)| field)
    }

    /// The kind in words of messages.
    pub(super) fn describe(self) -> String {
        match (self.kind(), self.literal()) {
            (Kind::Null, _) => "nothing".to_owned(),
            (Kind::Boolean | Kind::Integer | Kind::Number, Some(value)) => format!("`{value}`"),
            (Kind::Text, Some(Value::String(text))) => format!("the text {}", crate::problem::quoted(text)),
            (Kind::Text, _) => "a text with placeholders".to_owned(),
            (Kind::List, _) => "a list".to_owned(),
            (Kind::Object, _) => "a mapping".to_owned(),
            _ => "a value".to_owned(),
        }
    }
}
