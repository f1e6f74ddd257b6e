//! Copies of arrays.

use serde_json::{Map, Value, json};

use super::describe::describe;
use super::place::Place;
use super::plain::typed;
use super::source::Form;
use super::table::{Lengths, Tuples};
use super::write::{Inside, Writer};

type Object = Map<String, Value>;

impl Writer<'_> {
    pub(super) fn array(&mut self, map: &Object, place: &Place<'_>, inside: Inside) -> Object {
        let mut copy = typed(&["array"]);
        let mut map = map.clone();
        let prefix = match map.get("prefixItems") {
            Some(Value::Array(prefix)) if !prefix.is_empty() => prefix.clone(),
            _ => Vec::new(),
        };
        let items = map.get("items").cloned();
        if prefix.is_empty() {
            match &items {
                Some(items) => {
                    let items = self.below(items, &place.key("items"), inside);
                    copy.insert("items".to_owned(), items);
                }
                None => self.refuse(
                    place,
                    "every element is allowed here: give the elements a type with `items`",
                ),
            }
        } else {
            self.tuple(&mut copy, &mut map, &prefix, place, inside);
        }
        for key in ["minItems", "maxItems"] {
            let Some(length) = map.get(key) else {
                continue;
            };
            let is_known = length.as_u64().is_some_and(|length| match self.rules.lengths {
                Lengths::UpTo(most) => length <= most,
                Lengths::NonEmpty => key == "minItems" && length <= 1,
            });
            if is_known {
                copy.insert(key.to_owned(), length.clone());
            }
        }
        describe(&mut copy, &map);
        copy
    }

    /// The elements of an array that has a schema for each position.
    fn tuple(
        &mut self,
        copy: &mut Object,
        map: &mut Object,
        prefix: &[Value],
        place: &Place<'_>,
        inside: Inside,
    ) {
        let own = place.key("prefixItems");
        let rest = map
            .remove("items")
            .filter(|rest| !matches!(self.source.form(rest), Ok(Form::Never | Form::Any)));
        match self.rules.tuples {
            Tuples::Kept => {
                let prefix: Vec<Value> = prefix
                    .iter()
                    .enumerate()
                    .map(|(index, schema)| self.below(schema, &own.index(index), inside))
                    .collect();
                copy.insert("prefixItems".to_owned(), Value::Array(prefix));
                if let Some(rest) = &rest {
                    let rest = self.below(rest, &place.key("items"), inside);
                    copy.insert("items".to_owned(), rest);
                }
            }
            Tuples::AsUnion => {
                let branches: Vec<&Value> = prefix.iter().chain(&rest).collect();
                let items = self.union(&Object::new(), &branches, &own, inside);
                copy.insert("items".to_owned(), Value::Object(items));
            }
        }
        if rest.is_none() {
            let most = map.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
            let most = most.min(prefix.len() as u64);
            map.insert("maxItems".to_owned(), json!(most));
        }
    }
}
