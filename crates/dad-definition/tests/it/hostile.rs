//! Texts that want to harm.

use std::path::Path;
use std::time::{Duration, Instant};

use dad_definition::{MAX_PROBLEMS, Problems, compile, load_str};
use proptest::prelude::*;

use crate::any_text::load_and_compile;
use crate::loading::{AUTOCODER, id};
use crate::registry::Registry;

/// Loads and compiles, which must neither panic nor take long. What is wrong is returned.
fn survive_as(name: &str, text: &str) -> Option<Problems> {
    let started = Instant::now();
    let result = load_str(text, name, None, None).and_then(|loaded| {
        compile(
            &loaded.definition,
            &id("root"),
            &Registry::new(),
            Some(&loaded.spans),
        )
    });
    if let Err(problems) = &result {
        let shown = problems.to_string();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        assert!((1..=MAX_PROBLEMS + 1).contains(&problems.as_slice().len()));
    }
    // Far more than it takes, because tests run beside others.
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    result.err()
}

fn survive(text: &str) -> Option<Problems> {
    survive_as("x.json", text);
    survive_as("x.yaml", text)
}

fn code(text: &str) -> &'static str {
    survive_as("x.yaml", text).map_or("fine", |problems| problems.as_slice()[0].code)
}

fn flow(rest: &str) -> String {
    format!("schema_version: 1\nkind: flow\n{rest}")
}

#[test]
fn deep_nesting_ends_early() {
    for bracket in ["[", "{a: ", "- ", "? "] {
        let text = flow(&format!("elements:\n  {}", bracket.repeat(200_000)));
        assert!(matches!(code(&text), "too_deep" | "yaml_syntax"), "{bracket}");
    }
    assert_eq!(
        code(&format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000))),
        "too_deep"
    );
    let json = format!("{{\"a\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(
        load_str(&json, "x.json", None, None).unwrap_err().as_slice()[0].code,
        "too_deep"
    );

    let mut nested = "[{ node: x, type: command, settings: { commands: [] } }]".to_owned();
    for _ in 0..46 {
        nested = format!("[{{ subflow: s, elements: {nested} }}]");
    }
    assert_eq!(code(&flow(&format!("elements: {nested}"))), "fine");
    for _ in 0..10 {
        nested = format!("[{{ subflow: s, elements: {nested} }}]");
    }
    assert_eq!(code(&flow(&format!("elements: {nested}"))), "too_deep");
}

#[test]
fn aliases_are_never_followed() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..60 {
        let before = level - 1;
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{before}"); 9].join(", ")
        ));
    }
    let problems = survive(&text).unwrap();
    assert!(problems.iter().any(|problem| problem.code == "yaml_alias"));
    assert_eq!(problems.as_slice().len(), MAX_PROBLEMS + 1);
    assert!(problems.to_string().ends_with("more problems"));
}

#[test]
fn control_characters_are_refused() {
    for character in ['\0', '\u{1}', '\u{1b}', '\u{7f}'] {
        assert_eq!(
            code(&flow(&format!("output: \"a{character}b\"\nelements: []"))),
            "control_character"
        );
    }
    // The parser would stop at a NUL in silence and lose what follows.
    assert_eq!(code(&flow("elements: []\n\0output: x")), "control_character");
    assert_eq!(code(&flow("output: \"a\\0b\"\nelements: []")), "nul");
    assert_eq!(
        code(&flow("elements:\n  - { node: \"\\e[2J\", type: command }")),
        "invalid_id"
    );
    assert_eq!(code(&flow("\"\\e[2J\\x7f\": 1\nelements: []")), "unknown_key");
}

#[test]
fn size_is_limited_and_cheap() {
    assert_eq!(
        code(&flow(&format!("elements: []\noutput: {}", "x".repeat(5 << 20)))),
        "too_large"
    );
    assert_eq!(
        code(&flow(&format!("elements: []\noutput: {}", "x".repeat(3 << 20)))),
        "fine"
    );
    assert_eq!(
        code(&flow(&format!(
            "elements: []\noutput: [{}]",
            "1,".repeat(1 << 20)
        ))),
        "too_large"
    );
    // Many values below long keys.
    let deep: String = (0..90)
        .map(|level| format!("{{{}{level}: ", "k".repeat(900)))
        .collect();
    let values = "1,".repeat(60_000);
    let closing = "}".repeat(90);
    assert_eq!(
        code(&flow(&format!("elements: []\noutput: {deep}[{values}]{closing}"))),
        "too_large"
    );
    assert_eq!(
        code(&flow(&format!(
            "elements: []\noutput: {{ ? \"{}\" : 1 }}",
            "k".repeat(2000)
        ))),
        "key_too_long"
    );
    // One long line with many values.
    let line = format!(
        "{{\"schema_version\":1,\"kind\":\"flow\",\"elements\":[],\"output\":[{}1]}}",
        "\"é\",".repeat(200_000)
    );
    assert!(load_str(&line, "x.json", None, None).is_ok());
}

