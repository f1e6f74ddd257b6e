//! The pages of the repository: their links resolve, the book of `docs/` has each page once, and mdBook builds it.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::process::TaskError;
use crate::tidy::{Finding, SourceFile};
use crate::workspace_root;

/// The list of the pages of the book, in their order.
const SUMMARY: &str = "docs/SUMMARY.md";

/// The directory of the book.
const BOOK: &str = "docs/";

/// The beginning of a link from the book to a file outside of it. A relative one would lead nowhere in the built book.
const REPOSITORY: &str = "https://github.com/dhenara/dhenara-rs/blob/main/";

/// Builds the book below `target/book`, if there is a `mdbook`.
///
/// # Errors
/// If mdBook fails or warns.
pub fn run() -> Result<(), TaskError> {
    let mut command = Command::new("mdbook");
    let built = match command.arg("build").current_dir(workspace_root()).output() {
        Ok(built) => built,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("note: the book is not built, because there is no `mdbook`");
            return Ok(());
        }
        Err(error) => return Err(TaskError(format!("cannot start `mdbook`: {error}"))),
    };
    let printed = [built.stderr, built.stdout].concat();
    let printed = String::from_utf8_lossy(&printed);
    if built.status.success() && is_without_warning(&printed) {
        return Ok(());
    }
    Err(TaskError(format!("`mdbook build` does not pass:\n{printed}")))
}

/// Whether mdBook had no complaint: its warnings do not change how it ends.
fn is_without_warning(printed: &str) -> bool {
    let is_complaint = |line: &str| ["WARN", "ERROR"].iter().any(|level| line.contains(level));
    !printed.lines().any(is_complaint)
}

/// A page, as its reader sees it.
struct Page<'a> {
    file: &'a SourceFile,
    /// The names of its headings in a link.
    anchors: BTreeSet<String>,
    /// The links of the page, each with its line.
    links: Vec<(usize, String)>,
}

/// Returns every link of a page that leads nowhere, and every difference between the book and its list of pages.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    // Rustdoc resolves the links of pages that are documentation of a crate.
    let is_other = |path: &str| path.contains("/data/") || path.contains("/src/");
    let is_page = |file: &&SourceFile| file.path.ends_with(".md") && !is_other(&file.path);
    let pages: BTreeMap<&str, Page<'_>> = files
        .iter()
        .filter(is_page)
        .map(|file| (file.path.as_str(), read(file)))
        .collect();
    let mut findings = Vec::new();
    for page in pages.values() {
        for (line, link) in &page.links {
            if let Some(message) = problem(page, link, files, &pages) {
                findings.push(Finding {
                    path: page.file.path.clone(),
                    line: Some(*line),
                    message,
                });
            }
        }
    }
    check_summary(&pages, &mut findings);
    findings
}

/// Each page of the book stands in its list, once. A page of the list that does not exist is a link that leads nowhere.
fn check_summary(pages: &BTreeMap<&str, Page<'_>>, findings: &mut Vec<Finding>) {
    let listed: Vec<String> = pages.get(SUMMARY).map_or_else(Vec::new, |summary| {
        let links = summary.links.iter();
        links
            .filter_map(|(_, link)| target(SUMMARY, link))
            .map(|(path, _)| path)
            .collect()
    });
    for path in pages
        .keys()
        .filter(|path| path.starts_with(BOOK) && **path != SUMMARY)
    {
        let message = match listed.iter().filter(|listed| listed == path).count() {
            1 => continue,
            0 => format!("stands not in {SUMMARY}, so the book omits it"),
            count => format!("stands {count} times in {SUMMARY}"),
        };
        findings.push(Finding {
            path: (*path).to_owned(),
            line: None,
            message,
        });
    }
}

fn read(file: &SourceFile) -> Page<'_> {
    let mut anchors = BTreeSet::new();
    let mut links = Vec::new();
    let mut heading: Option<String> = None;
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    for (event, range) in Parser::new_ext(&file.text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&heading.take().unwrap_or_default());
                let repeated = (1..).map(|count| format!("{name}-{count}"));
                let mut names = std::iter::once(name.clone()).chain(repeated);
                anchors.extend(names.find(|name| !anchors.contains(name)));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let line = file.text[..range.start].matches('\n').count() + 1;
                links.push((line, dest_url.into_string()));
            }
            _ => {}
        }
    }
    Page { file, anchors, links }
}

