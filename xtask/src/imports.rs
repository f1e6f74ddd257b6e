//! The imports among the source files of one crate.
//!
//! Files are parsed, not searched: a path counts wherever it stands, in a `use`, a type, an expression or a macro's arguments,
//! and is followed through re-exports to the file that defines its item.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

use crate::tidy::SourceFile;

/// An import of one file from another one of the same crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The importing file.
    pub from: String,
    /// The line of the path there, from 1.
    pub line: usize,
    /// The path, as written after its aliases are replaced.
    pub path: String,
    /// The file that defines the item.
    pub to: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, line, path, to } = self;
        write!(f, "{from}:{line}: imports `{path}` of {to}")
    }
}

/// The segments of a path or of the name of a module; of a module from the root of the crate.
type Path = Vec<String>;

/// The names that a module knows.
#[derive(Default)]
struct Module {
    /// Its file, as an index.
    file: usize,
    /// Its items, modules excepted.
    items: BTreeSet<String>,
    /// The names that `use` brings in, with the path of each.
    uses: BTreeMap<String, Path>,
    /// The paths of `use …::*`.
    globs: Vec<Path>,
}

/// A path in a file.
struct Mention {
    module: Path,
    line: usize,
    path: Path,
    is_glob: bool,
}

/// One name that a `use` brings in.
struct Leaf {
    line: usize,
    path: Path,
    /// The name in the importing module; `None` for `*`.
    name: Option<String>,
}

impl Leaf {
    fn mention(&self, module: &Path) -> Mention {
        Mention {
            module: module.clone(),
            line: self.line,
            path: self.path.clone(),
            is_glob: self.name.is_none(),
        }
    }
}

/// The definition that a path leads to.
enum Target {
    /// A module, and its file.
    Module(usize),
    /// Another item, and the file that defines it.
    Item(usize),
}

/// Returns the imports among the files of one crate; the paths of the files are below its `src`.
///
/// # Errors
/// The path of a file that cannot be parsed, and the parser's message.
pub fn imports(files: &[&SourceFile]) -> Result<BTreeSet<Import>, (String, String)> {
    let mut modules = BTreeMap::new();
    let mut mentions = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let parsed = syn::parse_file(&file.text)
            .map_err(|error| (file.path.clone(), format!("cannot be parsed: {error}")))?;
        if !is_test(&file.path) && !has_test_attribute(&parsed.attrs) {
            let module = module_of(&file.path);
            read_module(index, module, &parsed.items, &mut modules, &mut mentions);
        }
    }
    let tree = Tree { modules };
    let mut found = BTreeSet::new();
    for mention in &mentions {
        let Some(from) = tree.modules.get(&mention.module).map(|module| module.file) else {
            continue;
        };
        let path = tree.without_alias(&mention.module, &mention.path);
        // The name of a module is no import: the paths through it count where they stand.
        let to = match tree.target(&mention.module, &path, 0) {
            Some(Target::Item(to)) => to,
            Some(Target::Module(to)) if mention.is_glob => to,
            _ => continue,
        };
        if to != from && !is_root(&files[to].path) && !is_root(&files[from].path) {
            found.insert(Import {
                from: files[from].path.clone(),
                line: mention.line,
                path: path.join("::"),
                to: files[to].path.clone(),
            });
        }
    }
    Ok(found)
}

/// Whether a file only gathers what the others define.
fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

/// Whether a file holds unit tests, by its name: the attribute stands at its declaration, in another file.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn module_of(path: &str) -> Path {
    let file = path.split_once("/src/").map_or(path, |(_, file)| file);
    let mut segments: Path = file.split('/').map(str::to_owned).collect();
    match segments
        .pop()
        .as_deref()
        .and_then(|name| name.strip_suffix(".rs"))
    {
        Some("lib" | "main" | "mod") | None => {}
        Some(name) => segments.push(name.to_owned()),
    }
    segments
}

