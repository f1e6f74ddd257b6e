//! The models that documentation and examples name, which readers copy.

use std::path::Path;

/// Models that their providers have withdrawn, or have said when they do.
const RETIRED: &[&str] = &[
    "claude-2",
    "claude-3",
    "claude-mythos-preview",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-5",
    "gpt-3.5",
    "gpt-4-32k",
    "gpt-4-vision",
    "gemini-1.",
    "gemini-pro",
];

#[test]
fn no_page_or_example_names_a_retired_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut open = vec![root.join("README.md"), root.join("docs"), root.join("examples")];
    let mut pages = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let is_read = ["md", "yaml", "rs"]
            .iter()
            .any(|end| path.extension().is_some_and(|e| e == *end));
        let is_data = path
            .components()
            .any(|part| part.as_os_str() == "runs" || part.as_os_str() == "target");
        if !is_read || is_data {
            continue;
        }
        pages += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let named = RETIRED.iter().find(|name| text.contains(**name));
        assert_eq!(named, None, "{}", path.display());
    }
    assert!(pages > 10, "{pages}");
}
