//! The first step with an effect before each place of a run, by the order of the definition and never by the time at which
//! steps end.

use std::sync::OnceLock;

use dad_core::HierarchyPath;

/// The first step with an effect that was executed before a place.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    first: OnceLock<HierarchyPath>,
}

impl Effects {
    /// Starts from the step that an earlier process executed.
    pub(crate) fn after(earlier: Option<&HierarchyPath>) -> Self {
        let effects = Self::default();
        if let Some(earlier) = earlier {
            effects.note(earlier);
        }
        effects
    }

    /// The step, if there is one.
    pub(crate) fn first(&self) -> Option<&HierarchyPath> {
        self.first.get()
    }

    /// Notes that a step with an effect is executed.
    pub(crate) fn note(&self, step: &HierarchyPath) {
        self.first.get_or_init(|| step.clone());
    }

    /// The effects before one of several concurrent branches: those before all of them. The progress of the other branches is
    /// chance, and does not count.
    pub(crate) fn branch(&self) -> Self {
        Self::after(self.first())
    }
}