/// The name of a heading in a link, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The reason why a link leads nowhere.
fn problem(
    page: &Page<'_>,
    link: &str,
    files: &[SourceFile],
    pages: &BTreeMap<&str, Page<'_>>,
) -> Option<String> {
    let (path, anchor) = target(&page.file.path, link)?;
    let is_relative = !link.starts_with(REPOSITORY);
    if is_relative && page.file.path.starts_with(BOOK) && !path.starts_with(BOOK) {
        return Some(format!(
            "the link `{link}` leads out of the book: write {REPOSITORY}{path}"
        ));
    }
    let is_below = |file: &SourceFile| {
        file.path
            .strip_prefix(&path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !files.iter().any(is_below) {
        return Some(format!(
            "the link `{link}` leads nowhere: there is no file `{path}`"
        ));
    }
    let anchor = anchor?;
    let is_there = pages
        .get(path.as_str())
        .is_some_and(|page| page.anchors.contains(&anchor));
    let message = || format!("the link `{link}` leads nowhere: `{path}` has no heading `#{anchor}`");
    (!is_there).then(message)
}

/// The file of the repository that a link on a page names, from the root, and the heading in it.
fn target(page: &str, link: &str) -> Option<(String, Option<String>)> {
    let (base, link) = match link.strip_prefix(REPOSITORY) {
        Some(path) => (Path::new(""), path),
        None if link.contains("://") || link.starts_with("mailto:") => return None,
        None => (Path::new(page).parent()?, link),
    };
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    if path.is_empty() {
        return Some((page.to_owned(), anchor));
    }
    let mut whole = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::ParentDir if whole.pop() => {}
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    Some((whole.to_string_lossy().into_owned(), anchor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files;

    #[track_caller]
    fn check_pages(pages: &[(&str, &str)], expected: &[&str]) {
        let files: Vec<SourceFile> = pages
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let found: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let page = |link: &str| format!("# A `b` c, d\n\n## Same\n\n## Same\n\nA [long\nlink]({link}).\n");
        let check_link = |link: &str, expected: &[&str]| {
            check_pages(
                &[
                    ("CONTRIBUTING.md", "# Contributing\n"),
                    ("examples/one/README.md", &page(link)),
                    ("examples/one/src/a.rs", ""),
                ],
                expected,
            );
        };
        for link in [
            "https://example.com/x#y",
            "#a-b-c-d",
            "#same-1",
            "src",
            "src/a.rs",
            "../../CONTRIBUTING.md#contributing",
            "https://github.com/dhenara/dhenara-rs/blob/main/CONTRIBUTING.md",
        ] {
            check_link(link, &[]);
        }
        let place = "examples/one/README.md:7: the link";
        let no_file = format!("{place} `b.md` leads nowhere: there is no file `examples/one/b.md`");
        check_link("b.md", &[&no_file]);
        let no_heading =
            format!("{place} `#same-2` leads nowhere: `examples/one/README.md` has no heading `#same-2`");
        check_link("#same-2", &[&no_heading]);
    }

    #[test]
    fn text_in_code_is_no_link() {
        check_pages(
            &[("README.md", "`[a](b.md)`\n\n```\n[a](b.md)\n# Heading\n```\n")],
            &[],
        );
    }

    #[test]
    fn the_book_has_each_page_once() {
        check_pages(
            &[
                (
                    "docs/SUMMARY.md",
                    "- [A](a.md)\n- [B](b.md)\n- [B](b.md)\n- [C](c.md)\n",
                ),
                ("docs/a.md", ""),
                ("docs/b.md", ""),
                ("docs/d.md", ""),
            ],
            &[
                "docs/SUMMARY.md:4: the link `c.md` leads nowhere: there is no file `docs/c.md`",
                "docs/b.md: stands 2 times in docs/SUMMARY.md",
                "docs/d.md: stands not in docs/SUMMARY.md, so the book omits it",
            ],
        );
    }

    #[test]
    fn a_page_of_the_book_links_files_outside_of_it_by_their_address() {
        check_pages(
            &[
                ("LICENSE", ""),
                ("docs/SUMMARY.md", "- [A](a.md)\n"),
                ("docs/a.md", "[L](../LICENSE)\n"),
            ],
            &["docs/a.md:1: the link `../LICENSE` leads out of the book: write \
                 https://github.com/dhenara/dhenara-rs/blob/main/LICENSE"],
        );
    }

    #[test]
    fn a_warning_of_mdbook_counts() {
        assert!(is_without_warning(" INFO Book building has started\n"));
        assert!(!is_without_warning(" INFO a\n WARN unclosed HTML tag\n"));
    }

    #[test]
    fn this_repository_passes() {
        assert_eq!(check(&files().unwrap()), []);
    }
}
