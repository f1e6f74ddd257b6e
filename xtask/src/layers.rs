//! The dependencies that crates may have, as a table.
//!
//! A crate may use only crates of lower layers, and some outside libraries belong to one crate. Dev-dependencies are
//! free, but a package cannot be published before those that it names with a version. A new crate without a row is an error,
//! so its author chooses its layer.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::process::Command;

use serde::Deserialize;

use crate::floors;
use crate::process::{TaskError, cargo, output};

/// The crates and their layers, lowest first: the order in which they are published.
pub const LAYERS: &[(&str, u8)] = &[
    ("dad-core", 0),
    ("dad-template", 0),
    ("dad-fs", 0),
    ("dad-definition", 1),
    ("dad-events", 1),
    ("dad-run", 2),
    ("dad-observability", 2),
    ("dad-runner", 3),
    ("dad-models", 3),
    ("dad-nodes", 4),
    ("dad-project", 5),
    ("dad-terminal", 5),
    ("dad-testing", 6),
    ("dhenara", 6),
    ("dad-view", 7),
    ("dad-cli", 8),
];

/// Outside libraries (a `*` at the end stands for any rest of the name) and the only crates that may name them.
pub const LIBRARIES: &[(&[&str], &[&str])] = &[
    (
        &["cap-fs-ext", "cap-std", "cap-tempfile", "tempfile"],
        &["dad-fs"],
    ),
    (
        &["saphyr*", "serde-saphyr", "serde_yaml*", "yaml-rust*"],
        &["dad-definition"],
    ),
    (
        &["opentelemetry*", "prost", "tonic*", "tracing-opentelemetry"],
        &["dad-observability"],
    ),
    // The one asks servers, the other is one.
    (&["hyper*"], &["dad-models", "dad-view"]),
    (&["sse-stream", "ureq"], &["dad-models"]),
    (&["reqwest", "rustls*"], &["dad-models", "dad-observability"]),
    (&["tree-sitter*", "ignore", "gix*"], &["dad-nodes"]),
    (&["globset"], &["dad-definition"]),
    (
        &[
            "indicatif",
            "dialoguer",
            "inquire",
            "rustyline",
            "crossterm",
            "console",
            "unicode-width",
        ],
        &["dad-terminal"],
    ),
    (&["anstream", "anstyle"], &["dad-terminal", "dad-cli"]),
    (&["axum*", "rust-embed*", "sha2"], &["dad-view"]),
    (&["clap*", "miette", "anyhow"], &["dad-cli"]),
];

/// Libraries that a crate may not reach, however indirectly: what its users must not have to build.
pub const UNREACHABLE: &[(&str, &[&str])] = &[
    ("dad-core", &["tokio", "async-std", "smol"]),
    ("dad-template", &["tokio", "async-std", "smol"]),
    ("dad-run", &["opentelemetry*", "hyper", "reqwest", "clap", "axum"]),
];

/// The directory of the crates that need a row.
const CRATES_DIR: &str = "crates";

/// The part of the output of `cargo metadata` that the check reads.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: String,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    manifest_path: String,
    dependencies: Vec<Declared>,
    rust_version: Option<String>,
}

/// A dependency as its manifest declares it, whatever the platform and the features.
#[derive(Debug, Deserialize)]
struct Declared {
    name: String,
    kind: Option<String>,
    /// The versions that it may have; `*` if the manifest has a path alone.
    req: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<ResolveNode>,
}

#[derive(Debug, Deserialize)]
struct ResolveNode {
    id: String,
    deps: Vec<ResolvedEdge>,
}

