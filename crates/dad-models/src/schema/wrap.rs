//! The object that a schema is put into whose root is none.

use serde_json::{Map, Value};

use super::merge::kinds;
use super::source::{Form, Source};

/// The only property of the object.
pub(super) const WRAPPER: &str = "value";

/// The root of a schema, without references and conjunctions, if it is an object without alternatives.
pub(super) fn object_root(source: &Source<'_>) -> Option<Map<String, Value>> {
    match source.body(source.root()) {
        Ok(Form::Plain(root)) => {
            let is_object =
                kinds(&root) == ["object"] && !root.contains_key("enum") && !root.contains_key("const");
            is_object.then(|| {
                let mut root = root.into_owned();
                for key in ["$defs", "definitions"] {
                    root.remove(key);
                }
                root.entry("type").or_insert_with(|| "object".into());
                root
            })
        }
        _ => None,
    }
}
