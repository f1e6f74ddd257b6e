//! Properties of every template: parsing never panics, printing keeps the tree, escaping keeps the text.

use dad_template::{Limits, Template, Value, escape};
use proptest::prelude::*;
use serde_json::json;

use crate::scope::TestScope;

/// Pieces of templates, so that random text gets behind the first brace.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "$", "$$", "$var{", "$expr{", "$hier{", "py:", " py: ", "{", "}", "(", ")", "[", "]", "'", "\"",
        "'''", "f'", "r'", "\\", "\\x4", ".", "..", ",", ":", ":=", "?", "||", "&&", "|", "!", "!=", "==",
        "<=", "**", "//", "%", "-", "+", "~", "a", "x1", "_", "é", "日", "1", "0x", "1e", "1e9", "0.5",
        "1_0", " ", "\n", "\t", "lambda", "for", "in", "if", "else", "not", "and", "or", "is", "None",
        "true", "null", "len", "*", "=", "@", ";", "\u{0}", "\u{2028}",
    ])
    .prop_map(str::to_owned);
    prop_oneof![6 => fixed, 1 => "\\PC{0,4}"]
}

fn anything() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..40).prop_map(|parts| parts.concat())
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "items", "name_1", "len", "é", "json", "py"]).prop_map(str::to_owned)
}

fn literal(python: bool) -> BoxedStrategy<String> {
    let words = if python {
        vec!["None", "True", "False"]
    } else {
        vec!["null", "true", "false", "None", "True"]
    };
    prop_oneof![
        any::<u32>().prop_map(|n| n.to_string()),
        Just("12345678901234567890123".to_owned()),
        any::<f64>()
            .prop_filter("finite", |float| float.is_finite())
            .prop_map(|float| format!("{:e}", float.abs())),
        ".{0,8}".prop_map(Value::from).prop_map(|text| {
            let scope = TestScope {
                levels: vec![[("t".to_owned(), text)].into()],
                ..TestScope::default()
            };
            Template::parse("$expr{py: repr(t)}")
                .unwrap()
                .render(&scope, &Limits::default())
                .unwrap()
        }),
        prop::sample::select(words).prop_map(str::to_owned),
        name(),
        Just("$hier{main.build}".to_owned()),
        Just("$var{some-name}".to_owned()),
    ]
    .boxed()
}

fn expression() -> impl Strategy<Value = String> {
    literal(false).prop_recursive(5, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "||", "&&", "==", "!=", "<", ">=", "in", "+", "-", "*", "/", "//", "%", "**",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) ? {b} : {c}")),
            (inner.clone(), name()).prop_map(|(a, name)| format!("({a}).{name}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{\"k\": {a}, 'l': {b},}}")),
            (name(), inner.clone(), inner.clone()).prop_map(|(f, a, b)| format!("{f}({a}, key = {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a})[{b} : : 2]")),
        ]
    })
}

fn python() -> impl Strategy<Value = String> {
    literal(true).prop_recursive(5, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "or", "and", "==", "<", "in", "not in", "is", "is not", "|", "^", "&", "<<", ">>", "+", "-", "*",
            "%", "**",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) + ({b}) * ({c}) ** -({a}) < ({c}) or not ({b})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| format!("~({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) if ({b}) else ({c})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("[x for x, *y in ({a}) if ({b}) if x for z in y]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{x: ({a}) for x in ({b})}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{({a}), *({b})}}")),
            inner
                .clone()
                .prop_map(|a| format!("sum(({a}) for (p, [q]), in p)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(lambda p, q=({a}): ({b}))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}), ({b}))")),
            inner.clone().prop_map(|a| format!("(({a}),)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{({a}): ({b}), **({a})}}")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("f\"{{{{ x{{({a})!r:>{{({b})}}}} y }}}}{{({b}) = }}\"")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("({a}).get(({b}), *({a}), k=({b}), **({a}))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[({b}):]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a})[({b}), 1]")),
        ]
    })
}

fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-z $\\{\\}]{0,6}".prop_map(|text| escape(&text).into_owned()),
        1 => Just("$$var{".to_owned()),
        1 => Just("$$$$expr{x}".to_owned()),
        1 => Just("$$$var{a}".to_owned()),
        1 => Just("$var{a: {default} }".to_owned()),
        1 => Just("$hier{ main.*.build } ".to_owned()),
        2 => expression().prop_map(|expr| format!("$expr{{{expr}}}")),
        2 => python().prop_map(|expr| format!("$expr{{py:{expr} }}")),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn scope() -> TestScope {
    TestScope::with(
        &json!({"a": {"b": [1, "x", null]}, "b": "text", "items": [3, 1], "name_1": 1.5, "é": true}),
    )
}

