//! The language where the recorded cases say nothing: escapes, defaults, references, messages, parts.

use dad_template::{
    EvalErrorKind, Limits, Part, PathSegment, PlaceholderKind, ReferenceKind, RenderOptions, Template, Value,
};
use serde_json::json;

use crate::scope::TestScope;

fn scope() -> TestScope {
    let mut scope = TestScope::with(&json!({
        "name": "Ann", "n": 3, "none": null, "list": [1, 2], "user": {"a b": 1, "get": "key"}, "len": 5, "py": 1,
        "hostile": "it's; rm -rf \"$HOME\" `id`\n", "float": 2.0,
    }));
    scope.steps(&json!({
        "ag.main.build": {"outcome": {"results": [{"stdout": "a\n"}]}, "execution_status": "completed"},
        "ag.main.bad": {"error": "boom", "execution_status": "failed"},
    }));
    scope.current = "ag.main".to_owned();
    scope
}

#[track_caller]
fn render(source: &str) -> String {
    Template::parse(source)
        .unwrap()
        .render(&scope(), &Limits::default())
        .unwrap()
}

#[track_caller]
fn fails(source: &str) -> (&'static str, String, String) {
    match Template::parse(source) {
        Err(error) => (error.code(), error.to_string(), error.hint.unwrap_or_default()),
        Ok(template) => {
            let error = template.evaluate(&scope(), &Limits::default()).unwrap_err();
            (
                error.code(),
                error.to_string(),
                error.hint_text().unwrap_or_default().into_owned(),
            )
        }
    }
}

#[test]
fn dollars_before_a_brace_are_halved() {
    assert_eq!(render("$$var{x} $$expr{1 $$hier{"), "$var{x} $expr{1 $hier{");
    assert_eq!(
        render("$$$var{name} $$$$var{name} $$$$$var{name}"),
        "$Ann $$var{name} $$Ann"
    );
    assert_eq!(
        render("$ $$ $5 $$5 $var $$var var{name} ${name}"),
        "$ $$ $5 $$5 $var $$var var{name} ${name}"
    );
    let standard = Template::parse_var_only("$$var{x} $$expr{x} $expr{ $hier{ $var{name}").unwrap();
    assert_eq!(
        standard.render(&scope(), &Limits::default()).unwrap(),
        "$var{x} $$expr{x} $expr{ $hier{ Ann"
    );
}

#[test]
fn a_default_is_plain_text_for_an_undefined_name() {
    assert_eq!(render("[$var{missing:some {one} : x}]"), "[some {one} : x]");
    assert_eq!(
        render("[$var{missing:}][$var{none:x}][$var{name:x}]"),
        "[][][Ann]"
    );
    assert_eq!(render("$var{missing:$$var{x}}"), "$var{x}");
    let (code, _, hint) = fails("$var{missing:$var{name}}");
    assert_eq!(
        (code, hint.as_str()),
        (
            "template_syntax",
            "with a computed default write `$expr{missing || …}`"
        )
    );
}

#[test]
fn coalescing_catches_what_is_undefined_and_nothing_else() {
    assert_eq!(
        render("$expr{missing.a[3].b || $hier{nowhere}.outcome || none || list[7] || user.x || 'last'}"),
        "last"
    );
    assert_eq!(
        render("$expr{$hier{bad}.outcome.results[0].stdout.strip() || 'none yet'}"),
        "none yet"
    );
    assert_eq!(render("$expr{len(missing) || 0}"), "0");
    assert_eq!(fails("$expr{1 / 0 || 'x'}").0, "template_division_by_zero");
    assert_eq!(fails("$expr{n + name || 'x'}").0, "template_type");
    assert_eq!(fails("$expr{unreadable || 'x'}").0, "template_scope");
    assert_eq!(
        fails("$expr{missing || also_missing}").1,
        "`also_missing` is undefined"
    );
}

#[test]
fn functions_and_variables_of_one_name_do_not_meet() {
    assert_eq!(
        render("$expr{len(list)} $expr{len} $expr{py: len(list) + len}"),
        "2 5 7"
    );
    assert_eq!(render("$expr{py: [len for len in list]}"), "[1,2]");
    assert_eq!(
        render("$expr{user.get} $expr{py: user.get('a b')} $expr{py: user.get}"),
        "key 1 key"
    );
    assert_eq!(
        render("$expr{py: sorted({'a': 2, 'b': 1}, key={'a': 2, 'b': 1}.get)}"),
        r#"["b","a"]"#
    );
}