fn has_test_attribute(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn read_module(
    file: usize,
    path: Path,
    items: &[Item],
    modules: &mut BTreeMap<Path, Module>,
    mentions: &mut Vec<Mention>,
) {
    let mut module = Module {
        file,
        ..Module::default()
    };
    for item in items {
        if has_test_attribute(attributes(item)) {
            continue;
        }
        match item {
            Item::Use(item) => {
                let is_private = matches!(item.vis, Visibility::Inherited);
                for leaf in leaves(&item.tree) {
                    if is_private {
                        mentions.push(leaf.mention(&path));
                    }
                    match leaf.name {
                        Some(name) => {
                            module.uses.insert(name, leaf.path);
                        }
                        None => module.globs.push(leaf.path),
                    }
                }
            }
            Item::Mod(item) => {
                if let Some((_, content)) = &item.content {
                    let mut inner = path.clone();
                    inner.push(item.ident.to_string());
                    read_module(file, inner, content, modules, mentions);
                }
            }
            item => {
                module.items.extend(name_of(item));
                let mut visitor = Paths {
                    module: &path,
                    mentions,
                };
                visitor.visit_item(item);
            }
        }
    }
    modules.insert(path, module);
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    add_leaves(tree, &mut Path::new(), &mut found);
    found
}

fn add_leaves(tree: &UseTree, before: &mut Path, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            add_leaves(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) => found.push(leaf(before, &name.ident, None)),
        UseTree::Rename(rename) => {
            found.push(leaf(before, &rename.ident, Some(rename.rename.to_string())));
        }
        UseTree::Glob(glob) => found.push(Leaf {
            line: glob.star_token.spans[0].start().line,
            path: before.clone(),
            name: None,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                add_leaves(tree, before, found);
            }
        }
    }
}

/// The leaf of a path; `self` at its end names the module before it.
fn leaf(before: &Path, last: &Ident, name: Option<String>) -> Leaf {
    let mut path = before.clone();
    if last != "self" || path.is_empty() {
        path.push(last.to_string());
    }
    Leaf {
        line: last.span().start().line,
        name: name.or_else(|| path.last().cloned()),
        path,
    }
}

/// Collects the paths of an item.
struct Paths<'a> {
    module: &'a Path,
    mentions: &'a mut Vec<Mention>,
}

impl Paths<'_> {
    fn add(&mut self, line: usize, path: Path) {
        // A single segment is an item of the module itself, or was brought in by a `use`.
        if path.len() > 1 {
            self.mentions.push(Mention {
                module: self.module.clone(),
                line,
                path,
                is_glob: false,
            });
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(line, std::mem::take(&mut path));
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                token => {
                    self.add(line, std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = token {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(line, path);
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        let line = path.segments[0].ident.span().start().line;
        self.add(line, segments.collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let leaves = leaves(&item.tree);
        self.mentions
            .extend(leaves.iter().map(|leaf| leaf.mention(self.module)));
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.add_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !has_test_attribute(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }
}

/// The modules of a crate by their paths.
struct Tree {
    modules: BTreeMap<Path, Module>,
}

impl Tree {
    /// A path whose first segment is written as the `use` that brought it in.
    fn without_alias(&self, module: &Path, path: &Path) -> Path {
        let alias = self
            .modules
            .get(module)
            .and_then(|module| module.uses.get(path.first()?))
            .filter(|written| written.first() != path.first());
        match alias {
            Some(written) => written.iter().chain(&path[1..]).cloned().collect(),
            None => path.clone(),
        }
    }

    /// The definition of a path in a module; `None` if it is of another crate. `depth` bounds circles of re-exports.
    fn target(&self, module: &Path, path: &[String], depth: usize) -> Option<Target> {
        const MAX_DEPTH: usize = 16;
        let here = self.modules.get(module).filter(|_| depth < MAX_DEPTH)?;
        let Some((first, rest)) = path.split_first() else {
            return Some(Target::Module(here.file));
        };
        let at = |module: Path| self.target(&module, rest, depth);
        match first.as_str() {
            "crate" => return at(Path::new()),
            "self" => return at(module.clone()),
            "super" => return at(module.split_last()?.1.to_vec()),
            _ => {}
        }
        let mut child = module.clone();
        child.push(first.clone());
        if self.modules.contains_key(&child) {
            return at(child);
        }
        if here.items.contains(first) {
            return Some(Target::Item(here.file));
        }
        if let Some(written) = here.uses.get(first) {
            let whole: Path = written.iter().chain(rest).cloned().collect();
            return self.target(module, &whole, depth + 1);
        }
        here.globs.iter().find_map(|glob| {
            let whole: Path = glob.iter().chain(path).cloned().collect();
            self.target(module, &whole, depth + 1)
        })
    }
}
