//! Single rules, limits, hostile schemas, and the way back.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::{Dialect, Strictness, fit, fit_together, restore};
use super::Dialect::{Anthropic, Gemini, OpenAi};
use super::{DIALECTS, check};

fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({ "type": "object", "properties": properties, "required": names })
}

/// The copy of one property of an object.
#[track_caller]
fn check_property(dialect: Dialect, property: &Value, expected: &Value) {
    let schema = object(&json!({ "p": property }));
    let fitted = fit(&schema, dialect, Strictness::Always).unwrap();
    check(dialect, &fitted.schema, true).unwrap();
    assert_eq!(fitted.schema["properties"]["p"], *expected, "{dialect:?}");
}

#[track_caller]
fn check_unfit(dialect: Dialect, schema: &Value, pointer: &str, reason: &str) {
    let unfit = fit(schema, dialect, Strictness::Always).unwrap_err();
    assert_eq!(unfit.pointer, pointer, "{dialect:?}: {unfit}");
    assert!(
        unfit.to_string().contains(reason),
        "{dialect:?}: {unfit} is not about `{reason}`"
    );
    let auto = fit(schema, dialect, Strictness::Auto).unwrap();
    assert!(!auto.strict, "{dialect:?}");
    check(dialect, &auto.schema, false).unwrap();
}

#[test]
fn one_of_and_const_are_alternatives_and_lists() {
    let choice =
        json!({ "oneOf": [{ "const": "a", "description": "first" }, { "type": "string", "const": "b" }] });
    for dialect in DIALECTS {
        check_property(
            dialect,
            &choice,
            &json!({ "type": "string", "enum": ["a", "b"], "description": "- a: first" }),
        );
    }
    check_property(
        OpenAi,
        &json!({ "oneOf": [{ "type": "integer" }, { "type": "boolean" }] }),
        &json!({ "anyOf": [{ "type": "integer" }, { "type": "boolean" }] }),
    );
}

#[test]
fn conjunctions_are_merged() {
    let base = json!({ "type": "object", "properties": { "a": { "type": "integer", "minimum": 1 } }, "required": ["a"] });
    let more = json!({ "properties": { "a": { "minimum": 3 }, "b": { "type": "string" } }, "required": ["b"], "description": "more" });
    check_property(
        OpenAi,
        &json!({ "allOf": [base, more], "title": "All" }),
        &json!({
            "type": "object",
            "properties": { "a": { "type": "integer", "minimum": 3 }, "b": { "type": "string" } },
            "required": ["a", "b"],
            "additionalProperties": false,
            "title": "All",
            "description": "more",
        }),
    );
    check_property(
        Gemini,
        &json!({ "allOf": [{ "type": ["number", "string"] }, { "type": ["integer", "null"] }] }),
        &json!({ "type": "integer" }),
    );
    let closed =
        json!({ "type": "object", "properties": { "a": { "type": "null" } }, "additionalProperties": false });
    let other = json!({ "type": "object", "properties": { "b": { "type": "null" } } });
    let schema = object(&json!({ "p": { "allOf": [closed, other] } }));
    check_unfit(
        OpenAi,
        &schema,
        "/properties/p",
        "`additionalProperties` forbids the property `b`",
    );
}

#[test]
fn elements_by_position_are_not_merged_with_others() {
    let tuple = json!({ "type": "array", "prefixItems": [{ "type": "object", "properties": {} }] });
    let list = json!({ "type": ["array", "null"], "items": { "type": "object", "properties": { "a": { "type": "null" } }, "required": ["a"] } });
    for parts in [json!([tuple, list]), json!([list, tuple])] {
        let schema = object(&json!({ "p": { "allOf": parts } }));
        check_unfit(Gemini, &schema, "/properties/p", "elements of an array");
    }
    let same = object(&json!({ "p": { "allOf": [tuple, tuple] } }));
    assert!(fit(&same, Gemini, Strictness::Always).is_ok());
}

