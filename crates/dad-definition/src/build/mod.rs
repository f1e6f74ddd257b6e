//! Definitions made in Rust: the second spelling of what files say.

mod agent;
mod component;
mod control;
mod flow;
mod node;

pub use agent::AgentBuilder;
pub use control::{
    CallbackBuilder, ConditionalBuilder, Elements, ForEachBuilder, ParallelBuilder, RepeatBuilder,
};
pub use flow::FlowBuilder;
pub use node::NodeBuilder;

use crate::place::Place;
use crate::problem::Problem;

/// Moves problems of a part to where the part stands.
fn rebase(problems: Vec<Problem>, place: &Place) -> impl Iterator<Item = Problem> {
    problems.into_iter().map(move |problem| {
        let inner = Place::from_text(problem.path.clone().unwrap_or_default());
        problem.place(&place.join(&inner))
    })
}

/// Methods of everything that can be an element.
macro_rules! element_methods {
    ($($inner:ident)?) => {
        /// Publishes events before it executes; `node_input_required` asks for the input of a node,
        /// `component_input_required` for that of a component.
        pub fn pre_events(mut self, events: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self$(.$inner)?.options.pre_events.extend(events.into_iter().map(Into::into));
            self
        }

        /// Publishes custom events after it.
        pub fn post_events(mut self, events: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self$(.$inner)?.options.post_events.extend(events.into_iter().map(Into::into));
            self
        }

        /// Sets the longest time that one attempt may take.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self$(.$inner)?.options.timeout = Some(timeout);
            self
        }

        /// Repeats failed attempts.
        pub fn retry(mut self, retry: dad_core::RetryPolicy) -> Self {
            self$(.$inner)?.options.retry = Some(retry);
            self
        }

        /// Sets what its failure means for the component around it.
        pub fn on_error(mut self, on_error: dad_core::OnError) -> Self {
            self$(.$inner)?.options.on_error = on_error;
            self
        }

        /// Sets whether a re-run may take its result from the previous run.
        pub fn reuse(mut self, reuse: dad_core::Reuse) -> Self {
            self$(.$inner)?.options.reuse = reuse;
            self
        }

        /// Limits what a node may consume, all its attempts together.
        pub fn limited_to(mut self, budget: dad_core::Budget) -> Self {
            self$(.$inner)?.options.budget = Some(budget);
            self
        }

        /// Asks a person for approval before it executes.
        pub fn requires_approval(mut self) -> Self {
            self$(.$inner)?.options.requires_approval = true;
            self
        }
    };
}

/// Methods of agents and flows.
macro_rules! component_methods {
    () => {
        element_methods!(inner);

        /// Describes it for people.
        pub fn description(mut self, description: impl Into<String>) -> Self {
            self.inner.body.description = Some(description.into());
            self
        }

        /// Describes for people what goes in and comes out.
        pub fn io_description(mut self, description: impl Into<String>) -> Self {
            self.inner.body.io_description = Some(description.into());
            self
        }

        /// Adds a variable. Strings in its value are templates, which see the variables added before.
        pub fn variable(mut self, name: &str, value: impl serde::Serialize) -> Self {
            self.inner.variable(name, &value);
            self
        }

        /// Adds variables that must be given from outside. Only for the root.
        pub fn required(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.inner
                .required
                .extend(names.into_iter().map(Into::into));
            self
        }

        /// Limits what the run may consume. Only for the root.
        pub fn budget(mut self, budget: dad_core::Budget) -> Self {
            self.inner.budget = Some(budget);
            self
        }

        /// Lets steps change files that tools obey without a person starting the tool: globs of paths from the project root. Only
        /// for the root.
        pub fn allow_protected(mut self, globs: impl IntoIterator<Item = impl Into<String>>) -> Self {
            let globs = globs.into_iter().map(Into::into);
            self.inner.allow_protected.extend(globs);
            self
        }

        /// Adds rules that decide about steps and calls of tools, or have a person asked. Only for the root.
        pub fn approvals(mut self, rules: impl IntoIterator<Item = dad_core::ApprovalRule>) -> Self {
            self.inner.approvals.extend(rules);
            self
        }

        /// Adds a choice between two branches.
        pub fn conditional(mut self, id: &str, conditional: crate::ConditionalBuilder) -> Self {
            self.inner.add(id, conditional.into_element());
            self
        }

        /// Adds a loop over a list or range.
        pub fn for_each(mut self, id: &str, for_each: crate::ForEachBuilder) -> Self {
            self.inner.add(id, for_each.into_element());
            self
        }

        /// Adds a loop that ends by a condition.
        pub fn repeat(mut self, id: &str, repeat: crate::RepeatBuilder) -> Self {
            self.inner.add(id, repeat.into_element());
            self
        }

        /// Adds elements that may run at the same time and may not refer to each other.
        pub fn parallel(mut self, id: &str, group: impl Into<crate::ParallelBuilder>) -> Self {
            self.inner.add(id, group.into().into_element());
            self
        }

        /// Adds a call of a registered function.
        pub fn callback(mut self, id: &str, callback: crate::CallbackBuilder) -> Self {
            self.inner.add(id, callback.into_element());
            self
        }

        /// Adds elements that are executed at the end, however the others ended: those of a builder, such as a callback or a loop.
        pub fn finally(mut self, elements: impl crate::Elements) -> Self {
            self.inner.finally(elements);
            self
        }

        /// Sets the run's own result, a template or a value with templates in it. Only for the root.
        pub fn output(mut self, output: impl serde::Serialize) -> Self {
            self.inner.output(&output);
            self
        }
    };
}

pub(crate) use {component_methods, element_methods};
