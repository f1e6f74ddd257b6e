//! The page `docs/reference/exit-codes-and-errors.md`: it has each exit code, error code and environment variable of the
//! source, and no other.

use std::collections::BTreeSet;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ExprStruct, ImplItemFn, ItemConst, ItemMod, Lit, LitStr, Macro, Token};

use crate::tidy::{Finding, READS_ENVIRONMENT, SourceFile};

/// The page.
const PAGE: &str = "docs/reference/exit-codes-and-errors.md";

/// The file of the exit codes.
const EXIT_CODES: &str = "crates/dad-cli/src/exit_code.rs";

/// The types of errors that carry a code, each made by a function that takes the code among its first arguments.
const WITH_CODE: &[&str] = &[
    "ApiError",
    "CommandError",
    "ErrorInfo",
    "NodeError",
    "Problem",
    "Self",
    "SettingsProblem",
];

/// Functions that make such an error of a code.
const MAKERS: &[&str] = &["problem", "refusal", "refused"];

/// The headings of the page, each above a table of one kind of names.
const SECTIONS: [&str; 3] = ["## Exit codes", "## Error codes", "## Environment variables"];

/// Compares the page with the source files of the crates.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let text = files.iter().find(|file| file.path == PAGE);
    let text = text.map_or("", |file| file.text.as_str());
    let found = Names::of(files);
    let kinds = [found.exit_codes, found.error_codes, found.variables];
    let mut findings = Vec::new();
    for (heading, found) in SECTIONS.iter().zip(&kinds) {
        let listed = names_below(text, heading);
        let missing = found.difference(&listed);
        let missing = missing.map(|name| format!("`{name}` is missing below \"{heading}\""));
        let stale = listed.difference(found);
        let stale = stale.map(|name| format!("`{name}` below \"{heading}\" does not exist in the source"));
        findings.extend(missing.chain(stale).map(|message| Finding {
            path: PAGE.to_owned(),
            line: None,
            message,
        }));
    }
    findings
}