#[test]
fn constraints_that_are_not_known_are_described() {
    let text = json!({ "type": "string", "description": "A name.", "minLength": 2, "pattern": "^a", "format": "uri" });
    check_property(
        OpenAi,
        &text,
        &json!({ "type": "string", "pattern": "^a", "description": "A name.\n\n{minLength: 2, format: uri}" }),
    );
    check_property(
        Anthropic,
        &text,
        &json!({ "type": "string", "format": "uri", "description": "A name.\n\n{minLength: 2, pattern: ^a}" }),
    );
    check_property(
        Gemini,
        &text,
        &json!({ "type": "string", "description": "A name.\n\n{minLength: 2, pattern: ^a, format: uri}" }),
    );
    let number = json!({ "type": "integer", "minimum": 0, "multipleOf": 2, "default": 4 });
    check_property(
        OpenAi,
        &number,
        &json!({ "type": "integer", "minimum": 0, "multipleOf": 2, "description": "{default: 4}" }),
    );
    check_property(
        Anthropic,
        &number,
        &json!({ "type": "integer", "description": "{minimum: 0, multipleOf: 2, default: 4}" }),
    );
}

#[test]
fn texts_beside_references_are_kept() {
    let values: Vec<String> = (0..200).map(|index| format!("v{index}")).collect();
    let properties: Map<String, Value> = (0..20)
        .map(|index| {
            (
                format!("p{index}"),
                json!({ "$ref": "#/$defs/large", "description": format!("Number {index}.") }),
            )
        })
        .chain([(
            "small".to_owned(),
            json!({ "$ref": "#/$defs/small", "description": "A small one." }),
        )])
        .chain([(
            "again".to_owned(),
            json!({ "$ref": "#", "description": "The same again." }),
        )])
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties, "required": ["p0", "small"] });
    schema["$defs"] = json!({ "large": { "type": "string", "enum": values }, "small": { "type": "string" } });
    // Copies of the large definition would exceed the limit of 1,000 values.
    let fitted = fit(&schema, OpenAi, Strictness::Always).unwrap();
    check(OpenAi, &fitted.schema, true).unwrap();
    let properties = &fitted.schema["properties"];
    assert_eq!(properties["p0"], json!({ "$ref": "#/$defs/large" }));
    assert_eq!(
        properties["small"],
        json!({ "type": "string", "description": "A small one." })
    );
    let text = fitted.schema["description"].as_str().unwrap();
    assert!(text.starts_with("- p0: Number 0.\n- p1: Number 1.\n"), "{text}");
    assert!(text.ends_with("- again: The same again."), "{text}");
}

#[test]
fn definitions_of_the_same_name_stay_apart() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": { "$ref": "#/$defs/x" },
            "b": { "$ref": "#/definitions/x" },
            "c": { "$ref": "#/$defs/y~1z/properties/x" },
            "d": { "$ref": "#/$defs/y~1z" },
        },
        "required": ["a", "b", "c", "d"],
        "$defs": { "x": { "type": "string" }, "y/z": object(&json!({ "x": { "type": "boolean" } })), "unused": {} },
        "definitions": { "x": { "type": "integer" } },
    });
    for dialect in DIALECTS {
        let fitted = fit(&schema, dialect, Strictness::Always).unwrap().schema;
        check(dialect, &fitted, true).unwrap();
        let kind = |name: &str| {
            let reference = fitted["properties"][name]["$ref"].as_str().unwrap();
            fitted.pointer(&reference[1..]).unwrap()["type"].clone()
        };
        assert_eq!(
            ["a", "b", "c", "d"].map(kind),
            ["string", "integer", "boolean", "object"]
        );
        assert_eq!(fitted["$defs"].as_object().unwrap().len(), 4);
    }
}

#[test]
fn keys_without_names_cannot_be_enforced() {
    let map = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let schema = object(&json!({ "a": { "type": "string" }, "m~/": map }));
    for dialect in [OpenAi, Anthropic] {
        check_unfit(
            dialect,
            &schema,
            "/properties/m~0~1/additionalProperties",
            "use an array of objects with a key and a value",
        );
    }
    assert!(fit(&schema, Gemini, Strictness::Always).unwrap().strict);
    check_unfit(OpenAi, &json!({ "type": "object" }), "", "name its keys");
    check_unfit(
        OpenAi,
        &object(&json!({ "a": {} })),
        "/properties/a",
        "give it a type",
    );
    check_unfit(
        OpenAi,
        &object(&json!({ "a": { "type": "array" } })),
        "/properties/a",
        "with `items`",
    );
    check_unfit(
        Gemini,
        &object(&json!({ "a": { "$ref": "https://example.com" } })),
        "/properties/a",
        "below `$defs`",
    );
    check_unfit(
        OpenAi,
        &object(&json!({ "a": { "$ref": "#/$defs/none" } })),
        "/properties/a",
        "does not exist",
    );
}

