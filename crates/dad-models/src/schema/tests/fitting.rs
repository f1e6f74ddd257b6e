//! The types of users, for each provider.

use serde_json::Value;

use super::super::{Dialect, Strictness, fit, restore};
use super::cases::{Case, cases};
use super::{DIALECTS, check, dress};

fn valid(schema: &Value, value: &Value) -> Result<(), String> {
    jsonschema::validate(schema, value).map_err(|error| error.to_string())
}

#[track_caller]
fn check_case(case: &Case, dialect: Dialect) {
    let place = format!("{} for {dialect:?}", case.name);
    let fitted = fit(&case.schema, dialect, Strictness::Auto).unwrap();
    let always = fit(&case.schema, dialect, Strictness::Always);
    let is_enforced = case.enforced.contains(&dialect);
    assert_eq!(
        fitted.strict,
        is_enforced,
        "{place}: {:?}\n{:#}\n{:#}",
        always.err(),
        case.schema,
        fitted.schema
    );
    assert_eq!(always.is_ok(), is_enforced, "{place}");
    check(dialect, &fitted.schema, fitted.strict)
        .unwrap_or_else(|error| panic!("{place}: {error}\n{:#}", fitted.schema));

    let never = fit(&case.schema, dialect, Strictness::Never).unwrap();
    assert!(!never.strict, "{place}");
    check(dialect, &never.schema, false)
        .unwrap_or_else(|error| panic!("{place}, lenient: {error}\n{:#}", never.schema));

    for value in &case.values {
        valid(&case.schema, value).unwrap_or_else(|error| panic!("{place}: {error}"));
        if fitted.strict {
            check_round_trip(case, dialect, value, &fitted.schema);
        }
        // An answer in the form of the original, as of a model that was not held to the copy.
        let restored = restore(value.clone(), &case.schema, dialect);
        assert!(
            (case.same)(&restored, value),
            "{place}: {value} became {restored}"
        );
    }
}

/// A value in the form of the copy obeys the copy, and comes back as a value that obeys the original and means the same.
#[track_caller]
fn check_round_trip(case: &Case, dialect: Dialect, value: &Value, copy: &Value) {
    let place = format!("{} for {dialect:?}", case.name);
    let is_wrapped =
        copy["properties"]["value"].is_object() && !case.schema["properties"]["value"].is_object();
    let answer = if is_wrapped {
        serde_json::json!({ "value": value })
    } else {
        value.clone()
    };
    let answer = dress(&answer, copy, copy)
        .unwrap_or_else(|| panic!("{place}: {value} does not fit\n{:#}\n{copy:#}", case.schema));
    valid(copy, &answer).unwrap_or_else(|error| panic!("{place}: {error}: {answer}\n{copy:#}"));
    let restored = restore(answer.clone(), &case.schema, dialect);
    valid(&case.schema, &restored)
        .unwrap_or_else(|error| panic!("{place}: {answer} became {restored}: {error}\n{:#}", case.schema));
    assert!(
        (case.same)(&restored, value),
        "{place}: {value} became {restored}"
    );
}

#[test]
fn types_of_users_fit_each_provider() {
    let cases = cases();
    assert!(cases.len() >= 30);
    for case in &cases {
        for dialect in DIALECTS {
            check_case(case, dialect);
        }
    }
}
