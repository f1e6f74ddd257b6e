//! Questions: events that a handler may answer.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use dad_core::{ComponentKind, HierarchyPath, NodeType};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::event::RunInfo;
use crate::handler::{AskFn, Asks};

/// Checks an answer; the error names the field.
pub type AnswerCheck = Box<dyn Fn(&Value) -> Result<(), String> + Send + Sync>;

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question has been answered before.
    #[error("`{0}` already has its answer")]
    AlreadyAnswered(HierarchyPath),
    /// The answer has the wrong shape.
    #[error("the answer for `{path}` does not fit: {reason}")]
    WrongShape {
        /// The step or component.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
    /// An input of the previous run that does not fit the type it was asked for.
    #[error("what `{path}` was given in the previous run does not fit the type asked for: {reason}")]
    PreviousInput {
        /// The step or component.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
    /// Settings that do not fit the type they were asked for.
    #[error("the settings of `{path}` do not fit the type asked for: {reason}")]
    Settings {
        /// The node.
        path: HierarchyPath,
        /// Which field, and what was expected.
        reason: String,
    },
}

/// The place for the one answer to a question.
struct Slot {
    check: AnswerCheck,
    answer: Mutex<Option<Value>>,
}

impl Slot {
    fn new(check: AnswerCheck) -> Self {
        Self {
            check,
            answer: Mutex::new(None),
        }
    }

    fn get(&self) -> Option<Value> {
        self.answer.lock().clone()
    }

    fn set(&self, path: &HierarchyPath, answer: impl Serialize) -> Result<(), AskError> {
        let wrong = |reason: String| AskError::WrongShape {
            path: path.clone(),
            reason,
        };
        let value = json_of(path, answer)?;
        dad_core::json::check(&value).map_err(|error| wrong(error.to_string()))?;
        (self.check)(&value).map_err(wrong)?;
        let mut slot = self.answer.lock();
        if slot.is_some() {
            return Err(AskError::AlreadyAnswered(path.clone()));
        }
        *slot = Some(value);
        Ok(())
    }
}

/// A question that handlers are asked one after the other until one answers. Only the questions of this crate are ones.
pub trait Question: Clone + Send + 'static + Sealed {
    /// The wanted answer, in words.
    const WANTED: &'static str;

    /// The step or component that asks.
    fn asker(&self) -> &HierarchyPath;

    /// The answer, if there is one.
    fn answer(&self) -> Option<Value>;
}

mod private {
    use crate::handler::{AskFn, Asks};

    pub trait Sealed: Sized {
        fn handlers(asks: &Asks) -> &[(String, AskFn<Self>)];
        fn handlers_mut(asks: &mut Asks) -> &mut Vec<(String, AskFn<Self>)>;
    }
}
pub(crate) use private::Sealed;

macro_rules! question {
    ($event:ident, $body:ident, $field:ident, $wanted:literal) => {
        impl $event {
            /// Whether the question has been answered.
            #[must_use]
            pub fn handled(&self) -> bool {
                self.answer().is_some()
            }

            /// The answer, if there is one.
            #[must_use]
            pub fn answer(&self) -> Option<Value> {
                self.0.slot.get()
            }

            /// The result of a step that the asker could refer to by `$hier{name}`; `None` if it was skipped.
            ///
            /// # Errors
            /// If there is no such step, or its result cannot be read.
            pub fn result(&self, name: &str) -> Result<Option<Value>, String> {
                self.run.reader.result(&self.path, name)
            }
        }

        impl Sealed for $event {
            fn handlers(asks: &Asks) -> &[(String, AskFn<Self>)] {
                &asks.$field
            }

            fn handlers_mut(asks: &mut Asks) -> &mut Vec<(String, AskFn<Self>)> {
                &mut asks.$field
            }
        }

        impl Question for $event {
            const WANTED: &'static str = $wanted;

            fn asker(&self) -> &HierarchyPath {
                &self.path
            }

            fn answer(&self) -> Option<Value> {
                self.answer()
            }
        }

        impl Deref for $event {
            type Target = $body;

            fn deref(&self) -> &$body {
                &self.0
            }
        }

        impl fmt::Debug for $event {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($event))
                    .field("path", &self.path)
                    .field("handled", &self.handled())
                    .finish_non_exhaustive()
            }
        }
    };
}