#[test]
fn text_forms() {
    assert_eq!(
        render("$expr{[none, true, 2.0, 'é\"', {\"a\": [1]}]}"),
        r#"[null,true,2.0,"é\"",{"a":[1]}]"#
    );
    assert_eq!(
        render("$expr{float}|$expr{none}|$expr{1e16}|$expr{str(true)}|$expr{str(none)}|"),
        "2.0||1e+16|true||"
    );
    assert_eq!(
        render("$expr{py: str(True)} $expr{py: f'{None} {[1.0]}'} $expr{py: True}"),
        "True None [1.0] true"
    );
    assert_eq!(
        render("$expr{py: (1, 2)} $expr{py: {3}} $expr{py: range(3)} $expr{py: (x for x in 'ab')}"),
        r#"[1,2] [3] [0,1,2] ["a","b"]"#
    );
    assert_eq!(
        render("$expr{py: {1: 'a', None: 'b', True: 'c', 2.5: 'd'}}"),
        r#"{"1":"c","null":"b","2.5":"d"}"#
    );
    assert_eq!(render("$expr{py: 2**100}"), "1267650600228229401496703205376");
    assert_eq!(fails("$expr{py: 2**100000}x").0, "template_value");
    assert_eq!(fails("x$expr{py: [float('nan')]}").0, "template_value");
    assert_eq!(fails("$expr{py: max}").0, "template_type");
    assert_eq!(fails("$expr{py: [str]}").0, "template_type");
}

#[test]
fn a_quoted_value_is_one_word_of_a_shell() {
    assert_eq!(
        render("$expr{sh(name)} $expr{sh(n)} $expr{sh('')} $expr{sh(none)}"),
        "'Ann' '3' '' ''"
    );
    assert_eq!(
        render("$expr{sh(hostile)}"),
        "'it'\\''s; rm -rf \"$HOME\" `id`\n'"
    );
    assert_eq!(fails("$expr{sh('\\0')}").0, "template_value");
}

#[test]
fn messages_say_where_and_what_to_write() {
    for (source, message, hint) in [
        (
            "$expr{not t}",
            "unexpected `not`, a value was expected",
            "start the expression with `py:` for Python syntax",
        ),
        (
            "$expr{a and b}",
            "unexpected `and`, the closing `}` was expected",
            "write `&&`, or start the expression with `py:`",
        ),
        (
            "$expr{py: a && b}",
            "unexpected `&&`, the closing `}` was expected",
            "in `py:` expressions write `and`",
        ),
        (
            "$expr{PY: a}",
            "unexpected `:`, the closing `}` was expected",
            "`py:` is written in lower case",
        ),
        (
            "$expr{list.0}",
            "unexpected `.0`, the closing `}` was expected",
            "write `[0]` for an element of a list, `[\"0\"]` for a key",
        ),
        (
            "$expr{user.a b}",
            "unexpected `b`, the closing `}` was expected",
            "a key with a blank is written `[\"…\"]`",
        ),
        (
            "$var{user.name}",
            "`user.name` is not the name of a variable",
            "for more than a name write `$expr{user.name}`",
        ),
        (
            "$var{name",
            "`$var{` is never closed",
            "for this text itself write `$$var{`",
        ),
        (
            "$expr{name",
            "`$expr{` is never closed",
            "for this text itself write `$$expr{`",
        ),
        (
            "$hier{a b}",
            "`a b` is not the name of a step",
            "names of components joined by dots, such as `main_flow.build`; what is read of the result comes after the brace",
        ),
        (
            "$hier{build}.outcome",
            "the path behind `$hier{…}` would be text",
            "write `$expr{ $hier{build}… }`",
        ),
        (
            "$expr{list.length}",
            "a list has no member `length`",
            "write `len(…)`",
        ),
        ("$expr{user.b}", "no key `b`", "it has `a b`, `get`"),
        (
            "$expr{name + n}",
            "`+` does not work for text and an integer",
            "make text of the other side with `str(…)`",
        ),
        (
            "$expr{py: true}",
            "`true` is undefined",
            "in `py:` expressions write `True`",
        ),
        (
            "$expr{py: x = 1}",
            "unexpected `=`, the closing `}` was expected",
            "an expression assigns nothing; equality is `==`",
        ),
    ] {
        let (_, found, found_hint) = fails(source);
        assert_eq!((found.as_str(), found_hint.as_str()), (message, hint), "{source}");
    }
}

#[test]
fn errors_point_at_the_expression() {
    let source = "é $var{name} $expr{ list[0] + user.missing.x } end";
    let error = Template::parse(source)
        .unwrap()
        .render(&scope(), &Limits::default())
        .unwrap_err();
    assert_eq!(error.kind(), EvalErrorKind::Missing);
    assert_eq!(&source[error.span().range()], "user.missing");
    let error = Template::parse("$expr{1 + unreadable}")
        .unwrap()
        .render(&scope(), &Limits::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot look up the variable `unreadable`");
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the store is gone"
    );
}

