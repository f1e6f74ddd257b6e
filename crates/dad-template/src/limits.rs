//! Limits of an evaluation, and the counters that enforce them.

use crate::error::EvalError;

/// The limits of parsing and evaluating one template.
///
/// The defaults are far above what a definition written in good faith needs, and low enough that the worst
/// template ends within a second or two and below 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Units of work: a node of an expression visited, an element looked at, 128 bytes of text scanned.
    pub steps: u64,
    /// Bytes that may be allocated in all during one evaluation, counted before each allocation and never
    /// given back.
    pub bytes: u64,
    /// The largest depth of evaluation (operators, calls of lambdas), and of a resulting value.
    pub depth: u32,
    /// The longest source of a template, in bytes.
    pub source_bytes: usize,
    /// The largest number of pieces (text pieces, placeholders, nodes of expressions) of one template.
    pub nodes: usize,
}

impl Limits {
    /// The default limits: 5 million steps, 24 MiB, 100 levels, 8 MiB of source, 100 000 nodes.
    pub const DEFAULT: Limits = Limits {
        steps: 5_000_000,
        bytes: 24 << 20,
        depth: 100,
        source_bytes: 8 << 20,
        nodes: 100_000,
    };

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another number of bytes.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same with another depth; at most 128, as the native stack of a thread is small.
    #[must_use]
    pub fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth.min(128);
        self
    }

    /// The same with another longest source.
    #[must_use]
    pub fn with_source_bytes(mut self, source_bytes: usize) -> Self {
        self.source_bytes = source_bytes;
        self
    }

    /// The same with another number of nodes.
    #[must_use]
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The consumption of an evaluation up to now, in the units of [`Limits`].
///
/// Never above the limits: a charge that would exceed one is refused before the work or allocation is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Units of work done.
    pub steps: u64,
    /// Bytes allocated.
    pub bytes: u64,
    /// The deepest nesting that was reached.
    pub depth: u32,
}

/// Counts what an evaluation costs.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) depth: u32,
}

/// The bytes that one element of a list costs: a value and the slack of a vector that grows.
pub(crate) const ELEMENT: u64 = 48;
/// The bytes that one entry of an object or set costs.
pub(crate) const ENTRY: u64 = 128;

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Meter {
            limits: *limits,
            counters: Counters::default(),
            depth: 0,
        }
    }

    /// Pays for `n` units of work.
    #[inline]
    pub(crate) fn steps(&mut self, n: u64) -> Result<(), EvalError> {
        let steps = self.counters.steps.saturating_add(n);
        if steps > self.limits.steps {
            return Err(too_many_steps(self.limits.steps));
        }
        self.counters.steps = steps;
        Ok(())
    }

    /// Pays for looking at `n` bytes of text.
    #[inline]
    pub(crate) fn scan(&mut self, n: usize) -> Result<(), EvalError> {
        self.steps(n as u64 / 128 + 1)
    }

    /// Pays for going through `n` bytes of text character by character.
    #[inline]
    pub(crate) fn walk(&mut self, n: usize) -> Result<(), EvalError> {
        self.steps(n as u64 / 16 + 1)
    }

    /// Pays for allocating `n` bytes, and for the time to fill them.
    #[inline]
    pub(crate) fn alloc(&mut self, n: u64) -> Result<(), EvalError> {
        let bytes = self.counters.bytes.saturating_add(n);
        if bytes > self.limits.bytes {
            return Err(too_many_bytes(self.limits.bytes));
        }
        self.counters.bytes = bytes;
        self.steps(n / 512)
    }

    /// Pays for a text of `n` bytes.
    #[inline]
    pub(crate) fn text(&mut self, n: usize) -> Result<(), EvalError> {
        self.alloc((n as u64).saturating_add(32))
    }

    /// Pays for a list of `n` elements.
    #[inline]
    pub(crate) fn elements(&mut self, n: u64) -> Result<(), EvalError> {
        self.alloc(n.saturating_mul(ELEMENT).saturating_add(32))
    }

    /// Pays for an object or set of `n` entries.
    #[inline]
    pub(crate) fn entries(&mut self, n: u64) -> Result<(), EvalError> {
        self.alloc(n.saturating_mul(ENTRY).saturating_add(64))
    }

    /// Goes one level down; [`Meter::leave`] comes back up.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), EvalError> {
        if self.depth >= self.limits.depth {
            return Err(EvalError::limit(format!(
                "the expression nests deeper than {} levels",
                self.limits.depth
            )));
        }
        self.depth += 1;
        self.counters.depth = self.counters.depth.max(self.depth);
        Ok(())
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}

#[cold]
fn too_many_steps(limit: u64) -> EvalError {
    EvalError::limit(format!("the template needs more than {limit} steps"))
}

#[cold]
fn too_many_bytes(limit: u64) -> EvalError {
    EvalError::limit(format!("the template needs more than {limit} bytes"))
}