#[derive(Debug, Deserialize)]
struct ResolvedEdge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// Something that the tables forbid.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A crate that [`LAYERS`] does not name.
    NoRow {
        /// The crate.
        krate: String,
    },
    /// A row of [`LAYERS`] without a crate.
    NoCrate {
        /// The name in the row.
        krate: String,
    },
    /// A crate that uses one of its own layer or of a higher one.
    Edge {
        /// The crate that depends.
        from: String,
        /// On whom.
        to: String,
    },
    /// A dev-dependency with a version on a crate that is published later: neither could be published first.
    PublishedLater {
        /// The crate that depends.
        from: String,
        /// The crate that it tests with.
        to: String,
    },
    /// A library named by a crate that it does not belong to.
    Library {
        /// The crate that names it.
        krate: String,
        /// The library.
        library: String,
        /// The crates that may name it.
        owners: Vec<String>,
    },
    /// A library that a crate reaches and must not.
    Reach {
        /// The names of the chain, the crate first and the library last.
        way: Vec<String>,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRow { krate } => {
                write!(f, "`{krate}` has no row: choose its layer in xtask/src/layers.rs")
            }
            Self::NoCrate { krate } => {
                write!(f, "`{krate}` has a row in xtask/src/layers.rs and does not exist")
            }
            Self::Edge { from, to } => {
                let (low, high) = (layer_of(from).unwrap_or_default(), layer_of(to));
                let high = high.map_or("none".to_owned(), |layer| layer.to_string());
                write!(
                    f,
                    "`{from}` (layer {low}) may not use `{to}` (layer {high}): only lower layers"
                )
            }
            Self::PublishedLater { from, to } => {
                write!(
                    f,
                    "`{from}` tests with `{to}`, which is published later: move the tests, or name it by its path alone"
                )
            }
            Self::Library {
                krate,
                library,
                owners,
            } => {
                write!(
                    f,
                    "`{krate}` may not name `{library}`, which belongs to {}",
                    owners.join(", ")
                )
            }
            Self::Reach { way } => write!(
                f,
                "`{}` may not be reached: {}",
                way[way.len() - 1],
                way.join(" -> ")
            ),
        }
    }
}

/// Checks the dependencies among the crates of this workspace, and the imports within each.
///
/// # Errors
/// If `cargo metadata` fails or a table is violated.
pub fn run() -> Result<(), TaskError> {
    let violations = check(&metadata()?);
    for violation in &violations {
        eprintln!("layers: {violation}");
    }
    if !violations.is_empty() {
        return Err(TaskError(format!("{} forbidden dependencies", violations.len())));
    }
    floors::run()
}

/// Reads the metadata of this workspace, for the platform at hand, as others may not be downloaded.
///
/// # Errors
/// If cargo fails.
pub fn metadata() -> Result<Metadata, TaskError> {
    let rustc = output(Command::new("rustc").arg("-vV"))?;
    let host = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| TaskError("`rustc -vV` names no host".to_owned()))?;
    let text = output(
        Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", host]),
    )?;
    serde_json::from_str(&text).map_err(|error| TaskError(format!("cannot read `cargo metadata`: {error}")))
}

/// Returns everything in the workspace that the tables forbid, sorted.
#[must_use]
pub fn check(metadata: &Metadata) -> Vec<Violation> {
    let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    let member_names: BTreeSet<&str> = metadata
        .packages
        .iter()
        .filter(|package| members.contains(package.id.as_str()))
        .map(|package| package.name.as_str())
        .collect();
    let crates: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|package| members.contains(package.id.as_str()) && metadata.in_crates_dir(package))
        .collect();

    let mut found = BTreeSet::new();
    for package in &crates {
        let Some(own_layer) = layer_of(&package.name) else {
            found.insert(Violation::NoRow {
                krate: package.name.clone(),
            });
            continue;
        };
        let later = package.dependencies.iter().filter(|declared| {
            is_dev(declared.kind.as_deref())
                && declared.req != "*"
                && place_of(&declared.name) >= place_of(&package.name)
        });
        found.extend(later.map(|declared| Violation::PublishedLater {
            from: package.name.clone(),
            to: declared.name.clone(),
        }));
        for declared in package
            .dependencies
            .iter()
            .filter(|declared| !is_dev(declared.kind.as_deref()))
        {
            if member_names.contains(declared.name.as_str()) {
                // A member without a row (an example, this crate) is below nothing.
                if layer_of(&declared.name).is_none_or(|layer| layer >= own_layer) {
                    found.insert(Violation::Edge {
                        from: package.name.clone(),
                        to: declared.name.clone(),
                    });
                }
            } else if let Some(owners) = owners_of(&declared.name)
                && !owners.contains(&package.name.as_str())
            {
                found.insert(Violation::Library {
                    krate: package.name.clone(),
                    library: declared.name.clone(),
                    owners: owners.iter().map(ToString::to_string).collect(),
                });
            }
        }
        let unreachable = UNREACHABLE.iter().filter(|(krate, _)| *krate == package.name);
        for pattern in unreachable.flat_map(|(_, patterns)| patterns.iter()) {
            found.extend(
                metadata
                    .way_to(&package.id, pattern)
                    .map(|way| Violation::Reach { way }),
            );
        }
    }
    for (krate, _) in LAYERS {
        if !crates.iter().any(|package| package.name == *krate) {
            found.insert(Violation::NoCrate {
                krate: (*krate).to_owned(),
            });
        }
    }
    found.into_iter().collect()
}