#[test]
fn objects_of_alternatives_begin_differently() {
    let alike = |kind: &Value| json!({ "type": "object", "properties": { "name": { "type": "string" }, "kind": kind }, "required": ["name", "kind"] });
    let told = json!({ "anyOf": [alike(&json!({ "const": "a" })), alike(&json!({ "const": "b" }))] });
    let fitted = fit(&object(&json!({ "p": told })), OpenAi, Strictness::Always).unwrap();
    let first = &fitted.schema["properties"]["p"]["anyOf"][0]["properties"];
    assert_eq!(first.as_object().unwrap().keys().next().unwrap(), "kind");

    let alike =
        json!({ "oneOf": [alike(&json!({ "type": "string" })), alike(&json!({ "type": "integer" }))] });
    let schema = object(&json!({ "p": alike }));
    check_unfit(OpenAi, &schema, "/properties/p/oneOf", "begin with `name`");
    assert!(fit(&schema, Anthropic, Strictness::Always).unwrap().strict);
}

#[test]
fn limits_are_kept() {
    let wide = |count: usize| {
        let names = (0..count).map(|index| (format!("p{index}"), json!({ "type": "null" })));
        object(&Value::Object(names.collect()))
    };
    assert!(fit(&wide(5_000), OpenAi, Strictness::Always).is_ok());
    check_unfit(OpenAi, &wide(5_001), "", "5001 properties");

    let deep = |levels: usize| {
        (0..levels).fold(json!({ "type": "null" }), |inner, _| {
            object(&json!({ "p": inner }))
        })
    };
    assert!(fit(&deep(10), OpenAi, Strictness::Always).is_ok());
    check_unfit(OpenAi, &deep(11), "", "11 levels");

    let listed = |count: usize, length: usize| {
        let values: Vec<String> = (0..count).map(|index| format!("{index:0length$}")).collect();
        object(&json!({ "p": { "enum": values } }))
    };
    assert!(fit(&listed(1_000, 4), OpenAi, Strictness::Always).is_ok());
    check_unfit(OpenAi, &listed(1_001, 4), "", "1001 values");
    check_unfit(OpenAi, &listed(251, 60), "", "15060 characters in one `enum`");
    check_unfit(OpenAi, &listed(250, 500), "", "characters in names and values");

    let mut optional = wide(24);
    optional["required"] = json!([]);
    assert!(fit(&optional, Anthropic, Strictness::Always).is_ok());
    let mut optional = wide(25);
    optional["required"] = json!([]);
    check_unfit(Anthropic, &optional, "", "25 properties may be left out");
    let unions = |count: usize| {
        let names = (0..count).map(|index| (format!("p{index}"), json!({ "type": ["string", "null"] })));
        object(&Value::Object(names.collect()))
    };
    assert!(fit(&unions(16), Anthropic, Strictness::Always).is_ok());
    check_unfit(Anthropic, &unions(17), "", "17 places");
    // A union that may be left out need not be `null`.
    let mut optional = unions(20);
    optional["required"] = json!([]);
    assert!(fit(&optional, Anthropic, Strictness::Always).is_ok());
    // A definition counts wherever it is used.
    let mut used = object(&json!({ "a": { "$ref": "#/$defs/u" }, "b": { "$ref": "#/$defs/u" } }));
    used["$defs"] = json!({ "u": unions(9) });
    check_unfit(Anthropic, &used, "", "18 places");
}