/// The question of a node for its input.
#[non_exhaustive]
pub struct NodeInputRequired {
    /// The run.
    pub run: Arc<RunInfo>,
    /// The node.
    pub path: HierarchyPath,
    /// Its type.
    pub node_type: NodeType,
    /// Its settings, templates not rendered.
    pub settings: Value,
    /// The input that the previous run was given, if it asked about the same item of each loop around: that run's
    /// answer does not hold for the question, because something that it is about differs.
    pub previous_input: Option<Value>,
    slot: Slot,
}

/// A node asks for its input. A cheap handle; the first [`set_input`](Self::set_input) answers.
#[derive(Clone)]
pub struct NodeInputRequiredEvent(Arc<NodeInputRequired>);

question!(NodeInputRequiredEvent, NodeInputRequired, node_input, "the input");

impl NodeInputRequiredEvent {
    /// A question; `check` refuses answers of the wrong shape.
    pub fn new(
        run: Arc<RunInfo>,
        path: HierarchyPath,
        node_type: NodeType,
        settings: Value,
        previous_input: Option<Value>,
        check: AnswerCheck,
    ) -> Self {
        Self(Arc::new(NodeInputRequired {
            run,
            path,
            node_type,
            settings,
            previous_input,
            slot: Slot::new(check),
        }))
    }

    /// Answers. Later handlers are not asked.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`], or [`AskError::WrongShape`], after which another answer can be given.
    pub fn set_input(&self, input: impl Serialize) -> Result<(), AskError> {
        self.slot.set(&self.path, input)
    }

    /// The input that the previous run was given, as the type of the input; `None` if there is nothing to offer.
    ///
    /// # Errors
    /// [`AskError::PreviousInput`] if it does not fit the type.
    pub fn previous_input<T: DeserializeOwned>(&self) -> Result<Option<T>, AskError> {
        previous_as(&self.path, self.previous_input.as_ref())
    }

    /// The node's settings as a type, templates not rendered.
    ///
    /// # Errors
    /// [`AskError::Settings`] if a field does not fit, for example because a template stands where the type has a
    /// number.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        settings_as(&self.path, self.settings.clone())
    }
}

/// The question of a component for its input.
#[non_exhaustive]
pub struct ComponentInputRequired {
    /// The run.
    pub run: Arc<RunInfo>,
    /// The component.
    pub path: HierarchyPath,
    /// The kind of the component.
    pub kind: ComponentKind,
    /// The variables that an input may give other values, as the definition has them: templates not rendered, null for
    /// those that must be given.
    pub variables: Map<String, Value>,
    /// The input that the previous run was given, as of a node.
    pub previous_input: Option<Value>,
    slot: Slot,
}

/// A component asks for its input before it is entered: values for its variables. A cheap handle; the first
/// [`set_input`](Self::set_input) answers.
#[derive(Clone)]
pub struct ComponentInputRequiredEvent(Arc<ComponentInputRequired>);

question!(
    ComponentInputRequiredEvent,
    ComponentInputRequired,
    component_input,
    "the input"
);

impl ComponentInputRequiredEvent {
    /// A question; `check` refuses answers of the wrong shape.
    pub fn new(
        run: Arc<RunInfo>,
        path: HierarchyPath,
        kind: ComponentKind,
        variables: Map<String, Value>,
        previous_input: Option<Value>,
        check: AnswerCheck,
    ) -> Self {
        Self(Arc::new(ComponentInputRequired {
            run,
            path,
            kind,
            variables,
            previous_input,
            slot: Slot::new(check),
        }))
    }

    /// Answers with `{"variables": {NAME: VALUE}}`. Later handlers are not asked.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`], or [`AskError::WrongShape`], after which another answer can be given.
    pub fn set_input(&self, input: impl Serialize) -> Result<(), AskError> {
        self.slot.set(&self.path, input)
    }

    /// The input that the previous run was given, as a type; `None` if there is nothing to offer.
    ///
    /// # Errors
    /// [`AskError::PreviousInput`] if it does not fit the type.
    pub fn previous_input<T: DeserializeOwned>(&self) -> Result<Option<T>, AskError> {
        previous_as(&self.path, self.previous_input.as_ref())
    }
}

