//! Syntax trees, and outlines made from them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dad_runner::Stop;
use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::StructureDetailLevel;
use super::language::Language;
use super::strip::{is_comment, is_doc_comment, is_docstring};

/// The longest time for parsing a file.
const MAX_TIME: Duration = Duration::from_secs(5);

/// Deepest nesting of definitions that is reported.
const MAX_NESTING: usize = 12;

/// Longest line of an outline, in characters.
const MAX_LINE: usize = 400;

/// Lines of a body that are reported.
const BODY_LINES: usize = 10;

/// Parses texts.
pub(super) struct Trees<'a> {
    parser: Parser,
    stop: &'a Stop,
}

impl<'a> Trees<'a> {
    pub(super) fn new(stop: &'a Stop) -> Self {
        Self {
            parser: Parser::new(),
            stop,
        }
    }

    /// The tree of a text; `None` if there is no grammar or it takes too long.
    pub(super) fn of(&mut self, language: Language, text: &str) -> Option<Tree> {
        self.parser.set_language(&language.grammar()?).ok()?;
        let (begin, stop) = (Instant::now(), self.stop);
        let mut check = |_: &ParseState| {
            if begin.elapsed() > MAX_TIME || stop.is_set() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = ParseOptions::new().progress_callback(&mut check);
        let bytes = text.as_bytes();
        let tree = self.parser.parse_with_options(
            &mut |at, _| bytes.get(at..).unwrap_or_default(),
            None,
            Some(options),
        );
        if tree.is_none() {
            self.parser.reset();
        }
        tree
    }
}

/// The outline of a tree.
pub(super) fn outline(language: Language, tree: &Tree, text: &str, level: StructureDetailLevel) -> String {
    let mut outline = Outline {
        language,
        text,
        level,
        lines: Vec::new(),
    };
    let root = tree.root_node();
    if level >= StructureDetailLevel::Standard {
        outline.docstring(root, 0);
    }
    outline.members(root, 0);
    let mut all = outline.lines.join("\n");
    all.push('\n');
    all
}

struct Outline<'a> {
    language: Language,
    text: &'a str,
    level: StructureDetailLevel,
    lines: Vec<String>,
}

/// The role of a node in an outline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Import,
    /// With members.
    Type,
    /// With a body.
    Function,
    /// A field, variant or constant.
    Detail,
}

