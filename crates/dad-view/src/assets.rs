//! The page without its data: style, modules, and the policy that lets nothing else execute.
//!
//! A release holds the files in the program; a debug build reads them from their directory each time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

/// The module that the page of one run begins with.
const EXPORTED: &str = "page.js";

/// The files of the page.
#[derive(RustEmbed)]
#[folder = "assets"]
struct Assets;

/// The text of a file that belongs to this crate.
fn text_of(name: &str) -> String {
    let file = Assets::get(name).map(|file| file.data);
    String::from_utf8_lossy(&file.unwrap_or(Cow::Borrowed(b""))).into_owned()
}

/// The style of the page.
pub(crate) fn style() -> String {
    text_of("page.css")
}

/// The modules as one, beginning with those that others import, and without imports: all names are in one scope.
pub(crate) fn script(entry: &str) -> String {
    let mut script = String::new();
    add_module(entry, &mut Vec::new(), &mut script);
    script
}

fn add_module(name: &str, added: &mut Vec<String>, script: &mut String) {
    if added.iter().any(|known| known == name) {
        return;
    }
    added.push(name.to_owned());
    let module = text_of(name);
    for imported in module.lines().filter_map(imported_by) {
        add_module(imported, added, script);
    }
    for line in module.lines().filter(|line| !line.starts_with("import ")) {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
    }
}

/// The module that a line imports.
fn imported_by(line: &str) -> Option<&str> {
    let (_, name) = line.strip_prefix("import ")?.split_once("\"./")?;
    Some(name.split_once('"')?.0)
}

fn source_of(inline: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inline)))
}

/// The elements that begin the head of each page. The title is text, never markup.
pub(crate) fn head_elements(title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n"
    )
}

/// The content of each page before its script has made it.
pub(crate) const BODY: &str = "<noscript>This page shows runs by its script, which this browser does not execute.</noscript>\n\
     <div id=\"page\"></div>\n";

/// The parts of a file that shows one run, around its data.
pub(crate) struct ExportedPage {
    /// The beginning, up to the data.
    pub(crate) head: String,
    /// The end, behind the data.
    pub(crate) tail: String,
}

impl ExportedPage {
    pub(crate) fn new(title: &str) -> Self {
        let (style, script) = (style(), script(EXPORTED));
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
            source_of(&script),
            source_of(&style)
        );
        let elements = head_elements(title);
        Self {
            head: format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n{elements}\
                 <style>{style}</style>\n</head>\n<body>\n{BODY}"
            ),
            tail: format!("<script type=\"module\">{script}</script>\n</body>\n</html>\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_style_nor_script_can_end_its_element() {
        for inline in [style(), script(EXPORTED)] {
            let inline = inline.to_ascii_lowercase();
            for mark in ["</", "<!--", "<script"] {
                assert!(!inline.contains(mark), "`{mark}` stands in an asset");
            }
        }
    }

    #[test]
    fn the_script_imports_nothing_and_writes_no_markup() {
        // Types of other modules are named in comments.
        let script: String = script(EXPORTED)
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
        let script = script(EXPORTED);
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
        let page = ExportedPage::new("run");
        assert!(page.head.len() + page.tail.len() < 200_000);
    }
}