impl Metadata {
    /// Returns the oldest Rust that the crates promise to build with.
    #[must_use]
    pub fn rust_version(&self) -> Option<&str> {
        let mut crates = self.packages.iter().filter(|package| self.in_crates_dir(package));
        crates.find_map(|package| package.rust_version.as_deref())
    }

    /// Returns the version that all crates have.
    ///
    /// # Errors
    /// If they have several: they are released together.
    pub fn version(&self) -> Result<String, TaskError> {
        let crates = self.packages.iter().filter(|package| self.in_crates_dir(package));
        let versions: BTreeSet<&str> = crates.map(|package| package.version.as_str()).collect();
        match Vec::from_iter(versions).as_slice() {
            [version] => Ok((*version).to_owned()),
            several => Err(TaskError(format!(
                "the crates have the versions {}, and one was expected",
                several.join(", ")
            ))),
        }
    }

    /// Returns the names of the crates that need a row, sorted.
    #[must_use]
    pub fn crate_names(&self) -> Vec<&str> {
        let members = |package: &&Package| self.workspace_members.contains(&package.id);
        let mut names: Vec<&str> = self
            .packages
            .iter()
            .filter(members)
            .filter(|package| self.in_crates_dir(package))
            .map(|package| package.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    fn in_crates_dir(&self, package: &Package) -> bool {
        package
            .manifest_path
            .strip_prefix(&self.workspace_root)
            .is_some_and(|path| path.trim_start_matches(['/', '\\']).starts_with(CRATES_DIR))
    }

    /// Returns the names on a shortest way of normal dependencies from a package to a library.
    fn way_to(&self, start: &str, pattern: &str) -> Option<Vec<String>> {
        let nodes: BTreeMap<&str, &ResolveNode> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            if id != start && names.get(id).is_some_and(|name| matches(pattern, name)) {
                let mut way = vec![id];
                while let Some(before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                return Some(
                    way.iter()
                        .rev()
                        .map(|id| names.get(id).unwrap_or(id).to_string())
                        .collect(),
                );
            }
            for edge in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
                let is_normal = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if is_normal && edge.pkg != start && !came_from.contains_key(edge.pkg.as_str()) {
                    came_from.insert(&edge.pkg, id);
                    queue.push_back(&edge.pkg);
                }
            }
        }
        None
    }
}

/// The place of a crate in the order of publication; `None`, below all places, of one that is not published from here.
fn place_of(krate: &str) -> Option<usize> {
    LAYERS.iter().position(|(name, _)| *name == krate)
}

fn layer_of(krate: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == krate)
        .map(|(_, layer)| *layer)
}

