//! Which steps of a re-run come after one with an effect: by the order of the definition, never by which ends first.

use std::sync::OnceLock;

use dad_core::HierarchyPath;

/// The first step with an effect that was executed before a place.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    first: OnceLock<HierarchyPath>,
}

impl Effects {
    /// Begins with what an earlier process executed.
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

    /// For one of several branches that execute at the same time. It comes after what was executed before them, and not
    /// after what the others do meanwhile: how far they are is chance.
    pub(crate) fn branch(&self) -> Self {
        Self::after(self.first())
    }
}