impl<'a> Outline<'a> {
    fn text_of(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    /// The definitions directly in a node.
    fn members(&mut self, container: Node<'_>, depth: usize) {
        if depth > MAX_NESTING {
            return;
        }
        // What stands before a definition and belongs to it.
        let mut before: Vec<Node<'_>> = Vec::new();
        let mut cursor = container.walk();
        for node in container.named_children(&mut cursor) {
            let belongs = is_comment(node) || matches!(node.kind(), "attribute_item" | "decorator");
            if belongs {
                before.push(node);
                continue;
            }
            let inner = unwrapped(node);
            if let Some(role) = self.role(inner) {
                self.definition(&before, node, inner, role, depth);
            }
            before.clear();
        }
    }

    fn definition(&mut self, before: &[Node<'_>], outer: Node<'_>, node: Node<'_>, role: Role, depth: usize) {
        if role == Role::Detail && self.level < StructureDetailLevel::Detailed {
            return;
        }
        if self.level >= StructureDetailLevel::Standard {
            for node in before {
                if is_doc_comment(self.language, *node, self.text) {
                    self.lines_of(*node, depth);
                }
            }
        }
        if self.level >= StructureDetailLevel::Detailed {
            let mut cursor = outer.walk();
            let inside = outer
                .named_children(&mut cursor)
                .filter(|child| child.kind() == "decorator");
            let outside = before.iter().copied().filter(|node| !is_comment(*node));
            for attribute in outside.chain(inside) {
                let line = one_line(self.text_of(attribute));
                self.push(&line, depth);
            }
        }
        let line = if self.level == StructureDetailLevel::Basic {
            self.name(node, role)
        } else {
            self.signature(outer, node)
        };
        self.push(&line, depth);
        self.inside(node, role, depth + 1);
    }

    fn inside(&mut self, node: Node<'_>, role: Role, depth: usize) {
        let Some(body) = body_of(node) else {
            return;
        };
        if self.level >= StructureDetailLevel::Standard {
            self.docstring(body, depth);
        }
        match role {
            Role::Type => self.members(body, depth),
            Role::Function => {
                if self.level >= StructureDetailLevel::Detailed {
                    self.nested(body, depth);
                }
                if self.level == StructureDetailLevel::Full {
                    self.body(body, depth);
                }
            }
            Role::Import | Role::Detail => {}
        }
    }

    /// Types and functions defined in the body of a function.
    fn nested(&mut self, body: Node<'_>, depth: usize) {
        if depth > MAX_NESTING || self.level == StructureDetailLevel::Full {
            return;
        }
        let mut cursor = body.walk();
        for node in body.named_children(&mut cursor) {
            let inner = unwrapped(node);
            let role = self.role(inner);
            if matches!(role, Some(Role::Type | Role::Function)) {
                self.definition(&[], node, inner, role.unwrap_or(Role::Type), depth);
            }
        }
    }

    /// The beginning of a body, without comments.
    fn body(&mut self, body: Node<'_>, depth: usize) {
        let mut comments = Vec::new();
        let mut cursor = body.walk();
        for child in body.children(&mut cursor) {
            if is_comment(child) || is_docstring(child) {
                comments.push(child.byte_range());
            }
        }
        let mut text = String::new();
        let mut at = body.start_byte();
        for comment in comments {
            text.push_str(&self.text[at..comment.start]);
            at = comment.end;
        }
        text.push_str(&self.text[at..body.end_byte()]);
        let inner = text
            .trim_end()
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        // A body without braces begins after the indentation of its first line.
        let text = match inner {
            Some(inner) => inner.to_owned(),
            None => format!("{}{text}", " ".repeat(body.start_position().column)),
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let indents = lines.iter().map(|line| line.len() - line.trim_start().len());
        let common = indents.min().unwrap_or(0);
        for line in lines.iter().take(BODY_LINES) {
            let own = (line.len() - line.trim_start().len()).min(common);
            self.push(line[own..].trim_end(), depth);
        }
        if lines.len() > BODY_LINES {
            self.push("…", depth);
        }
    }

    /// The docstring that a body of Python begins with.
    fn docstring(&mut self, body: Node<'_>, depth: usize) {
        if self.language != Language::Python {
            return;
        }
        let mut cursor = body.walk();
        let first = body.named_children(&mut cursor).find(|child| !is_comment(*child));
        if let Some(first) = first.filter(|first| is_docstring(*first)) {
            self.lines_of(first, depth);
        }
    }

    fn lines_of(&mut self, node: Node<'_>, depth: usize) {
        for line in self.text_of(node).trim_end().lines() {
            let line = line.trim();
            // A comment in the form of a box begins its lines with a star below that of the first.
            let shift = if line.starts_with('*') { " " } else { "" };
            self.push(&format!("{shift}{line}"), depth);
        }
    }

    fn push(&mut self, line: &str, depth: usize) {
        let mut line = line.to_owned();
        if let Some((end, _)) = line.char_indices().nth(MAX_LINE) {
            line.truncate(end);
            line.push('…');
        }
        self.lines.push(format!("{}{line}", "    ".repeat(depth)));
    }

    /// The kind of a definition, and its name.
    fn name(&self, node: Node<'_>, role: Role) -> String {
        if role == Role::Import || node.kind() == "impl_item" {
            return self.header(node);
        }
        let named = declarator(node).unwrap_or(node);
        let name = named
            .child_by_field_name("name")
            .map_or("", |name| self.text_of(name));
        format!("{} {name}", keyword(self.language, node))
            .trim()
            .to_owned()
    }

    /// All before the body, in one line.
    fn signature(&self, outer: Node<'_>, node: Node<'_>) -> String {
        let bare = self.language == Language::Python && self.level < StructureDetailLevel::Detailed;
        if bare && node.kind() == "function_definition" {
            return self.bare_function(node);
        }
        // What is exported says so before its definition.
        let begin = if matches!(outer.kind(), "export_statement" | "ambient_declaration") {
            self.text[outer.start_byte()..node.start_byte()]
                .lines()
                .filter(|line| !line.trim_start().starts_with('@'))
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            String::new()
        };
        one_line(&format!("{begin}{}", self.header(node)))
    }

    fn header(&self, node: Node<'_>) -> String {
        let end = body_of(node).map_or(node.end_byte(), |body| body.start_byte());
        let mut start = node.start_byte();
        // Decorators of a method or class are children of it and have lines of their own.
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            if child.kind() == "decorator" {
                start = child.end_byte();
            }
        }
        let header = self.text[start..end.max(start)]
            .trim()
            .trim_end_matches([';', ',', '{'])
            .trim_end();
        let header = match self.language {
            Language::Python => header.strip_suffix(':').unwrap_or(header),
            _ => header.strip_suffix("=>").unwrap_or(header),
        };
        let line = one_line(header);
        if header.contains('\n') {
            line.replace("( ", "(").replace(", )", ")")
        } else {
            line
        }
    }

    /// A function of Python without the types of its parameters.
    fn bare_function(&self, node: Node<'_>) -> String {
        let field = |name: &str| node.child_by_field_name(name);
        let name = field("name").map_or("", |name| self.text_of(name));
        let mut names = Vec::new();
        if let Some(parameters) = field("parameters") {
            let mut cursor = parameters.walk();
            for parameter in parameters.named_children(&mut cursor) {
                names.push(self.bare_parameter(parameter));
            }
        }
        let is_async = self.text_of(node).starts_with("async");
        let before = if is_async { "async def" } else { "def" };
        one_line(&format!("{before} {name}({})", names.join(", ")))
    }

    fn bare_parameter(&self, parameter: Node<'_>) -> String {
        match parameter.kind() {
            "typed_parameter" => parameter
                .named_child(0)
                .map_or_else(String::new, |name| self.text_of(name).to_owned()),
            "typed_default_parameter" => {
                let of = |name: &str| {
                    parameter
                        .child_by_field_name(name)
                        .map_or("", |node| self.text_of(node))
                };
                format!("{}={}", of("name"), of("value"))
            }
            _ => self.text_of(parameter).to_owned(),
        }
    }

    fn role(&self, node: Node<'_>) -> Option<Role> {
        match self.language {
            Language::Rust => rust_role(node.kind()),
            Language::Python => python_role(node),
            Language::JavaScript | Language::TypeScript | Language::Tsx => self.script_role(node),
        }
    }

    fn script_role(&self, node: Node<'_>) -> Option<Role> {
        Some(match node.kind() {
            "import_statement" | "import_alias" => Role::Import,
            // What is taken from elsewhere and passed on.
            "export_statement" => Role::Import,
            "class_declaration"
            | "abstract_class_declaration"
            | "class"
            | "interface_declaration"
            | "enum_declaration"
            | "internal_module"
            | "module" => Role::Type,
            "function_declaration"
            | "generator_function_declaration"
            | "method_definition"
            | "function_signature"
            | "method_signature"
            | "abstract_method_signature"
            | "function_expression"
            | "arrow_function"
            | "construct_signature"
            | "call_signature" => Role::Function,
            "type_alias_declaration" => Role::Type,
            "lexical_declaration" | "variable_declaration" => {
                let value = declarator(node).and_then(|declarator| declarator.child_by_field_name("value"));
                match value.map(|value| value.kind()) {
                    Some("arrow_function" | "function_expression" | "generator_function") => Role::Function,
                    Some("class") => Role::Type,
                    Some("call_expression") if self.text_of(value?).starts_with("require(") => Role::Import,
                    _ => Role::Detail,
                }
            }
            "public_field_definition"
            | "field_definition"
            | "property_signature"
            | "enum_assignment"
            | "property_identifier"
            | "index_signature" => Role::Detail,
            _ => return None,
        })
    }
}

fn rust_role(kind: &str) -> Option<Role> {
    Some(match kind {
        "use_declaration" | "extern_crate_declaration" => Role::Import,
        "struct_item" | "enum_item" | "union_item" | "trait_item" | "impl_item" | "mod_item"
        | "foreign_mod_item" | "type_item" => Role::Type,
        "function_item" | "function_signature_item" | "macro_definition" => Role::Function,
        "const_item" | "static_item" | "field_declaration" | "enum_variant" | "associated_type" => {
            Role::Detail
        }
        _ => return None,
    })
}

fn python_role(node: Node<'_>) -> Option<Role> {
    Some(match node.kind() {
        "import_statement" | "import_from_statement" | "future_import_statement" => Role::Import,
        "class_definition" | "type_alias_statement" => Role::Type,
        "function_definition" => Role::Function,
        "expression_statement"
            if node
                .named_child(0)
                .is_some_and(|child| child.kind() == "assignment") =>
        {
            Role::Detail
        }
        _ => return None,
    })
}

/// The definition in what is written around it: decorators, `export`, `declare`.
fn unwrapped(node: Node<'_>) -> Node<'_> {
    let inner = match node.kind() {
        "decorated_definition" => node.child_by_field_name("definition"),
        "export_statement" => node.child_by_field_name("declaration").or_else(|| {
            node.child_by_field_name("value")
                .filter(|value| body_of(*value).is_some())
        }),
        "ambient_declaration" => {
            let mut cursor = node.walk();
            node.named_children(&mut cursor).find(|child| !is_comment(*child))
        }
        // A namespace stands as a statement.
        "expression_statement" => node
            .named_child(0)
            .filter(|child| child.kind() == "internal_module"),
        _ => None,
    };
    inner.map_or(node, |inner| {
        if inner.kind() == "ambient_declaration" {
            unwrapped(inner)
        } else {
            inner
        }
    })
}

fn declarator(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .find(|child| child.kind() == "variable_declarator")
}

/// The beginning of a definition's body.
fn body_of(node: Node<'_>) -> Option<Node<'_>> {
    if node.kind() == "macro_definition" {
        let mut cursor = node.walk();
        return node
            .named_children(&mut cursor)
            .find(|child| child.kind() == "macro_rule");
    }
    if let Some(value) = declarator(node).and_then(|declarator| declarator.child_by_field_name("value")) {
        return value.child_by_field_name("body");
    }
    if node.kind() == "enum_variant" {
        return None;
    }
    let body = node.child_by_field_name("body")?;
    // The fields of a tuple are part of its signature.
    (body.kind() != "ordered_field_declaration_list").then_some(body)
}

fn keyword(language: Language, node: Node<'_>) -> &'static str {
    match node.kind() {
        "struct_item" => "struct",
        "enum_item" | "enum_declaration" => "enum",
        "union_item" => "union",
        "trait_item" => "trait",
        "mod_item" | "module" => "mod",
        "internal_module" => "namespace",
        "foreign_mod_item" => "extern",
        "type_item" | "type_alias_declaration" | "type_alias_statement" => "type",
        "macro_definition" => "macro",
        "interface_declaration" => "interface",
        "class_definition" | "class_declaration" | "abstract_class_declaration" | "class" => "class",
        "method_definition" | "method_signature" | "abstract_method_signature" => "",
        "lexical_declaration" | "variable_declaration" => "const",
        _ => match language {
            Language::Rust => "fn",
            Language::Python => "def",
            _ => "function",
        },
    }
}

/// A text with every run of white space as one space.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}