/// The question for approval of a step or component.
#[non_exhaustive]
pub struct ApprovalRequired {
    /// The run.
    pub run: Arc<RunInfo>,
    /// The step or component.
    pub path: HierarchyPath,
    /// The type of the node; `None` for a component.
    pub node_type: Option<NodeType>,
    /// The settings of a node, or the variables of a component, with which it would execute: rendered and without secrets.
    pub settings: Value,
    /// The effects, for people: the command, the files with their differences. Empty if the settings say it all; cut
    /// if it is long.
    pub preview: String,
    /// The file with all of what it would do, if `preview` is cut.
    pub facts_file: Option<PathBuf>,
    slot: Slot,
}

/// A step that is about to execute, or a component that is about to be entered, needs a person's approval. A cheap
/// handle; the first answer counts.
#[derive(Clone)]
pub struct ApprovalRequiredEvent(Arc<ApprovalRequired>);

question!(ApprovalRequiredEvent, ApprovalRequired, approval, "the approval");

impl ApprovalRequiredEvent {
    /// A question; `check` refuses answers of the wrong shape.
    pub fn new(
        run: Arc<RunInfo>,
        path: HierarchyPath,
        node_type: Option<NodeType>,
        settings: Value,
        preview: String,
        facts_file: Option<PathBuf>,
        check: AnswerCheck,
    ) -> Self {
        Self(Arc::new(ApprovalRequired {
            run,
            path,
            node_type,
            settings,
            preview,
            facts_file,
            slot: Slot::new(check),
        }))
    }

    /// Agrees that it executes as it is.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`].
    pub fn approve(&self) -> Result<(), AskError> {
        self.set_answer(json!({ "approve": true }))
    }

    /// Agrees, and to the same in the rest of the run as well: the same step or tool with the same settings or arguments.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`].
    pub fn approve_for_run(&self) -> Result<(), AskError> {
        self.set_answer(json!({ "approve": true, "for_run": true }))
    }

    /// Refuses: the step or component fails with this reason.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`].
    pub fn deny(&self, reason: impl Into<String>) -> Result<(), AskError> {
        self.set_answer(json!({ "approve": false, "reason": reason.into() }))
    }

    /// Wants another input. What is about to be executed is worked out again with it, and is asked about again.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`], or [`AskError::WrongShape`], after which another answer can be given.
    pub fn edit_input(&self, input: impl Serialize) -> Result<(), AskError> {
        self.set_answer(json!({ "input": json_of(&self.path, input)? }))
    }

    /// Answers in the form that is recorded: `{"approve": true}`, also with `"for_run": true`, `{"approve": false, "reason": …}` or
    /// `{"input": …}`.
    ///
    /// # Errors
    /// [`AskError::AlreadyAnswered`], or [`AskError::WrongShape`], after which another answer can be given.
    pub fn set_answer(&self, answer: Value) -> Result<(), AskError> {
        self.slot.set(&self.path, answer)
    }

    /// The rendered settings as a type.
    ///
    /// # Errors
    /// [`AskError::Settings`] if a field does not fit.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        settings_as(&self.path, self.settings.clone())
    }
}

fn json_of(path: &HierarchyPath, value: impl Serialize) -> Result<Value, AskError> {
    serde_json::to_value(value).map_err(|error| AskError::WrongShape {
        path: path.clone(),
        reason: error.to_string(),
    })
}

fn previous_as<T: DeserializeOwned>(
    path: &HierarchyPath,
    previous: Option<&Value>,
) -> Result<Option<T>, AskError> {
    let typed = previous.cloned().map(serde_json::from_value).transpose();
    typed.map_err(|error| AskError::PreviousInput {
        path: path.clone(),
        reason: dad_core::internal::in_words(&error),
    })
}

/// Settings as a type.
pub(crate) fn settings_as<T: DeserializeOwned>(path: &HierarchyPath, settings: Value) -> Result<T, AskError> {
    serde_json::from_value(settings).map_err(|error| AskError::Settings {
        path: path.clone(),
        reason: dad_core::internal::in_words(&error),
    })
}
