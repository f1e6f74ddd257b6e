//! Outlines of source files, and source files without comments.

use super::language::Language;
use super::{ContentExclusion, StructureDetailLevel};
use dad_runner::Stop;

/// Makes outlines; keeps what is dear to make.
pub(super) struct Outliner<'a> {
    #[cfg(feature = "outline")]
    trees: super::syntax::Trees<'a>,
    #[cfg(feature = "outline")]
    level: StructureDetailLevel,
    #[cfg(not(feature = "outline"))]
    _stop: std::marker::PhantomData<&'a Stop>,
}

#[cfg(feature = "outline")]
impl<'a> Outliner<'a> {
    pub(super) fn new(level: StructureDetailLevel, stop: &'a Stop) -> Self {
        Self {
            trees: super::syntax::Trees::new(stop),
            level,
        }
    }

    /// The outline of a text, `None` if its language is not known.
    pub(super) fn outline(
        &mut self,
        language: Option<Language>,
        text: &str,
    ) -> Result<Option<String>, &'static str> {
        let Some(language) = language.filter(|language| language.grammar().is_some()) else {
            return Ok(None);
        };
        let tree = self
            .trees
            .of(language, text)
            .ok_or("the file is too intricate for an outline")?;
        let outline = super::syntax::outline(language, &tree, text, self.level);
        if outline.trim().is_empty() && tree.root_node().has_error() {
            Err("the file is not of the language that its name says")
        } else {
            Ok(Some(outline))
        }
    }

    /// A text without what is to be left out. Of a language that is not known, only blank lines are.
    pub(super) fn strip(
        &mut self,
        language: Option<Language>,
        text: String,
        exclusions: &[ContentExclusion],
    ) -> String {
        if exclusions.is_empty() {
            return text;
        }
        let tree = language.and_then(|language| Some((language, self.trees.of(language, &text)?)));
        match tree {
            Some((language, tree)) => super::strip::strip(language, &tree, &text, exclusions),
            None => without_blank_lines(text, exclusions),
        }
    }
}

#[cfg(not(feature = "outline"))]
impl<'a> Outliner<'a> {
    pub(super) fn new(_: StructureDetailLevel, _: &'a Stop) -> Self {
        Self {
            _stop: std::marker::PhantomData,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "with a grammar it may fail")]
    pub(super) fn outline(&mut self, _: Option<Language>, _: &str) -> Result<Option<String>, &'static str> {
        Ok(None)
    }

    pub(super) fn strip(
        &mut self,
        _: Option<Language>,
        text: String,
        exclusions: &[ContentExclusion],
    ) -> String {
        without_blank_lines(text, exclusions)
    }
}

fn without_blank_lines(text: String, exclusions: &[ContentExclusion]) -> String {
    if !exclusions.contains(&ContentExclusion::BlankLines) {
        return text;
    }
    text.split_inclusive('\n')
        .filter(|line| !line.trim().is_empty())
        .collect()
}