#[test]
fn schemas_of_one_request_share_limits() {
    let mut schema = object(&json!({ "a": { "type": ["string", "null"] }, "b": { "type": "string" } }));
    schema["required"] = json!(["a"]);
    let fitted = |dialect| fit(&schema, dialect, Strictness::Always).unwrap();
    let several = |dialect, count| {
        let all = vec![fitted(dialect); count];
        fit_together(&all, dialect).map_err(|unfit| unfit.reason)
    };
    assert_eq!(several(Anthropic, 16), Ok(()));
    let refusal = several(Anthropic, 17).unwrap_err();
    assert!(refusal.contains("17 places"), "{refusal}");
    let refusal = several(Anthropic, 21).unwrap_err();
    assert!(refusal.contains("21 strict schemas"), "{refusal}");
    assert_eq!(several(OpenAi, 100), Ok(()));
    let lenient = vec![fit(&schema, Anthropic, Strictness::Never).unwrap(); 50];
    assert!(fit_together(&lenient, Anthropic).is_ok());
}

#[test]
fn lenient_copies_say_all_and_pass() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "oneOf": [
            { "type": "array", "minItems": 2 },
            { "$ref": "#/$defs/used" },
            { "type": "object", "properties": { "again": { "$ref": "#" } } },
        ],
        "$defs": { "used": { "type": "string", "pattern": "^(?!x)" }, "unused": { "$ref": "#/$defs/used" } },
    });
    let fitted = fit(&schema, OpenAi, Strictness::Never).unwrap();
    assert!(!fitted.strict);
    check(OpenAi, &fitted.schema, false).unwrap();
    assert_eq!(
        fitted.schema,
        json!({
            "$defs": { "used": { "type": "string", "description": "{pattern: ^(?!x)}" } },
            "type": "object",
            "properties": { "value": { "oneOf": [
                { "type": "array", "minItems": 2, "items": {} },
                { "$ref": "#/$defs/used" },
                { "type": "object", "properties": { "again": { "$ref": "#/properties/value" } } },
            ] } },
            "required": ["value"],
            "additionalProperties": false,
        })
    );
    // Values that look like schemas are not.
    let schema = json!({ "type": "object", "properties": { "a": { "const": { "type": "array" } } } });
    assert_eq!(fit(&schema, Anthropic, Strictness::Never).unwrap().schema, schema);
}

#[test]
fn nulls_of_properties_left_out_are_taken_out() {
    let schema = json!({
        "type": "object",
        "properties": {
            "left_out": { "type": "string" },
            "nullable": { "type": ["string", "null"] },
            "list": { "type": "array", "items": { "$ref": "#/$defs/item" } },
            "choice": { "oneOf": [{ "$ref": "#/$defs/item" }, { "type": "object", "properties": { "other": { "type": "null" } }, "required": ["other"] }] },
            "map": { "type": "object", "additionalProperties": { "$ref": "#/$defs/item" } },
            "pair": { "type": "array", "prefixItems": [{ "type": "null" }, { "$ref": "#/$defs/item" }] },
        },
        "$defs": { "item": { "allOf": [
            { "type": "object", "properties": { "id": { "type": "integer" } }, "required": ["id"] },
            { "properties": { "note": { "type": "string" }, "sub": { "$ref": "#/$defs/item" } } },
        ] } },
    });
    let answer = json!({
        "left_out": null,
        "nullable": null,
        "list": [{ "id": 1, "note": null, "sub": { "id": 2, "note": "n", "sub": null } }, null],
        "choice": { "id": 3, "note": null, "sub": null },
        "map": { "k": { "id": 4, "note": null } },
        "pair": [null, { "id": 5, "sub": null }],
        "unknown": null,
    });
    let expected = json!({
        "nullable": null,
        "list": [{ "id": 1, "sub": { "id": 2, "note": "n" } }, null],
        "choice": { "id": 3 },
        "map": { "k": { "id": 4 } },
        "pair": [null, { "id": 5 }],
        "unknown": null,
    });
    for dialect in DIALECTS {
        assert_eq!(restore(answer.clone(), &schema, dialect), expected);
    }
    let other = json!({ "choice": { "other": null } });
    assert_eq!(restore(other.clone(), &schema, OpenAi), other);
}