fn owners_of(library: &str) -> Option<&'static [&'static str]> {
    let row = LIBRARIES
        .iter()
        .find(|(patterns, _)| patterns.iter().any(|pattern| matches(pattern, library)));
    row.map(|(_, owners)| *owners)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn is_dev(kind: Option<&str>) -> bool {
    kind == Some("dev")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A workspace with all the crates of the table, where some have dependencies: `(from, to, kind)`.
    fn workspace(extra_crates: &[&str], edges: &[(&str, &str, Option<&str>)]) -> Metadata {
        let crates: Vec<&str> = LAYERS
            .iter()
            .map(|(name, _)| *name)
            .chain(extra_crates.iter().copied())
            .collect();
        let mut names: BTreeSet<&str> = crates.iter().copied().collect();
        names.extend(edges.iter().flat_map(|(from, to, _)| [*from, *to]));
        let of = |name: &str, entry: &dyn Fn(&str, Option<&str>) -> Value| -> Vec<Value> {
            edges
                .iter()
                .filter(|(from, _, _)| *from == name)
                .map(|(_, to, kind)| entry(to, *kind))
                .collect()
        };
        let declared = |to: &str, kind: Option<&str>| match kind {
            Some("dev with a version") => json!({ "name": to, "kind": "dev", "req": "^1.0" }),
            kind => json!({ "name": to, "kind": kind, "req": "*" }),
        };
        let package = |name: &&str| {
            json!({
                "id": name,
                "version": "1.0.0",
                "name": name,
                "manifest_path": if crates.contains(name) { format!("/w/crates/{name}/Cargo.toml") } else { "/w/elsewhere".to_owned() },
                "dependencies": of(name, &declared),
            })
        };
        let node = |name: &&str| {
            let deps = of(
                name,
                &|to, kind| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] }),
            );
            json!({ "id": name, "deps": deps })
        };
        serde_json::from_value(json!({
            "packages": names.iter().map(package).collect::<Vec<_>>(),
            "workspace_members": crates,
            "workspace_root": "/w",
            "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
        }))
        .unwrap()
    }

    #[track_caller]
    fn check_edges(edges: &[(&str, &str, Option<&str>)], expected: &[&str]) {
        let found: Vec<String> = check(&workspace(&[], edges))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_edge_goes_down() {
        check_edges(&[("dad-run", "dad-core", None), ("dad-cli", "dad-fs", None)], &[]);
        check_edges(
            &[("dad-core", "dad-run", None)],
            &["`dad-core` (layer 0) may not use `dad-run` (layer 2): only lower layers"],
        );
    }

    #[test]
    fn crates_of_one_layer_do_not_see_each_other() {
        check_edges(
            &[("dad-run", "dad-observability", None)],
            &["`dad-run` (layer 2) may not use `dad-observability` (layer 2): only lower layers"],
        );
    }

    #[test]
    fn build_dependencies_count_and_dev_dependencies_do_not() {
        check_edges(
            &[
                ("dad-core", "dad-fs", Some("build")),
                ("dad-core", "dad-run", Some("dev")),
            ],
            &["`dad-core` (layer 0) may not use `dad-fs` (layer 0): only lower layers"],
        );
    }

    #[test]
    fn a_package_is_published_after_those_that_it_names() {
        let with_version = Some("dev with a version");
        check_edges(
            &[
                ("dhenara", "dad-testing", with_version),
                ("dad-core", "proptest", with_version),
                ("dad-fs", "dad-core", with_version),
                ("dad-run", "dad-testing", Some("dev")),
            ],
            &[],
        );
        check_edges(
            &[("dad-run", "dad-testing", with_version)],
            &[
                "`dad-run` tests with `dad-testing`, which is published later: move the tests, or name it by its path alone",
            ],
        );
    }

    #[test]
    fn a_crate_without_a_row_is_an_error() {
        let found = check(&workspace(&["dad-new"], &[]));
        assert_eq!(
            found,
            [Violation::NoRow {
                krate: "dad-new".to_owned()
            }]
        );
    }

    #[test]
    fn a_row_without_a_crate_is_an_error() {
        let mut metadata = workspace(&[], &[]);
        metadata.workspace_members.retain(|member| member != "dad-events");
        assert_eq!(
            check(&metadata),
            [Violation::NoCrate {
                krate: "dad-events".to_owned()
            }]
        );
    }

    #[test]
    fn a_library_belongs_to_its_crate() {
        check_edges(
            &[
                ("dad-observability", "opentelemetry_sdk", None),
                ("dad-runner", "opentelemetry_sdk", None),
                ("dad-runner", "tempfile", Some("dev")),
            ],
            &["`dad-runner` may not name `opentelemetry_sdk`, which belongs to dad-observability"],
        );
    }

    #[test]
    fn what_may_not_be_reached_is_found_at_any_distance() {
        check_edges(
            &[
                ("dad-run", "innocent", None),
                ("innocent", "web", None),
                ("web", "hyper", None),
            ],
            &["`hyper` may not be reached: dad-run -> innocent -> web -> hyper"],
        );
        check_edges(
            &[("dad-run", "innocent", None), ("innocent", "hyper", Some("dev"))],
            &[],
        );
    }

    #[test]
    fn this_workspace_passes() {
        assert_eq!(check(&metadata().unwrap()), []);
    }
}
