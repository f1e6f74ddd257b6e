//! The frame of a whole definition: its keys, format and kind.

use crate::decode::Cx;
use crate::decode::fields::{Fields, word};
use crate::decode::options::{OPTION_KEYS, ROOT_OPTION_KEYS};
use crate::problem::Problem;
use crate::value::Data;
use dad_core::{DefinitionKind, SCHEMA_VERSION};

/// Keys of the root only.
pub(crate) const ROOT_KEYS: &[&str] = &[
    "schema_version",
    "kind",
    "root_id",
    "required",
    "budget",
    "allow_protected",
    "approvals",
    "output",
];

/// Keys of agents and flows at every depth.
pub(crate) const BODY_KEYS: &[&str] = &[
    "description",
    "io_description",
    "variables",
    "elements",
    "finally",
];

/// Takes format and kind. `None` for a format that cannot be read; an unknown kind, which is reported, is `Some(None)`.
pub(super) fn header(fields: &mut Fields<'_>, cx: &mut Cx) -> Option<Option<DefinitionKind>> {
    schema_version(fields, cx).then(|| kind(fields, cx))
}

/// Reports what does not belong to a whole definition.
pub(super) fn finish_root(fields: Fields<'_>, cx: &mut Cx) {
    let known = ROOT_KEYS.iter().chain(ROOT_OPTION_KEYS).chain(BODY_KEYS);
    let known: Vec<&str> = known.copied().collect();
    fields.finish(&known, refused_at_root, cx);
}

fn refused_at_root(key: &str) -> Option<Problem> {
    (OPTION_KEYS.contains(&key) && !ROOT_KEYS.contains(&key)).then(|| {
        let problem = Problem::new(
            "unknown_key",
            format!("`{key}` belongs to an element, not to the whole definition"),
        );
        problem.hint("give it to the elements that it is meant for")
    })
}

/// Whether the format is one that can be read at all; of a newer one nothing else would be worth reporting.
fn schema_version(fields: &mut Fields<'_>, cx: &mut Cx) -> bool {
    let Some((tree, place)) = fields.take("schema_version") else {
        fields.missing(
            "schema_version",
            &format!("write `schema_version: {SCHEMA_VERSION}`"),
            cx,
        );
        return true;
    };
    let version = match &tree.data {
        Data::Number(number) => number.as_u64(),
        _ => None,
    };
    match version {
        Some(version) if version > u64::from(SCHEMA_VERSION) => {
            let message = format!(
                "the definition has the schema version {version}, this program reads up to {SCHEMA_VERSION}"
            );
            let hint = format!("install a newer version of dhenara that reads schema version {version}");
            cx.at(&place, Problem::new("newer_schema_version", message).hint(hint));
            false
        }
        Some(1..) => true,
        _ => {
            cx.wrong_type(&place, &format!("the number `{SCHEMA_VERSION}`"), tree);
            true
        }
    }
}

fn kind(fields: &mut Fields<'_>, cx: &mut Cx) -> Option<DefinitionKind> {
    const KINDS: [(&str, DefinitionKind); 2] =
        [("agent", DefinitionKind::Agent), ("flow", DefinitionKind::Flow)];
    match fields.take("kind") {
        Some((tree, place)) => word(tree, &place, &KINDS, cx),
        None => {
            fields.missing("kind", "write `kind: agent` or `kind: flow`", cx);
            None
        }
    }
}
