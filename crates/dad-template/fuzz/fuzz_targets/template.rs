//! Any text: parsing never panics, printing keeps the tree, and evaluating stays within its limits.
//!
//! `cargo +nightly fuzz run template` in `crates/dad-template`.

#![no_main]

use std::collections::HashMap;

use dad_template::{Limits, Template, Value, escape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse(&escape(text)) {
        assert_eq!(template.as_literal().as_deref(), Some(text));
    }
    let scope = HashMap::from([
        ("a".to_owned(), Value::from(3)),
        ("s".to_owned(), Value::from("some text")),
        ("l".to_owned(), Value::list([Value::from(1), Value::from(2.5), Value::from("x")])),
    ]);
    let limits = Limits::default().with_steps(100_000);
    for source in [text.to_owned(), format!("$expr{{{text}}}"), format!("$expr{{py: {text}}}")] {
        let Ok(template) = Template::parse(&source) else { continue };
        let again = Template::parse(&template.to_string());
        // A printed tree has brackets of its own and may nest deeper than the limit.
        match again {
            Ok(again) => assert!(template == again),
            Err(error) => assert_eq!(error.code(), "template_limit"),
        }
        let (_, counters) = template.render_counted(&scope, &limits);
        assert!(counters.steps <= limits.steps && counters.bytes <= limits.bytes);
    }
});