/// More cases may be asked for by hand.
fn case_count() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: case_count(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_any_text_never_panics(text in anything()) {
        for result in [Template::parse(&text), Template::parse_var_only(&text)] {
            match result {
                Ok(template) => {
                    for reference in template.references() {
                        prop_assert!(text.get(reference.span.range()).is_some());
                    }
                    let limits = Limits::default().with_steps(10_000).with_bytes(100_000);
                    if let Err(error) = template.render(&scope(), &limits) {
                        prop_assert!(text.get(error.span().range()).is_some());
                    }
                }
                Err(error) => prop_assert!(text.get(error.span.range()).is_some(), "{error}"),
            }
        }
    }

    #[test]
    fn evaluating_any_expression_never_panics(expr in anything(), python in any::<bool>()) {
        let text = if python { format!("$expr{{py: {expr}}}") } else { format!("$expr{{{expr}}}") };
        if let Ok(template) = Template::parse(&text) {
            let (_, counters) = template.evaluate_counted(&scope(), &Limits::default().with_steps(10_000));
            prop_assert!(counters.steps <= 10_000);
        }
    }

    #[test]
    fn printing_and_parsing_gives_the_same_tree(source in template()) {
        // Some combinations are not in the language, or nest too deep for it.
        if let Ok(template) = Template::parse(&source) {
            let printed = template.to_string();
            let again = Template::parse(&printed);
            prop_assert!(again.is_ok(), "{source}\n{printed}\n{again:?}");
            prop_assert_eq!(&template, &again.unwrap(), "{}\n{}", source, printed);
            let limits = Limits::default().with_steps(10_000);
            let values = (template.render(&scope(), &limits), Template::parse(&printed).unwrap().render(&scope(), &limits));
            match values {
                (Ok(first), Ok(second)) => prop_assert_eq!(first, second),
                (Err(first), Err(second)) => prop_assert_eq!(first.code(), second.code()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn escaped_text_renders_to_itself(text in prop_oneof![anything(), "\\PC{0,20}", "[$varexphi{}]{0,30}"]) {
        let template = Template::parse(&escape(&text)).unwrap();
        let literal = template.as_literal();
        prop_assert_eq!(literal.as_deref(), Some(text.as_str()));
        prop_assert_eq!(template.render(&(), &Limits::default()).unwrap(), text.clone());
        prop_assert_eq!(template.placeholders().count(), 0);
        let printed = template.to_string();
        prop_assert_eq!(Template::parse(&printed).unwrap().render(&(), &Limits::default()).unwrap(), text);
    }

    #[test]
    fn values_are_never_scanned_again(value in prop_oneof![anything(), "\\PC{0,20}"]) {
        let scope = TestScope::with(&json!({"v": value}));
        for (source, wanted) in [
            ("$var{v}", value.clone()),
            ("a$expr{v}b", format!("a{value}b")),
            ("$expr{py: v}", value.clone()),
            ("$expr{py: f'{v}'}", value.clone()),
            ("$expr{py: '{}'.format(v)}", value.clone()),
            ("$expr{py: '%s' % v}", value.clone()),
            ("$var{none:}$expr{missing || v}", value.clone()),
        ] {
            let template = Template::parse(source).unwrap();
            prop_assert_eq!(template.render(&scope, &Limits::default()).unwrap(), wanted);
        }
    }

    #[test]
    fn json_comes_back_as_it_went_in(text in ".{0,10}", number in any::<i64>(), flag in any::<bool>()) {
        let json = json!({"text": text, "number": number, "list": [number, {"f": 0.5, "flag": flag, "none": null}]});
        let value = Value::from(json.clone());
        prop_assert_eq!(value.to_json().unwrap(), json.clone());
        let read: serde_json::Value = serde_json::from_str(&value.to_text()).unwrap();
        prop_assert_eq!(read, json);
    }

    #[test]
    fn the_text_of_a_float_reads_back_exactly(float in any::<f64>().prop_filter("finite", |float| float.is_finite())) {
        prop_assert_eq!(Value::from(float).to_text().parse::<f64>().unwrap().to_bits(), float.to_bits());
    }
}