/// The names in the first column of the tables below a heading.
fn names_below(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split_once(&format!("{heading}\n"));
    let section = section.map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The names in the source files, without those of tests.
#[derive(Default)]
struct Names {
    exit_codes: BTreeSet<String>,
    error_codes: BTreeSet<String>,
    variables: BTreeSet<String>,
    /// Whether the file that is visited reads the environment.
    reads_environment: bool,
    /// Whether the file that is visited has the exit codes.
    has_exit_codes: bool,
    /// Whether the function that is visited gives the code of an error.
    in_code: bool,
}

impl Names {
    fn of(files: &[SourceFile]) -> Self {
        let mut names = Self::default();
        let is_source = |file: &&SourceFile| {
            let is_rust = file.path.starts_with("crates/") && file.path.ends_with(".rs");
            is_rust && file.path.contains("/src/") && !is_test(file, files)
        };
        for file in files.iter().filter(is_source) {
            // `cargo xtask layers` reports a file that cannot be parsed.
            let Ok(parsed) = syn::parse_file(&file.text) else {
                continue;
            };
            names.reads_environment = READS_ENVIRONMENT.contains(&file.path.as_str());
            names.has_exit_codes = file.path == EXIT_CODES;
            names.visit_file(&parsed);
        }
        names
    }

    fn add_code(&mut self, text: &str) {
        let is_code = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_code {
            self.error_codes.insert(text.to_owned());
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let is_test = |attribute: &Attribute| {
            let condition = attribute.meta.require_list();
            attribute.path().is_ident("cfg")
                && condition.is_ok_and(|condition| condition.tokens.to_string().contains("test"))
        };
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if self.has_exit_codes
            && let Some(Lit::Int(number)) = literal(&item.expr)
        {
            self.exit_codes.insert(number.base10_digits().to_owned());
        }
        visit::visit_item_const(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.in_code = item.sig.ident == "code";
        visit::visit_impl_item_fn(self, item);
        self.in_code = false;
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        let text = text.value();
        if self.in_code {
            self.add_code(&text);
        }
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let begins = text.starts_with(|c: char| c.is_ascii_uppercase());
        if self.reads_environment
            && begins
            && text.len() > 1
            && !text.ends_with('_')
            && text.chars().all(is_name)
        {
            self.variables.insert(text);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let arguments = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for argument in arguments.iter().flatten() {
            self.visit_expr(argument);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func {
            let mut names = function
                .path
                .segments
                .iter()
                .rev()
                .map(|part| part.ident.to_string());
            let function = names.next().unwrap_or_default();
            let makes = match names.next() {
                Some(name) => {
                    ["new", "usage", "from_error"].contains(&function.as_str())
                        && WITH_CODE.contains(&name.as_str())
                }
                None => MAKERS.contains(&function.as_str()),
            };
            if makes && !call.args.is_empty() {
                // The code comes after the place, where there is one, and before the message.
                let given = call.args.iter().take(call.args.len() - 1).last();
                if let Some(Lit::Str(code)) = given.and_then(literal) {
                    self.add_code(&code.value());
                }
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_struct(&mut self, made: &'ast ExprStruct) {
        for field in &made.fields {
            let is_code = matches!(&field.member, syn::Member::Named(name) if name == "code");
            if let Some(Lit::Str(code)) = literal(&field.expr).filter(|_| is_code) {
                self.add_code(&code.value());
            }
        }
        visit::visit_expr_struct(self, made);
    }
}

/// Whether a file is a module that only tests have.
fn is_test(file: &SourceFile, files: &[SourceFile]) -> bool {
    let (Some((dir, name)), Some((krate, _))) = (file.path.rsplit_once('/'), file.path.split_once("/src/"))
    else {
        return false;
    };
    let declared = format!("#[cfg(test)]\nmod {};", name.trim_end_matches(".rs"));
    let above = dir.rsplit_once('/').map_or(dir, |(above, _)| above);
    let is_above = |path: &str| path.starts_with(krate) && path.starts_with(above);
    dir.contains("/tests")
        || files
            .iter()
            .any(|file| is_above(&file.path) && file.text.contains(&declared))
}

fn literal(expression: &Expr) -> Option<&Lit> {
    match expression {
        Expr::Lit(literal) => Some(&literal.lit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files;

    #[track_caller]
    fn check_page(page: &str, expected: &[&str]) {
        let error = "impl E { fn code(&self) -> &str { match self { Self::A => \"first\" } } }\n\
                     fn f() { NodeError::new(\"second\", \"message\"); vec![P { code: \"third\" }]; }\n\
                     #[cfg(test)] mod tests { fn f() { NodeError::new(\"tested\", \"message\"); } }\n";
        let sources = [
            (PAGE, page),
            (EXIT_CODES, "pub const DONE: u8 = 0;"),
            ("crates/a/src/error.rs", error),
            (READS_ENVIRONMENT[0], "fn f() { read(\"HOME\") }"),
        ];
        let files = sources.map(|(path, text)| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        let found: Vec<String> = check(&files).into_iter().map(|finding| finding.message).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_page_has_each_name_of_the_source_and_no_other() {
        check_page(
            "## Exit codes\n\n| `0` | done |\n\n## Error codes\n\n| `first` | `x` |\n| `second`, `third` | |\n\n\
             ## Environment variables\n\n| `HOME` | |\n",
            &[],
        );
        check_page(
            "## Exit codes\n\n| `1` | done |\n\n## Error codes\n\n| `first` | |\n| `second` | |\n| `tested` | |\n",
            &[
                "`0` is missing below \"## Exit codes\"",
                "`1` below \"## Exit codes\" does not exist in the source",
                "`third` is missing below \"## Error codes\"",
                "`tested` below \"## Error codes\" does not exist in the source",
                "`HOME` is missing below \"## Environment variables\"",
            ],
        );
    }

    #[test]
    fn this_repository_passes() {
        assert_eq!(check(&files().unwrap()), []);
    }
}
