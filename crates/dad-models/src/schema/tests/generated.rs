//! Schemas that no user wrote: whatever they are, nothing panics, and a copy that is sent as strict obeys the rules.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{Dialect, Strictness, fit, restore};
use super::{DIALECTS, check};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-d]".prop_map(String::from),
        Just("a/b~c".to_owned()),
        Just("$ref".to_owned()),
        Just("value".to_owned()),
        Just("$defs".to_owned()),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![12 => usual(), 1 => odd()]
}

/// Schemas as users write them.
fn usual() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({ "type": "string" })),
        Just(json!({ "type": "string", "format": "date-time", "minLength": 2 })),
        Just(json!({ "type": "string", "pattern": "^(?=a)" })),
        Just(json!({ "type": "integer", "minimum": 0, "format": "uint32" })),
        Just(json!({ "type": ["number", "null"], "default": null })),
        Just(json!({ "type": "boolean", "const": true })),
        Just(json!({ "type": "string", "const": "x", "description": "an x" })),
        Just(json!({ "const": "y" })),
        Just(json!({ "enum": [true, "a"] })),
        Just(json!({ "type": "null" })),
        Just(json!({ "$ref": "#" })),
        Just(json!({ "$ref": "#/$defs/a" })),
        Just(json!({ "$ref": "#/$defs/b", "description": "of b" })),
        Just(json!({ "$ref": "#/$defs/c", "type": "object", "properties": { "k": { "const": 1 } } })),
        Just(json!({ "$ref": "#/definitions/a%2Fb~0c" })),
        Just(json!({ "type": "integer" })),
        Just(json!({ "type": "string", "enum": ["a", "b"] })),
    ]
}

/// Schemas that say too little, or are none.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        Just(json!({})),
        Just(json!({ "enum": ["a", 1, null, { "b": [] }] })),
        Just(json!({ "type": "object" })),
        Just(json!({ "type": "array" })),
        Just(json!({ "type": "nonsense", "enum": 7, "required": "a" })),
        Just(json!({ "$ref": "#/properties/a" })),
        Just(json!({ "$ref": "https://example.com/schema" })),
        Just(json!({ "$ref": 3 })),
    ]
}

/// A schema of all keywords, most of them in their place.
fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            4 => (btree_map(name(), inner.clone(), 0..4), vec(name(), 0..3), 0..4_u8).prop_map(
                |(properties, required, others)| {
                    let mut object = json!({ "type": "object", "properties": properties, "required": required });
                    match others {
                        0 => object["additionalProperties"] = json!(false),
                        1 => object["additionalProperties"] = json!({ "type": "string" }),
                        _ => {}
                    }
                    object
                }
            ),
            2 => (inner.clone(), 0..40_u8).prop_map(|(items, length)| {
                json!({ "type": "array", "items": items, "minItems": length, "uniqueItems": true })
            }),
            1 => vec(inner.clone(), 1..4).prop_map(|prefix| json!({ "type": "array", "prefixItems": prefix })),
            1 => inner.clone().prop_map(|items| json!({ "type": ["array", "null", "string"], "items": items })),
            2 => (vec(inner.clone(), 0..4), any::<bool>()).prop_map(|(branches, one)| {
                let key = if one { "oneOf" } else { "anyOf" };
                json!({ key: branches, "description": "a choice" })
            }),
            1 => (vec(inner.clone(), 0..3), inner.clone()).prop_map(|(branches, property)| {
                json!({ "type": "object", "properties": { "base": property }, "required": ["base"], "anyOf": branches })
            }),
            2 => vec(inner.clone(), 0..3).prop_map(|parts| json!({ "allOf": parts, "title": "all" })),
            1 => inner.prop_map(|pattern| json!({
                "type": "object",
                "patternProperties": { "^x": pattern.clone() },
                "not": pattern,
                "unevaluatedProperties": false,
            })),
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    (schema(), vec(schema(), 3)).prop_map(|(root, definitions)| {
        let mut root = match root {
            Value::Object(root) => root,
            other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
        };
        let names = ["a", "b", "c"].map(str::to_owned);
        let definitions: Map<String, Value> = names.into_iter().zip(definitions).collect();
        root.insert("definitions".to_owned(), json!({ "a/b~c": definitions["a"] }));
        root.insert("$defs".to_owned(), Value::Object(definitions));
        Value::Object(root)
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        "[a-d]{0,3}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(name(), inner, 0..4).prop_map(|object| json!(object)),
        ]
    })
}

