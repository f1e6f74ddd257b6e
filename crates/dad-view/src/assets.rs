//! The page without its data: style, modules, and the policy that lets nothing else execute.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("../assets/page.css");

/// The modules, each behind those that it imports.
const MODULES: &[&str] = &[
    include_str!("../assets/dom.js"),
    include_str!("../assets/text.js"),
    include_str!("../assets/ansi.js"),
    include_str!("../assets/markdown.js"),
    include_str!("../assets/json.js"),
    include_str!("../assets/diff.js"),
    include_str!("../assets/run.js"),
    include_str!("../assets/list.js"),
    include_str!("../assets/tree.js"),
    include_str!("../assets/timeline.js"),
    include_str!("../assets/overview.js"),
    include_str!("../assets/step.js"),
    include_str!("../assets/page.js"),
];

/// The modules as one: without imports, for all names are in one scope.
fn script() -> String {
    let lines = MODULES.iter().flat_map(|module| module.lines());
    let own = lines.filter(|line| !line.starts_with("import "));
    own.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line)))
        .collect()
}

fn source_of(inline: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inline)))
}

/// The beginning of the page, up to its data. The title is text, never markup.
pub(crate) fn head(title: &str) -> String {
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        source_of(&script()),
        source_of(STYLE)
    );
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <noscript>This page shows a run by its script, which this browser does not execute.</noscript>\n\
         <div id=\"page\"></div>\n"
    )
}

/// The end of the page, behind its data.
pub(crate) fn tail() -> String {
    format!(
        "<script type=\"module\">{}</script>\n</body>\n</html>\n",
        script()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_style_nor_script_can_end_its_element() {
        for inline in [STYLE, &script()] {
            let inline = inline.to_ascii_lowercase();
            for mark in ["</", "<!--", "<script"] {
                assert!(!inline.contains(mark), "`{mark}` stands in an asset");
            }
        }
    }

    #[test]
    fn the_script_imports_nothing_and_writes_no_markup() {
        // Types of other modules are named in comments.
        let script: String = script()
            .split("/*")
            .map(|part| part.split_once("*/").map_or(part, |(_, code)| code))
            .collect();
        for word in [
            "import(",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "fetch(",
            "XMLHttpRequest",
            "setAttribute(\"style\"",
        ] {
            assert!(!script.contains(word), "`{word}` stands in the script");
        }
        assert!(script.lines().all(|line| !line.starts_with("import ")));
    }

    #[test]
    fn each_name_is_of_one_module() {
        let script = script();
        let mut names = std::collections::BTreeSet::new();
        for line in script.lines() {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let kinds = ["function ", "const ", "class ", "let "];
            let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else {
                continue;
            };
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            assert!(!names.contains(&name), "two modules have `{name}`");
            names.insert(name);
        }
        assert!(names.len() > 50, "{names:?}");
    }

    #[test]
    fn the_page_is_small() {
        assert!(head("run").len() + tail().len() < 200_000);
    }
}
