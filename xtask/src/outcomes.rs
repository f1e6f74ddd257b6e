//! The tables of outcomes in `docs/nodes.md`: they have each field of the outcome types of the built-in nodes, with its type,
//! and no other.

use std::collections::BTreeMap;

use syn::{Fields, GenericArgument, Item, ItemStruct, PathArguments, Type};

use crate::tidy::{Finding, SourceFile};

/// The page.
pub const PAGE: &str = "docs/nodes.md";

/// The crate of the built-in nodes.
const NODES: &str = "crates/dad-nodes/src/";

/// Each node type with the type of its outcome.
const OUTCOMES: &[(&str, &str)] = &[
    ("folder_analyzer", "FolderAnalyzerNodeOutcome"),
    ("file_operation", "FileOperationNodeOutcome"),
    ("command", "CommandNodeOutcome"),
    ("http", "HttpNodeOutcome"),
    ("ai_model_call", "AIModelNodeOutcome"),
];

/// The type of a value that can be anything.
const ANY: &str = "any";

/// Compares the tables with the source files of the nodes.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let text = files.iter().find(|file| file.path == PAGE);
    let text = text.map_or("", |file| file.text.as_str());
    let structs = structs(files);
    let mut messages = Vec::new();
    for name in structs.keys().filter(|name| name.ends_with("NodeOutcome")) {
        if !OUTCOMES.iter().any(|(_, outcome)| outcome == name) {
            messages.push(format!("no table is for the outcome type `{name}`"));
        }
    }
    for (node, outcome) in OUTCOMES {
        let mut fields = BTreeMap::new();
        add_fields(outcome, "", &structs, &mut fields);
        compare(node, &fields, &rows(text, node), &mut messages);
    }
    let finding = |message| Finding {
        path: PAGE.to_owned(),
        line: None,
        message,
    };
    messages.into_iter().map(finding).collect()
}

/// The rows of the table of a node's outcome: each field with its type.
#[must_use]
pub fn rows(page: &str, node: &str) -> Vec<(String, String)> {
    let heading = format!("### Outcome of `{node}`\n");
    let section = page.split_once(&heading).map_or("", |(_, section)| section);
    let table = section.trim_start().split("\n\n").next().unwrap_or_default();
    let cells = table.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let field = cells.next()?.trim_end_matches('`');
        Some((field.to_owned(), cells.next()?.to_owned()))
    });
    cells.collect()
}

fn compare(
    node: &str,
    fields: &BTreeMap<String, String>,
    rows: &[(String, String)],
    messages: &mut Vec<String>,
) {
    for (field, kind) in fields {
        match rows.iter().filter(|(row, _)| row == field).count() {
            0 => messages.push(format!(
                "the outcome of `{node}` has the field `{field}` ({kind}) too"
            )),
            1 => {}
            count => messages.push(format!(
                "`{field}` stands {count} times in the outcome of `{node}`"
            )),
        }
    }
    for (row, shown) in rows {
        match fields.get(row) {
            Some(kind) if kind != shown && kind != ANY => messages.push(format!(
                "`{row}` in the outcome of `{node}` is of the type {kind}, not {shown}"
            )),
            Some(_) => {}
            None if is_below_any(row, fields) => {}
            None => messages.push(format!("the outcome of `{node}` has no field `{row}`")),
        }
    }
}

/// Whether the types do not say what there is at a place: a test of `dad-tests` compares it with runs.
fn is_below_any(row: &str, fields: &BTreeMap<String, String>) -> bool {
    let ends = row.match_indices(['.', '[']).map(|(at, _)| &row[..at]);
    ends.into_iter().any(|above| {
        fields
            .get(above)
            .is_some_and(|kind| [ANY, "list of any"].contains(&kind.as_str()))
    })
}

/// The structs of the nodes by their names.
fn structs(files: &[SourceFile]) -> BTreeMap<String, ItemStruct> {
    let sources = files
        .iter()
        .filter(|file| file.path.starts_with(NODES) && file.path.ends_with(".rs"));
    // `cargo xtask layers` reports a file that cannot be parsed.
    let parsed = sources.filter_map(|file| syn::parse_file(&file.text).ok());
    let items = parsed.flat_map(|file| file.items);
    let structs = items.filter_map(|item| match item {
        Item::Struct(item) => Some((item.ident.to_string(), item)),
        _ => None,
    });
    structs.collect()
}

