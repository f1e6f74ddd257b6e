//! Hierarchy paths, the only names of steps and components, and selectors, which abbreviate them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{ElementId, IdError, check_alphabet};
use crate::suggest::nearest;

/// The only name of a step, component, branch or iteration: the ids from the root down, joined by dots.
///
/// Besides element ids a path holds `iter_N` for iterations and `is_true`, `is_false` for branches. Every segment
/// obeys the alphabet of [`ElementId`], so the path can be used as a relative directory without further checks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HierarchyPath(Arc<str>);

/// Why a text is not a [`HierarchyPath`] or [`PathSelector`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", not_a_path(path, reason))]
#[non_exhaustive]
pub struct PathError {
    /// The refused text.
    pub path: String,
    /// Which rule the offending segment breaks.
    #[source]
    pub reason: IdError,
}

fn not_a_path(path: &str, reason: &IdError) -> String {
    if path.is_empty() {
        return format!("the path of a step or component is empty; {reason}");
    }
    format!("`{path}` is not a hierarchy path: {reason}")
}

/// One segment of a [`HierarchyPath`], recognised by its form. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// The id of an element.
    Element(&'a str),
    /// `iter_N`.
    Iteration(u64),
    /// `is_true` or `is_false`.
    Branch(bool),
}

impl Segment<'_> {
    /// The kind of a segment by its form.
    #[must_use]
    pub fn of(text: &str) -> Segment<'_> {
        match text {
            "is_true" => Segment::Branch(true),
            "is_false" => Segment::Branch(false),
            _ => match text.strip_prefix("iter_").and_then(|n| n.parse().ok()) {
                Some(index) => Segment::Iteration(index),
                None => Segment::Element(text),
            },
        }
    }
}

/// A path equals, and hashes like, its text.
impl std::borrow::Borrow<str> for HierarchyPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl HierarchyPath {
    /// The path of a root component.
    #[must_use]
    pub fn root(id: &ElementId) -> Self {
        Self(id.as_str().into())
    }

    /// The path of the element `id` below this one.
    #[must_use]
    pub fn child(&self, id: &ElementId) -> Self {
        self.join(id.as_str())
    }

    /// The path of iteration `index` below this loop.
    #[must_use]
    pub fn iteration(&self, index: u64) -> Self {
        let mut path = String::with_capacity(self.0.len() + ".iter_".len() + 20);
        path.push_str(&self.0);
        path.push_str(".iter_");
        path.push_str(&index.to_string());
        Self(path.into())
    }

    /// The path of a branch below this conditional.
    #[must_use]
    pub fn branch(&self, taken: bool) -> Self {
        self.join(if taken { "is_true" } else { "is_false" })
    }

    fn join(&self, segment: &str) -> Self {
        Self([&self.0, ".", segment].concat().into())
    }

    /// The path as dotted text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.split_leaf().1
    }

    /// The enclosing path, if there is one, and the last segment.
    fn split_leaf(&self) -> (Option<&str>, &str) {
        split_leaf(&self.0)
    }

    /// The enclosing path, `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.split_leaf().0.map(|parent| Self(parent.into()))
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The segments from the root down, each recognised by its form.
    pub fn typed_segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> {
        self.segments().map(Segment::of)
    }

    /// Whether `self` is `other` or lies below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&*other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The directory of this path relative to the run directory.
    #[must_use]
    pub fn to_relative_dir(&self) -> PathBuf {
        self.0.replace('.', std::path::MAIN_SEPARATOR_STR).into()
    }

    /// The path without iterations: the place in the definition. Branches stay, because both may have a step of one id.
    #[must_use]
    pub fn without_iterations(&self) -> Self {
        if !self.0.contains("iter_") {
            return self.clone();
        }
        let mut kept = String::with_capacity(self.0.len());
        for segment in self.segments() {
            if matches!(Segment::of(segment), Segment::Iteration(_)) {
                continue;
            }
            if !kept.is_empty() {
                kept.push('.');
            }
            kept.push_str(segment);
        }
        Self(kept.into())
    }
}

fn split_leaf(path: &str) -> (Option<&str>, &str) {
    // Paths are too short for the search that `str` does.
    match path.bytes().rposition(|byte| byte == b'.') {
        Some(dot) => (Some(&path[..dot]), &path[dot + 1..]),
        None => (None, path),
    }
}

/// The path of the component that a step or component lies in: iterations and branches are parts of one. `None` for the root.
#[must_use]
pub fn component_around(path: &str) -> Option<&str> {
    let mut around = split_leaf(path).0?;
    loop {
        let (above, leaf) = split_leaf(around);
        if matches!(Segment::of(leaf), Segment::Element(_)) {
            return Some(around);
        }
        around = above?;
    }
}

impl FromStr for HierarchyPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        check_segments(text)?;
        Ok(Self(text.into()))
    }
}

fn check_segments(text: &str) -> Result<(), PathError> {
    for segment in text.split('.') {
        check_alphabet(segment).map_err(|reason| PathError {
            path: text.to_owned(),
            reason,
        })?;
    }
    Ok(())
}

