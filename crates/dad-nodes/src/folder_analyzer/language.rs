//! The languages whose files are understood.

use std::ffi::OsStr;
use std::path::Path;

/// A language with comments and outlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
}

impl Language {
    /// The language of a file by the end of its name.
    pub(super) fn of(name: &OsStr) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "rs" => Self::Rust,
            "py" | "pyi" => Self::Python,
            "js" | "jsx" | "mjs" | "cjs" => Self::JavaScript,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            _ => return None,
        })
    }
}

#[cfg(feature = "outline")]
impl Language {
    /// Its grammar, if the feature that brings it is on.
    pub(super) fn grammar(self) -> Option<tree_sitter::Language> {
        match self {
            #[cfg(feature = "outline-rust")]
            Self::Rust => Some(tree_sitter_rust::LANGUAGE.into()),
            #[cfg(not(feature = "outline-rust"))]
            Self::Rust => None,
            #[cfg(feature = "outline-python")]
            Self::Python => Some(tree_sitter_python::LANGUAGE.into()),
            #[cfg(not(feature = "outline-python"))]
            Self::Python => None,
            #[cfg(feature = "outline-javascript")]
            Self::JavaScript => Some(tree_sitter_javascript::LANGUAGE.into()),
            #[cfg(not(feature = "outline-javascript"))]
            Self::JavaScript => None,
            #[cfg(feature = "outline-typescript")]
            Self::TypeScript => Some(tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into()),
            #[cfg(feature = "outline-typescript")]
            Self::Tsx => Some(tree_sitter_typescript::LANGUAGE_TSX.into()),
            #[cfg(not(feature = "outline-typescript"))]
            Self::TypeScript | Self::Tsx => None,
        }
    }
}
