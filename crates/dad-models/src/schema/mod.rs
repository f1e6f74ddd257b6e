//! Schemas fitted to the providers.
//!
//! The schema of a user stays whole and validates each answer; a transformed copy is sent. [`table`] has the rules of the
//! providers with their sources; [`source`] reads a schema, [`write`](mod@write) and the modules by types apply the rules.
//! Constraints that a provider does not know become a part of the description. A schema with a part that the provider cannot
//! express at all, as keys that are not named or values without a type, is sent as it is, and not enforced.
//!
//! Two steps are undone in the answer ([`restore`]): a property that was made required and nullable, because the provider
//! knows no other optional properties, and an object around a schema whose root is none.

mod arrays;
mod choices;
mod describe;
mod kinds;
mod lenient;
mod limits;
mod merge;
mod nulls;
mod objects;
mod place;
mod plain;
mod references;
mod restore;
mod source;
mod table;
mod values;
mod wrap;
mod write;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use kinds::Strictness;
pub(crate) use kinds::{Dialect, Fitted, Unfit};

use restore::Restorer;
use source::{Source, check_depth};
use table::{Root, Rules, Unenforced};
use wrap::{WRAPPER, object_root};
use write::Written;

/// Fits a schema to a provider.
///
/// # Errors
/// With [`Strictness::Always`], if the provider cannot enforce the schema. Otherwise only if the schema is nested so deeply
/// that it cannot be sent at all.
pub(crate) fn fit(schema: &Value, dialect: Dialect, strictness: Strictness) -> Result<Fitted, Unfit> {
    fit_into(dialect.rules().root, schema, dialect, strictness)
}

/// Fits the schema of a tool's arguments to a provider: they are an object everywhere.
///
/// # Errors
/// As for [`fit`].
pub(crate) fn fit_arguments(
    schema: &Value,
    dialect: Dialect,
    strictness: Strictness,
) -> Result<Fitted, Unfit> {
    fit_into(Root::Object, schema, dialect, strictness)
}

fn fit_into(root: Root, schema: &Value, dialect: Dialect, strictness: Strictness) -> Result<Fitted, Unfit> {
    let rules = dialect.rules();
    let source = Source::new(schema).map_err(|reason| Unfit {
        pointer: String::new(),
        reason,
    })?;
    let is_always_written = rules.unenforced == Unenforced::Copy;
    if strictness == Strictness::Never && !is_always_written {
        return Ok(Fitted {
            schema: lenient::copy(&source),
            strict: false,
        });
    }
    let (copy, unfit) = written(&source, rules, root);
    match unfit {
        Some(unfit) if strictness == Strictness::Always => Err(unfit),
        Some(_) if !is_always_written => Ok(Fitted {
            schema: lenient::copy(&Source::new(schema).map_err(|reason| Unfit {
                pointer: String::new(),
                reason,
            })?),
            strict: false,
        }),
        unfit => Ok(Fitted {
            schema: copy,
            strict: unfit.is_none() && strictness != Strictness::Never,
        }),
    }
}

/// Checks the limits that a provider sets to all strict schemas of a request together: of its tools and of its output.
///
/// # Errors
/// If they exceed one. The request can be sent with [`Strictness::Never`] for some of the schemas.
pub(crate) fn fit_together<'f>(
    fitted: impl IntoIterator<Item = &'f Fitted>,
    dialect: Dialect,
) -> Result<(), Unfit> {
    let strict = fitted.into_iter().filter(|fitted| fitted.strict);
    let schemas = strict.map(|fitted| &fitted.schema);
    limits::exceeded_together(schemas, dialect.rules().limits).map_or(Ok(()), |reason| {
        Err(Unfit {
            pointer: String::new(),
            reason,
        })
    })
}

/// Brings an answer to the copy of a schema back to the form of the schema itself.
pub(crate) fn restore(answer: Value, schema: &Value, dialect: Dialect) -> Value {
    restore_from(dialect.rules().root, answer, schema)
}

/// Brings an answer back to the form of its schema, whichever copy of it the provider was sent: without each `null` that stands for a
/// property that was left out, and out of the object around a schema whose root is none.
///
/// ```
/// use dad_models::internal::restore_answer;
/// use serde_json::json;
///
/// let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "string" } } });
/// assert_eq!(restore_answer(json!({ "a": 1, "b": null }), &schema), json!({ "a": 1 }));
/// ```
#[must_use]
pub fn restore_answer(answer: Value, schema: &Value) -> Value {
    restore_from(Root::Object, answer, schema)
}

/// Brings arguments for the copy of a schema back to the form of the schema itself.
pub(crate) fn restore_arguments(arguments: Value, schema: &Value) -> Value {
    restore_from(Root::Object, arguments, schema)
}

fn restore_from(root: Root, answer: Value, schema: &Value) -> Value {
    let Ok(source) = Source::new(schema) else {
        return answer;
    };
    // Servers answer as they like: only what can be walked is.
    if check_depth(&answer).is_err() {
        return answer;
    }
    source.make_room_for(&answer);
    let is_wrapped = root == Root::Object && object_root(&source).is_none();
    let mut answer = match answer {
        Value::Object(mut wrapper) if is_wrapped && wrapper.len() == 1 => match wrapper.remove(WRAPPER) {
            Some(value) => value,
            None => Value::Object(wrapper),
        },
        answer => answer,
    };
    Restorer { source: &source }.clean(&mut answer, schema, 0);
    answer
}

/// The copy by the rules, and the first place that the provider cannot enforce.
fn written(source: &Source<'_>, rules: &'static Rules, root: Root) -> (Value, Option<Unfit>) {
    let mut copy = write::write(source, rules);
    let is_wrapped = root == Root::Object && object_root(source).is_none();
    if is_wrapped {
        wrap(&mut copy);
    }
    let unfit = copy.unfit.take().map(|unfit| Unfit {
        pointer: existing(source.root(), unfit.pointer),
        ..unfit
    });
    let unfit = unfit.or_else(|| {
        limits::exceeded(&copy, rules.limits).map(|reason| Unfit {
            pointer: String::new(),
            reason,
        })
    });
    let mut root = copy.root;
    if !copy.definitions.is_empty() {
        root.insert("$defs".to_owned(), Value::Object(copy.definitions));
    }
    (Value::Object(root), unfit)
}

/// The nearest place that exists: a place of a merged schema may exist only in one of its parts.
fn existing(schema: &Value, mut pointer: String) -> String {
    while schema.pointer(&pointer).is_none() {
        let end = pointer.rfind('/').unwrap_or_default();
        pointer.truncate(end);
    }
    pointer
}

fn wrap(copy: &mut Written) {
    let inner = std::mem::take(&mut copy.root);
    copy.root = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), json!({ WRAPPER: inner })),
        ("required".to_owned(), json!([WRAPPER])),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
}