fn add_fields(
    name: &str,
    prefix: &str,
    structs: &BTreeMap<String, ItemStruct>,
    fields: &mut BTreeMap<String, String>,
) {
    let Some(ItemStruct {
        fields: Fields::Named(named),
        ..
    }) = structs.get(name)
    else {
        return;
    };
    for field in &named.named {
        let name = field.ident.as_ref().map_or_else(String::new, ToString::to_string);
        let path = format!("{prefix}{name}");
        let (kind, nested) = kind_of(&field.ty, structs);
        if let Some((within, of)) = nested {
            add_fields(&of, &format!("{path}{within}."), structs, fields);
        }
        fields.insert(path, kind);
    }
}

/// The word of the page for a type, and the struct in it with its place.
fn kind_of(ty: &Type, structs: &BTreeMap<String, ItemStruct>) -> (String, Option<(&'static str, String)>) {
    let Type::Path(path) = ty else {
        return (ANY.to_owned(), None);
    };
    let Some(last) = path.path.segments.last() else {
        return (ANY.to_owned(), None);
    };
    let argument = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
        }
        _ => None,
    };
    let name = last.ident.to_string();
    match (name.as_str(), argument) {
        ("Option", Some(of)) => kind_of(of, structs),
        ("Vec", Some(of)) => {
            let (kind, nested) = kind_of(of, structs);
            let kind = if nested.is_some() {
                "object".to_owned()
            } else {
                kind
            };
            (format!("list of {kind}"), nested.map(|(_, of)| ("[]", of)))
        }
        ("OneOrMany", Some(of)) => {
            let (kind, _) = kind_of(of, structs);
            (format!("{kind} or list"), None)
        }
        ("String" | "Digest" | "FolderOperationType", _) => ("text".to_owned(), None),
        ("bool", _) => ("boolean".to_owned(), None),
        ("u16" | "u32" | "u64" | "i32", _) => ("integer".to_owned(), None),
        ("IndexMap", _) => ("object".to_owned(), None),
        (name, _) if structs.contains_key(name) => ("object".to_owned(), Some(("", name.to_owned()))),
        _ => (ANY.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files;

    #[track_caller]
    fn check_table(table: &str, expected: &[&str]) {
        let source = "struct CommandNodeOutcome { ok: bool, results: Vec<One>, more: Option<Value> }\n\
                      struct One { code: Option<i32> }\n";
        let page = format!("### Outcome of `command`\n\n{table}\n## Next\n\n| `x` | text | |\n");
        let files = [(PAGE, page.as_str()), ("crates/dad-nodes/src/command.rs", source)];
        let files = files.map(|(path, text)| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        let found: Vec<String> = check(&files).into_iter().map(|finding| finding.message).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_table_has_each_field_with_its_type_and_no_other() {
        let complete =
            "| `ok` | boolean | |\n| `results` | list of object | |\n| `results[].code` | integer | |\n";
        check_table(&format!("{complete}| `more` | any | |\n"), &[]);
        check_table(
            &format!("{complete}| `more` | text | |\n| `more.a` | text | |\n"),
            &[],
        );
        check_table(
            "| `ok` | text | |\n| `ok` | boolean | |\n| `results` | list of object | |\n| `results[].a` | text | |\n",
            &[
                "the outcome of `command` has the field `more` (any) too",
                "`ok` stands 2 times in the outcome of `command`",
                "the outcome of `command` has the field `results[].code` (integer) too",
                "`ok` in the outcome of `command` is of the type boolean, not text",
                "the outcome of `command` has no field `results[].a`",
            ],
        );
    }

    #[test]
    fn an_outcome_type_needs_a_table() {
        let file = SourceFile {
            path: "crates/dad-nodes/src/queue.rs".to_owned(),
            text: "struct QueueNodeOutcome { id: String }\n".to_owned(),
        };
        let found: Vec<String> = check(&[file])
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(found, ["no table is for the outcome type `QueueNodeOutcome`"]);
    }

    #[test]
    fn this_repository_passes() {
        assert_eq!(check(&files().unwrap()), []);
    }
}