#[test]
fn references_are_listed_with_their_paths() {
    let source = "$var{a} $var{b:x} $expr{c.d[0]['e'] || f} $hier{g} \
        $expr{py: [h + i for i in $hier{j.*.k}.outcome[-1].x if l(i)] + [len(m), json.dumps(n), str]}";
    let template = Template::parse(source).unwrap();
    let listed: Vec<_> = template
        .references()
        .iter()
        .map(|reference| {
            assert!(source[reference.span.range()].contains(&reference.name));
            let step = reference.kind == ReferenceKind::Hier;
            format!(
                "{}{}{}",
                if step { "step " } else { "" },
                reference.name,
                if reference.guarded { "?" } else { "" }
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            "a",
            "b?",
            "c?",
            "f",
            "step g",
            "h",
            "step j.*.k",
            "l",
            "m",
            "n",
            "str?"
        ]
    );
    let key = |key: &str| PathSegment::Key(key.to_owned());
    assert_eq!(
        template.references()[2].path,
        [key("d"), PathSegment::Index(0), key("e")]
    );
    assert_eq!(
        template.references()[6].path,
        [key("outcome"), PathSegment::Index(-1), key("x")]
    );
}

#[test]
fn parts_are_text_and_placeholders() {
    let template = Template::parse("grep $expr{name} $$var{x} $hier{build} $var{n}").unwrap();
    let mut command = String::new();
    let mut arguments = Vec::new();
    for part in template.parts() {
        match part {
            Part::Text { text, span } => {
                assert_eq!(&template.source()[span.range()], text);
                command.push_str(text);
            }
            Part::Placeholder(placeholder) => {
                assert_eq!(
                    &template.source()[placeholder.span().range()],
                    placeholder.source()
                );
                arguments.push((
                    placeholder.kind(),
                    placeholder.render(&scope(), &Limits::default()).unwrap(),
                ));
                command.push_str(&format!("\"${{{}}}\"", arguments.len()));
            }
        }
    }
    assert_eq!(command, r#"grep "${1}" $var{x} "${2}" "${3}""#);
    assert_eq!(arguments[0], (PlaceholderKind::Expression, "Ann".to_owned()));
    assert_eq!(arguments[1].0, PlaceholderKind::Step);
    assert_eq!(arguments[2], (PlaceholderKind::Variable, "3".to_owned()));
    assert!(!template.is_single_placeholder());
    assert!(template.as_literal().is_none());
    assert!(Template::parse("$var{n}").unwrap().is_single_placeholder());
    assert_eq!(
        Template::parse("a $$var{n} b").unwrap().as_literal().unwrap(),
        "a $var{n} b"
    );
}

#[test]
fn a_name_is_looked_up_once() {
    use std::cell::Cell;
    struct Counting(Cell<u32>);
    impl dad_template::Scope for Counting {
        fn variable(&self, _: &str) -> Result<Option<Value>, dad_template::ScopeError> {
            self.0.set(self.0.get() + 1);
            Ok(Some(Value::from(1)))
        }
        fn step(&self, _: &str) -> Result<Option<Value>, dad_template::ScopeError> {
            self.0.set(self.0.get() + 1);
            Ok(None)
        }
    }
    let scope = Counting(Cell::new(0));
    let template = Template::parse(
        "$var{x}$expr{x + x}$expr{py: sum(x for i in range(100))}$expr{$hier{a} || $hier{a} || 1}",
    );
    template.unwrap().render(&scope, &Limits::default()).unwrap();
    assert_eq!(scope.0.get(), 2);
}

#[test]
fn words_are_limited_after_rendering() {
    let template = Template::parse("$var{name}  b\nc").unwrap();
    let options = RenderOptions::default();
    let render = |options| {
        template
            .render_with(&scope(), &Limits::default(), &options)
            .unwrap()
    };
    assert_eq!(render(options), "Ann  b\nc");
    assert_eq!(render(options.max_words(0)), "Ann  b\nc");
    assert_eq!(render(options.max_words(2)), "Ann b");
}

#[test]
fn large_values_are_shared_and_comprehensions_are_fast() {
    let scope = TestScope::with(
        &json!({"items": (0..10_000).map(|n| json!({"n": n, "s": "x"})).collect::<Vec<_>>(), "big": "x".repeat(1 << 20)}),
    );
    let limits = Limits::default();
    let (value, counters) = Template::parse("$expr{items}")
        .unwrap()
        .evaluate_counted(&scope, &limits);
    assert_eq!(value.unwrap().len(), Some(10_000));
    assert!(
        counters.steps < 10 && counters.bytes == 0,
        "reading copies nothing: {counters:?}"
    );
    let (value, counters) = Template::parse("$expr{big}")
        .unwrap()
        .evaluate_counted(&scope, &limits);
    assert_eq!(value.unwrap().as_str().unwrap().len(), 1 << 20);
    assert_eq!(counters.bytes, 0);
    let source = "$expr{py: sum(i.n * 2 for i in items if i.s == 'x' and i['n'] % 3 == 0)}";
    let (value, counters) = Template::parse(source).unwrap().evaluate_counted(&scope, &limits);
    assert_eq!(value.unwrap().as_i64(), Some(33_336_666));
    assert!(counters.steps < limits.steps / 10, "{counters:?}");
}