/// A value that obeys a copy, by the choices; none if the copy has only endless ones.
fn example(schema: &Value, root: &Value, choices: &mut Vec<u8>, depth: usize) -> Option<Value> {
    if depth > 12 {
        return None;
    }
    let choice = usize::from(choices.pop().unwrap_or_default());
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return example(root.pointer(&reference[1..])?, root, choices, depth + 1);
    }
    for key in ["anyOf", "enum"] {
        if let Some(list) = schema.get(key).and_then(Value::as_array) {
            let chosen = list.get(choice % list.len())?;
            return if key == "enum" {
                Some(chosen.clone())
            } else {
                example(chosen, root, choices, depth + 1)
            };
        }
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    match kinds[choice % kinds.len()].as_str()? {
        "null" => Some(Value::Null),
        "boolean" => Some(json!(choice > 100)),
        "integer" => Some(json!(choice)),
        "number" => Some(json!(0.5)),
        "string" => Some(json!("text")),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or_default();
            let mut elements = Vec::new();
            for index in 0..least.max(1) {
                let own = schema["prefixItems"].get(usize::try_from(index).ok()?);
                match own.or(schema.get("items")) {
                    Some(element) => elements.push(example(element, root, choices, depth + 1)?),
                    None => break,
                }
            }
            Some(Value::Array(elements))
        }
        _ => {
            let mut object = Map::new();
            for (name, property) in schema["properties"].as_object()? {
                let is_required = schema["required"].as_array()?.contains(&json!(name));
                match example(property, root, choices, depth + 1) {
                    Some(value) => {
                        object.insert(name.clone(), value);
                    }
                    None if is_required => return None,
                    None => {}
                }
            }
            Some(Value::Object(object))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strict_copies_obey_the_rules(schema in document(), answer in value()) {
        for dialect in DIALECTS {
            let fitted = fit(&schema, dialect, Strictness::Auto).unwrap();
            if fitted.strict || dialect == Dialect::Gemini {
                check(dialect, &fitted.schema, fitted.strict)
                    .map_err(|error| TestCaseError::fail(format!("{dialect:?}: {error}\n{schema:#}\n{:#}", fitted.schema)))?;
            }
            let always = fit(&schema, dialect, Strictness::Always);
            prop_assert_eq!(always.is_ok(), fitted.strict);
            if let Err(unfit) = always {
                prop_assert!(schema.pointer(&unfit.pointer).is_some(), "{unfit}");
            }
            let never = fit(&schema, dialect, Strictness::Never).unwrap();
            prop_assert!(!never.strict);
            let once = restore(answer.clone(), &schema, dialect);
            if dialect == Dialect::Gemini {
                // Nothing is unwrapped, so what is restored stays as it is.
                prop_assert_eq!(restore(once.clone(), &schema, dialect), once);
            }
        }
    }

    #[test]
    fn answers_to_strict_copies_obey_the_original(schema in document(), mut choices in vec(any::<u8>(), 64)) {
        let Ok(original) = jsonschema::options().offline().build(&schema) else {
            return Ok(());
        };
        // `oneOf` may forbid what two alternatives allow, and described constraints are not enforced.
        let text = schema.to_string();
        if text.contains("oneOf") {
            return Ok(());
        }
        for dialect in DIALECTS {
            let fitted = fit(&schema, dialect, Strictness::Auto).unwrap();
            if !fitted.strict || fitted.schema.to_string().contains("\"{") || fitted.schema.to_string().contains("\\n{") {
                continue;
            }
            let Some(answer) = example(&fitted.schema, &fitted.schema, &mut choices, 0) else {
                continue;
            };
            prop_assert!(jsonschema::is_valid(&fitted.schema, &answer), "{dialect:?}: {answer}\n{:#}", fitted.schema);
            let restored = restore(answer.clone(), &schema, dialect);
            prop_assert!(original.is_valid(&restored), "{dialect:?}: {answer} became {restored}\n{schema:#}\n{:#}", fitted.schema);
        }
    }

    #[test]
    fn values_that_are_no_schemas_do_not_panic(schema in value(), answer in value()) {
        for dialect in DIALECTS {
            let _ = fit(&schema, dialect, Strictness::Auto);
            let _ = restore(answer.clone(), &schema, dialect);
        }
    }
}
