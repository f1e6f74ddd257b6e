//! The targets of `$hier{…}`.

use std::fmt;

use dad_core::{ElementId, HierarchyPath};
use indexmap::IndexMap;

/// The `$hier{…}` references of one place: what was written, and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(IndexMap<String, Target>);

/// A step or component that a template refers to; of the loops around it, which iteration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Its name in the definition.
    pub path: HierarchyPath,
    /// Its name in the run, from the root down; the root's own id is the first.
    pub segments: Vec<TargetSegment>,
}

/// A segment of the path of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetSegment {
    /// An element.
    Element(ElementId),
    /// A branch of a conditional.
    Branch(bool),
    /// The iteration that the asking place is in too.
    Same,
    /// The iteration before the one that the asking place is in.
    Previous,
    /// The iteration of a number.
    Iteration(u64),
    /// The last iteration there was.
    Last,
    /// Every iteration, which makes a list of what is found.
    Every,
}

impl Target {
    /// The path in the run, if no loop stands around the step or component.
    #[must_use]
    pub fn fixed(&self) -> Option<&HierarchyPath> {
        let is_fixed =
            |segment: &TargetSegment| matches!(segment, TargetSegment::Element(_) | TargetSegment::Branch(_));
        self.segments.iter().all(is_fixed).then_some(&self.path)
    }
}

impl fmt::Display for TargetSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(id) => f.write_str(id.as_str()),
            Self::Branch(taken) => write!(f, "is_{taken}"),
            Self::Same => f.write_str("same"),
            Self::Previous => f.write_str("previous"),
            Self::Iteration(index) => write!(f, "iter_{index}"),
            Self::Last => f.write_str("last"),
            Self::Every => f.write_str("*"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            segment.fmt(f)?;
        }
        Ok(())
    }
}

impl References {
    /// The target of `$hier{name}`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Target> {
        self.0.get(name)
    }

    /// All references in the order in which they first occur.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Target)> {
        self.0.iter().map(|(name, target)| (name.as_str(), target))
    }

    /// The number of different references.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn insert(&mut self, name: &str, target: Target) {
        self.0.insert(name.to_owned(), target);
    }
}