#[test]
fn only_what_was_wrapped_is_unwrapped() {
    let list = json!({ "type": "array", "items": { "type": "integer" } });
    assert_eq!(restore(json!({ "value": [1] }), &list, OpenAi), json!([1]));
    assert_eq!(restore(json!([1]), &list, Anthropic), json!([1]));
    assert_eq!(
        restore(json!({ "value": [1] }), &list, Gemini),
        json!({ "value": [1] })
    );
    assert_eq!(
        restore(json!({ "values": 1 }), &list, OpenAi),
        json!({ "values": 1 })
    );
    let own = object(&json!({ "value": { "type": "integer" } }));
    assert_eq!(
        restore(json!({ "value": 1 }), &own, OpenAi),
        json!({ "value": 1 })
    );
}

/// Nested arrays, made without recursion.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({ "type": "null" }), |inner, _| {
        Value::Object(Map::from_iter([
            ("type".to_owned(), json!("array")),
            ("items".to_owned(), inner),
        ]))
    })
}

#[test]
fn hostile_schemas_end_soon() {
    let twice = |to: &str| json!({ "anyOf": [{ "$ref": to, "description": "a" }, { "$ref": to, "description": "b" }] });
    let doubling: Map<String, Value> = (0..60)
        .map(|index| (format!("d{index}"), twice(&format!("#/$defs/d{}", index + 1))))
        .chain([("d60".to_owned(), json!({ "type": "string", "minLength": 1 }))])
        .collect();
    let chain: Map<String, Value> = (0..3_000)
        .map(|index| {
            let next = format!("#/$defs/d{}", index + 1);
            (
                format!("d{index}"),
                json!({ "type": "array", "items": { "$ref": next } }),
            )
        })
        .chain([("d3000".to_owned(), json!({ "type": "string" }))])
        .collect();
    let branches: Vec<Value> = (0..2_000)
        .map(|index| object(&json!({ format!("p{index}"): { "type": "null" } })))
        .collect();
    let properties: Map<String, Value> = (0..2_000)
        .map(|index| (format!("q{index}"), json!({ "type": "null" })))
        .collect();
    let schemas = [
        nested(60),
        json!({ "type": "object", "properties": { "p": { "$ref": "#/$defs/d0" } }, "$defs": doubling }),
        json!({ "type": "object", "properties": { "p": { "$ref": "#/$defs/d0" } }, "$defs": chain }),
        json!({ "type": "object", "properties": properties, "anyOf": branches.clone(), "oneOf": branches }),
        json!({ "allOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
        json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }], "type": "object", "properties": { "a": { "$ref": "#" } } }),
        json!({ "$ref": "#/%zz/%e9", "type": [] }),
    ];
    for schema in schemas {
        for dialect in DIALECTS {
            for strictness in [Strictness::Auto, Strictness::Never] {
                let start = Instant::now();
                let fitted = fit(&schema, dialect, strictness);
                let restored = restore(json!({ "p": [[[]]], "a": { "a": {} } }), &schema, dialect);
                assert!(start.elapsed() < Duration::from_secs(10));
                assert!(restored.is_object());
                if let Ok(fitted) = fitted
                    && fitted.strict
                {
                    check(dialect, &fitted.schema, true).unwrap();
                }
            }
        }
    }
    for strictness in [Strictness::Auto, Strictness::Never] {
        let unfit = fit(&nested(300), OpenAi, strictness).unwrap_err();
        assert!(unfit.reason.contains("levels deep"), "{unfit}");
    }
}

#[test]
fn strictness_is_written_as_a_word_or_a_truth_value() {
    for (text, strictness) in [
        ("\"auto\"", Strictness::Auto),
        ("true", Strictness::Always),
        ("false", Strictness::Never),
    ] {
        assert_eq!(serde_json::from_str::<Strictness>(text).unwrap(), strictness);
        assert_eq!(serde_json::to_string(&strictness).unwrap(), text);
    }
    let error = serde_json::from_str::<Strictness>("\"always\"").unwrap_err();
    assert!(
        error.to_string().contains("expected `auto`, `true` or `false`"),
        "{error}"
    );
    let schema = Value::from(schemars::schema_for!(Strictness));
    for value in [json!("auto"), json!(true), json!(false)] {
        assert!(jsonschema::is_valid(&schema, &value));
    }
    assert!(!jsonschema::is_valid(&schema, &json!("always")));
}
