//! From a tree with places to a [`Definition`], reporting everything that does not belong there.

mod approvals;
mod component;
mod control;
mod cx;
mod definition;
mod element;
mod fields;
mod options;
mod root;
mod used;
mod values;

pub(crate) use cx::Cx;
pub(crate) use element::{allowed_elements, not_allowed};
pub(crate) use values::INCLUDE_KEYS;

use dad_core::Definition;

use crate::value::Tree;

/// Decodes a whole document. `None` if no definition could be made; what is wrong is reported.
pub(crate) fn decode(tree: &Tree, cx: &mut Cx) -> Option<Definition> {
    definition::definition(tree, cx)
}