impl TryFrom<String> for HierarchyPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<HierarchyPath> for String {
    fn from(path: HierarchyPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for HierarchyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HierarchyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for HierarchyPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A path as a person writes it: any unambiguous run of trailing segments, iterations and branches left out at will.
///
/// ```
/// use dad_core::{HierarchyPath, PathSelector};
///
/// let paths: Vec<HierarchyPath> = ["root.loop.iter_0.fix", "root.loop.iter_1.fix", "root.prefix"]
///     .iter().map(|p| p.parse()).collect::<Result<_, _>>()?;
/// let selector: PathSelector = "loop.fix".parse()?;
/// assert_eq!(paths.iter().filter(|path| selector.matches(path)).count(), 2);
/// // A part of a segment never matches.
/// assert!(!"fix".parse::<PathSelector>()?.matches(&paths[2]));
/// # Ok::<(), dad_core::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathSelector(HierarchyPath);

/// Why a selector does not name exactly one path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No path matches.
    #[error("`{selector}` names no step or component{}", instead(nearest.as_deref(), known, *more))]
    Unknown {
        /// The selector.
        selector: String,
        /// The most similar path there is.
        nearest: Option<String>,
        /// The first of the paths there are.
        known: Vec<String>,
        /// The number of further candidates.
        more: usize,
    },
    /// A component matches where a step is wanted.
    #[error("`{selector}` is a component, and a step is wanted{}", within(steps, *more))]
    NotAStep {
        /// The selector.
        selector: String,
        /// The first of the steps in it.
        steps: Vec<String>,
        /// The number of further candidates.
        more: usize,
    },
    /// Several places of the definition match.
    #[error("`{selector}` is ambiguous; it may mean {}", candidates.join(", "))]
    Ambiguous {
        /// The selector.
        selector: String,
        /// Every path that matches.
        candidates: Vec<String>,
    },
}

/// The number of paths that an error names when none is near.
const MAX_NAMED: usize = 10;

fn instead(nearest: Option<&str>, known: &[String], more: usize) -> String {
    match (nearest, known, more) {
        (Some(path), ..) => format!("; did you mean `{path}`?"),
        (None, [], _) => "; there are none".to_owned(),
        (None, known, 0) => format!("; there are {}", known.join(", ")),
        (None, known, more) => format!("; there are {} and {more} more", known.join(", ")),
    }
}

fn within(steps: &[String], more: usize) -> String {
    match (steps, more) {
        ([], _) => String::new(),
        (steps, 0) => format!("; in it there are {}", steps.join(", ")),
        (steps, more) => format!("; in it there are {} and {more} more", steps.join(", ")),
    }
}

impl SelectError {
    /// That a selector names a component where one of `steps` is wanted.
    pub fn not_a_step<'a>(
        selector: &PathSelector,
        component: &HierarchyPath,
        steps: impl IntoIterator<Item = &'a HierarchyPath>,
    ) -> Self {
        let mut within = steps.into_iter().filter(|step| step.is_within(component));
        let named = within.by_ref().take(MAX_NAMED);
        Self::NotAStep {
            selector: selector.to_string(),
            steps: named.map(ToString::to_string).collect(),
            more: within.count(),
        }
    }
}

