//! Elements that decide what is executed, and how often.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::Element;

/// A choice between two branches.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Conditional {
    /// For people.
    pub description: Option<String>,
    /// Variables of both branches, evaluated in this order before the statement.
    pub variables: IndexMap<String, Value>,
    /// The condition: a boolean, or a template of one.
    pub statement: Value,
    /// The elements that are executed if the statement is true.
    pub true_branch: Vec<Element>,
    /// The elements that are executed otherwise.
    pub false_branch: Vec<Element>,
}

/// A loop over a list or range.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ForEach {
    /// For people.
    pub description: Option<String>,
    /// Variables of all iterations, evaluated once, in this order, before the statement.
    pub variables: IndexMap<String, Value>,
    /// The items: a list, or a template of a list or `range`.
    pub statement: Value,
    /// The variable that holds the item of an iteration.
    pub item_var: String,
    /// The variable that holds its number.
    pub index_var: String,
    /// The number of the first iteration: a whole number or a template of one.
    pub start_index: Value,
    /// The largest number of iterations.
    pub max_iterations: Option<u64>,
    /// The consequence of more items than that.
    pub on_limit: OnLimit,
    /// The largest number of iterations that run at the same time.
    pub max_concurrency: u32,
    /// Ends the loop early: a template of a boolean, evaluated after every iteration in its scope.
    pub until: Option<Value>,
    /// The elements of every iteration.
    pub body: Vec<Element>,
}

impl ForEach {
    /// The name of the variable for the item unless another is given.
    pub const ITEM_VAR: &'static str = "item";
    /// The name of the variable for the number unless another is given.
    pub const INDEX_VAR: &'static str = "index";
}

impl Default for ForEach {
    fn default() -> Self {
        Self {
            description: None,
            variables: IndexMap::new(),
            statement: Value::Array(Vec::new()),
            item_var: Self::ITEM_VAR.to_owned(),
            index_var: Self::INDEX_VAR.to_owned(),
            start_index: 0.into(),
            max_iterations: None,
            on_limit: OnLimit::default(),
            max_concurrency: 1,
            until: None,
            body: Vec::new(),
        }
    }
}

/// A loop that ends by a condition.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Repeat {
    /// For people.
    pub description: Option<String>,
    /// Variables of all passes, evaluated once, in this order, when the loop is entered.
    pub variables: IndexMap<String, Value>,
    /// Ends the loop: a boolean or a template of one, evaluated after every pass in its scope.
    pub until: Value,
    /// The variable that holds the number of a pass, from 0.
    pub index_var: String,
    /// The largest number of passes.
    pub max_iterations: u64,
    /// The consequence if the last of them does not end the loop.
    pub on_exhausted: OnExhausted,
    /// The elements of every pass.
    pub body: Vec<Element>,
}

impl Default for Repeat {
    fn default() -> Self {
        Self {
            description: None,
            variables: IndexMap::new(),
            until: true.into(),
            index_var: ForEach::INDEX_VAR.to_owned(),
            max_iterations: 1,
            on_exhausted: OnExhausted::default(),
            body: Vec::new(),
        }
    }
}

/// Elements that may run at the same time and may not refer to each other.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Parallel {
    /// For people.
    pub description: Option<String>,
    /// The branches, each one element.
    pub elements: Vec<Element>,
}

/// A function of the application, as a leaf.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Callback {
    /// The name it is registered under.
    pub function: String,
    /// The arguments: a JSON object whose strings are templates.
    pub args: Value,
}

impl Callback {
    /// A function without arguments, by the name it is registered under.
    #[must_use]
    pub fn new(function: String) -> Self {
        Self {
            function,
            args: Value::Object(Map::new()),
        }
    }
}

/// The consequence of more items than a loop may have iterations. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// The loop fails before its first iteration.
    #[default]
    Fail,
    /// The items beyond the limit are left out.
    Truncate,
}

impl OnLimit {
    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Truncate => "truncate",
        }
    }
}

/// The consequence if the last pass of a loop does not end it. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// The loop fails.
    #[default]
    Fail,
    /// The loop is completed anyway.
    Continue,
}

impl OnExhausted {
    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Continue => "continue",
        }
    }
}
