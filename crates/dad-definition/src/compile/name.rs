//! The names inside `$hier{…}`.

use std::fmt;

use dad_core::Segment;

use crate::problem::{Problem, quoted};

/// A name: the ids of components and a step, behind loops which iteration.
#[derive(Debug)]
pub(super) struct Name<'n> {
    pub(super) parts: Vec<Part<'n>>,
}

#[derive(Debug)]
pub(super) struct Part<'n> {
    /// An id, or `is_true`, `is_false`.
    pub(super) id: &'n str,
    /// The iteration that is said behind it.
    pub(super) iteration: Option<Iteration>,
}

/// An iteration as a name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Iteration {
    /// `previous`
    Previous,
    /// `last`
    Last,
    /// `*`
    Every,
    /// `iter_N`
    Index(u64),
}

impl Iteration {
    fn parse(segment: &str) -> Option<Self> {
        match segment {
            "previous" => Some(Self::Previous),
            "last" => Some(Self::Last),
            "*" => Some(Self::Every),
            _ => match Segment::of(segment) {
                Segment::Iteration(index) => Some(Self::Index(index)),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Iteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous => f.write_str("previous"),
            Self::Last => f.write_str("last"),
            Self::Every => f.write_str("*"),
            Self::Index(index) => write!(f, "iter_{index}"),
        }
    }
}

impl<'n> Name<'n> {
    /// Takes a name apart. Whether its ids are ids is found out when they are looked up.
    pub(super) fn parse(name: &'n str) -> Result<Self, Box<Problem>> {
        let mut parts: Vec<Part<'n>> = Vec::new();
        for segment in name.split('.') {
            let Some(iteration) = Iteration::parse(segment) else {
                parts.push(Part {
                    id: segment,
                    iteration: None,
                });
                continue;
            };
            match parts.last_mut() {
                Some(part) if part.iteration.is_none() => part.iteration = Some(iteration),
                _ => {
                    let message = format!("in {} `{iteration}` does not stand behind a loop", quoted(name));
                    let problem = Problem::new("invalid_reference", message);
                    return Err(problem
                        .hint(format!("write the loop's id before it: `LOOP.{iteration}.STEP`"))
                        .into());
                }
            }
        }
        Ok(Self { parts })
    }

    /// The ids without the iterations.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'n str> {
        self.parts.iter().map(|part| part.id)
    }
}