impl PathSelector {
    /// The selector as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The segments of this selector, iterations and branches among them.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.segments()
    }

    /// Whether `path` ends in the segments of this selector; iterations and branches of the path that the selector
    /// leaves out match any.
    #[must_use]
    pub fn matches(&self, path: &HierarchyPath) -> bool {
        // An iteration or branch itself is only meant by its own name.
        if self.0.leaf() != path.leaf() {
            return false;
        }
        let mut wanted = self.0.segments().rev().peekable();
        for segment in path.segments().rev() {
            match wanted.peek() {
                None => return true,
                Some(want) if *want == segment => {
                    wanted.next();
                }
                Some(_) if matches!(Segment::of(segment), Segment::Element(_)) => return false,
                Some(_) => {}
            }
        }
        wanted.peek().is_none()
    }

    /// The selector without iterations, `None` if it is made of nothing else: what it names in the definition.
    #[must_use]
    pub fn without_iterations(&self) -> Option<Self> {
        self.0.without_iterations().as_str().parse().ok()
    }

    /// The one place of the definition this selector names among `paths`. An exact match wins over suffixes.
    ///
    /// # Errors
    /// [`SelectError::Unknown`] with the nearest path, [`SelectError::Ambiguous`] with the candidates.
    pub fn select<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a HierarchyPath>,
    ) -> Result<&'a HierarchyPath, SelectError> {
        let all: Vec<&HierarchyPath> = paths.into_iter().collect();
        if let Some(exact) = all.iter().find(|path| ***path == self.0) {
            return Ok(exact);
        }
        let matching: Vec<&HierarchyPath> = all.iter().copied().filter(|path| self.matches(path)).collect();
        match matching.as_slice() {
            [one] => Ok(one),
            [] => Err(SelectError::Unknown {
                selector: self.as_str().to_owned(),
                nearest: self.nearest_among(&all),
                known: all.iter().take(MAX_NAMED).map(ToString::to_string).collect(),
                more: all.len().saturating_sub(MAX_NAMED),
            }),
            several => Err(SelectError::Ambiguous {
                selector: self.as_str().to_owned(),
                candidates: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    fn nearest_among(&self, paths: &[&HierarchyPath]) -> Option<String> {
        let wanted = self.0.leaf();
        let by_leaf = nearest(wanted, paths.iter().map(|path| path.leaf()));
        // A part of a name is what people remember of it.
        let in_leaf = || {
            paths
                .iter()
                .map(|path| path.leaf())
                .find(|leaf| leaf.contains(wanted))
        };
        let whole = || nearest(self.as_str(), paths.iter().map(|path| path.as_str()));
        match by_leaf.or_else(in_leaf) {
            Some(leaf) => paths
                .iter()
                .find(|path| path.leaf() == leaf)
                .map(ToString::to_string),
            None => whole().map(str::to_owned),
        }
    }
}

impl FromStr for PathSelector {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for PathSelector {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<PathSelector> for String {
    fn from(selector: PathSelector) -> Self {
        selector.0.into()
    }
}

impl From<HierarchyPath> for PathSelector {
    fn from(path: HierarchyPath) -> Self {
        Self(path)
    }
}

impl fmt::Display for PathSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> HierarchyPath {
        text.parse().unwrap()
    }

    fn selector(text: &str) -> PathSelector {
        text.parse().unwrap()
    }

    #[test]
    fn a_part_of_a_segment_is_no_match() {
        let paths = [path("root.main_flow.code_generator_file_ops")];
        let error = selector("ops").select(&paths).unwrap_err();
        assert!(matches!(error, SelectError::Unknown { .. }), "{error}");
        assert!(selector("file_ops").select(&paths).is_err());
        assert_eq!(
            selector("main_flow.code_generator_file_ops")
                .select(&paths)
                .unwrap(),
            &paths[0]
        );
    }

    #[test]
    fn ambiguity_lists_the_candidates() {
        let paths = [path("root.a.check"), path("root.b.check")];
        let error = selector("check").select(&paths).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`check` is ambiguous; it may mean root.a.check, root.b.check"
        );
        assert_eq!(selector("b.check").select(&paths).unwrap(), &paths[1]);
    }

    #[test]
    fn an_exact_path_wins_over_a_suffix() {
        let paths = [path("a.b"), path("root.a.b")];
        assert_eq!(selector("a.b").select(&paths).unwrap(), &paths[0]);
    }

    #[test]
    fn the_nearest_path_is_proposed() {
        let paths = [path("root.main.analysis"), path("root.main.generate")];
        let error = selector("analisys").select(&paths).unwrap_err();
        assert!(
            error.to_string().ends_with("did you mean `root.main.analysis`?"),
            "{error}"
        );
    }

    #[test]
    fn a_part_of_a_name_is_near_and_else_the_paths_are_named() {
        let paths = [path("root.main"), path("root.main.code_generator_file_ops")];
        let error =
            |text: &str, paths: &[HierarchyPath]| selector(text).select(paths).unwrap_err().to_string();
        assert_eq!(
            error("ops", &paths),
            "`ops` names no step or component; did you mean `root.main.code_generator_file_ops`?"
        );
        assert_eq!(
            error("zzz", &paths),
            "`zzz` names no step or component; there are root.main, root.main.code_generator_file_ops"
        );
        let many: Vec<_> = (0..12).map(|n| path(&format!("root.a{n}"))).collect();
        assert!(error("zzz", &many).ends_with(", root.a9 and 2 more"));
        assert_eq!(
            error("zzz", &[]),
            "`zzz` names no step or component; there are none"
        );
    }

    #[test]
    fn decisions_may_be_left_out_of_a_selector() {
        let step = path("root.loop.iter_3.check.is_true.fix");
        for text in [
            "fix",
            "check.fix",
            "loop.check.fix",
            "iter_3.check.fix",
            "is_true.fix",
            "root.loop.check.fix",
        ] {
            assert!(selector(text).matches(&step), "{text}");
        }
        assert!(!selector("check").matches(&path("root.loop.check.is_true")));
        for text in ["iter_2.check.fix", "is_false.fix", "loop.fix", "x.fix"] {
            assert!(!selector(text).matches(&step), "{text}");
        }
        assert_eq!(step.without_iterations(), path("root.loop.check.is_true.fix"));
    }

    #[test]
    fn paths_contain_no_way_out() {
        for bad in ["", ".", "..", "a..b", "a/b", "a.b/c", "a.\0", "a.con", "a\\b"] {
            assert!(bad.parse::<HierarchyPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn within_respects_segments() {
        assert!(path("a.b.c").is_within(&path("a.b")));
        assert!(path("a.b").is_within(&path("a.b")));
        assert!(!path("a.bc").is_within(&path("a.b")));
    }
}