#[test]
fn many_mistakes_are_cheap() {
    let many = |line: &str| line.repeat(20_000);
    survive(&flow(&many("yes: no\n")));
    survive(&flow(&format!("elements: []\noutput:\n{}", many("  - yes\n"))));
    survive(&flow(&format!(
        "elements: []\noutput:\n{}",
        many("  - '$expr{'\n")
    )));
    survive(&flow(&format!(
        "elements: []\noutput:\n{}",
        many("  - $var{x}\n")
    )));
    survive(&flow(&format!(
        "elements: []\noutput:\n{}",
        many("  - $hier{x}\n")
    )));
    survive(&flow(&format!("elements:\n{}", many("  - { nod: x }\n"))));
    let keys: String = (0..20_000).map(|n| format!("k{n}: 1\n")).collect();
    survive(&flow(&keys));
    let variables: String = (0..20_000)
        .map(|n| format!("  v{n}: $var{{v{}}}\n", n / 2))
        .collect();
    survive(&flow(&format!("elements: []\nvariables:\n  v: 1\n{variables}")));
    let settings: String = (0..20_000).map(|n| format!("      k{n}: 1\n")).collect();
    survive(&flow(&format!(
        "elements:\n  - node: a\n    type: command\n    settings:\n{settings}"
    )));
    let nodes: String = (0..10_000)
        .map(|n| {
            format!(
                "  - {{ node: n{n}, type: command, settings: {{ commands: ['$hier{{n{}}}'] }} }}\n",
                n / 2
            )
        })
        .collect();
    survive(&flow(&format!("elements:\n{nodes}")));
}

/// Pieces of YAML and of definitions, which meet in ways that random characters rarely do.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "#",
    "&a ",
    "*a ",
    "!t ",
    "<<",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "😀",
    "\\u00e9",
    "\\",
    "~",
    "yes",
    "1e5",
    "-0",
    "null",
    "schema_version: 1\n",
    "kind: flow\n",
    "kind: agent\n",
    "elements:\n",
    "node: a",
    "type: command",
    "settings: ",
    "commands: ",
    "flow: f",
    "variables: ",
    "$file: x",
    "$json: x",
    "$expr{",
    "$var{a}",
    "$hier{a.b}",
    "$$var{",
    "for_each: x",
    "timeout: 3",
    "retry: ",
    "budget: ",
    "output: ",
    "required: ",
    "finally: ",
    "a",
    " ",
];

#[test]
fn the_seeds_of_the_fuzz_target_never_panic() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/seeds");
    let mut count = 0;
    for seed in seeds.read_dir().unwrap() {
        let text = std::fs::read_to_string(seed.unwrap().path()).unwrap();
        load_and_compile(&text);
        survive(&text);
        count += 1;
    }
    assert!(count > 15, "{count} seeds");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}|(?s).{0,200}") {
        survive(&text);
        load_and_compile(&text);
    }

    #[test]
    fn arbitrary_pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        survive(&pieces.concat());
        load_and_compile(&pieces.concat());
    }

    #[test]
    fn a_damaged_definition_never_panics(
        at in 0..AUTOCODER.len(), length in 0..40_usize, piece in prop::sample::select(PIECES)
    ) {
        let boundary = |at: usize| (at..=AUTOCODER.len()).find(|at| AUTOCODER.is_char_boundary(*at)).unwrap();
        let (start, end) = (boundary(at), boundary((at + length).min(AUTOCODER.len())));
        let damaged = format!("{}{piece}{}", &AUTOCODER[..start], &AUTOCODER[end..]);
        survive(&damaged);
        load_and_compile(&damaged);
    }
}
