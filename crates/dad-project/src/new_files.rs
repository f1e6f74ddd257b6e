//! New files: of a project, of an agent or flow from a template, and of a program. A file that exists is never changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dad_core::{DefinitionKind, ElementId};
use dad_definition::definition_schema;
use dad_fs::{Dir, Durability, FsError, Gate};
use dad_runner::NodeRegistry;

use crate::config::FILE as CONFIG;
use crate::definitions::{AGENTS, FLOWS};
use crate::error::ProjectError;
use crate::project::Project;
use crate::user::User;

/// The schema of definitions of a kind, for editors.
const fn schema_file(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Agent => ".dhenara/schemas/agent.json",
        DefinitionKind::Flow => ".dhenara/schemas/flow.json",
    }
}

/// The files that were made, and those that existed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewFiles {
    /// The directory of the project, absolute.
    pub root: PathBuf,
    /// The files that were made, relative to the project.
    pub created: Vec<PathBuf>,
    /// The files that existed and are unchanged, relative to the project.
    pub kept: Vec<PathBuf>,
}

/// A definition that is the beginning of an agent or flow. Each runs as it is, without a key and without network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Template {
    /// A command, a value and a result.
    #[default]
    Hello,
    /// A model sorts a message; each kind of message takes a way of its own.
    Router,
    /// A question is answered from the texts of a folder.
    Rag,
    /// A model writes files, a person approves them, a command checks them.
    Coder,
    /// Two reviewers read a change at the same time; a third call weighs their remarks.
    Reviewer,
    /// A conversation with a person.
    Chat,
}

impl Template {
    /// All templates.
    pub const ALL: &[Self] = &[
        Self::Hello,
        Self::Router,
        Self::Rag,
        Self::Coder,
        Self::Reviewer,
        Self::Chat,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Router => "router",
            Self::Rag => "rag",
            Self::Coder => "coder",
            Self::Reviewer => "reviewer",
            Self::Chat => "chat",
        }
    }

    /// Its subject in one line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Hello => "a command, a value and a result",
            Self::Router => "a model sorts a message; each kind takes a way of its own",
            Self::Rag => "a question is answered from the texts of a folder",
            Self::Coder => "a model writes files, a person approves them, a command checks them",
            Self::Reviewer => {
                "two reviewers read a change at the same time, a third call weighs their remarks"
            }
            Self::Chat => "a conversation with a person",
        }
    }

    /// The flow, as it is written.
    const fn flow(self) -> &'static str {
        match self {
            Self::Hello => include_str!("templates/hello.yaml"),
            Self::Router => include_str!("templates/router.yaml"),
            Self::Rag => include_str!("templates/rag.yaml"),
            Self::Coder => include_str!("templates/coder.yaml"),
            Self::Reviewer => include_str!("templates/reviewer.yaml"),
            Self::Chat => include_str!("templates/chat.yaml"),
        }
    }

    /// The text of a definition of a kind, which is called `name` and lies in a directory so many levels below the project.
    fn text(self, kind: DefinitionKind, name: &str, levels: usize) -> String {
        let schema = format!("{}{}", "../".repeat(levels), schema_file(kind));
        let flow = self.flow().replace("NAME", name);
        let text = match kind {
            DefinitionKind::Flow => flow,
            DefinitionKind::Agent => as_agent(&flow),
        };
        format!("# yaml-language-server: $schema={schema}\n{text}")
    }
}

/// An agent with one flow, whose elements are those of the given flow.
fn as_agent(flow: &str) -> String {
    const ELEMENTS: &str = "\nelements:\n";
    let (head, elements) = flow.split_once(ELEMENTS).unwrap_or((flow, ""));
    let head = head.replacen("\nkind: flow\n", "\nkind: agent\n", 1);
    let elements: String = elements
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect();
    format!("{head}{ELEMENTS}  - flow: main\n    elements:\n{elements}")
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter().copied();
        all.find(|template| template.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|template| template.as_str()).collect();
            format!("there is no template `{name}`; there are {}", names.join(", "))
        })
    }
}

impl User {
    /// Makes a project: its configuration, schemas for editors with the settings of `nodes`, and an agent `hello` that runs
    /// without a key and without network. Files that exist are kept as they are.
    ///
    /// # Errors
    /// If the directory is a project of another user, or a file cannot be written.
    pub fn create_project(
        &self,
        dir: impl AsRef<Path>,
        nodes: &NodeRegistry,
    ) -> Result<NewFiles, ProjectError> {
        let dir = dir.as_ref();
        if dir.is_dir() {
            self.trust().check(dir)?;
        }
        let schema = |kind| format!("{:#}\n", definition_schema(kind, nodes));
        let hello = Template::Hello.text(DefinitionKind::Agent, "hello", 2);
        write_new(
            dir,
            &[
                (CONFIG.into(), include_str!("templates/config.yaml").to_owned()),
                (
                    ".dhenara/models.yaml".into(),
                    include_str!("templates/models.yaml").to_owned(),
                ),
                (
                    schema_file(DefinitionKind::Agent).into(),
                    schema(DefinitionKind::Agent),
                ),
                (
                    schema_file(DefinitionKind::Flow).into(),
                    schema(DefinitionKind::Flow),
                ),
                ("agents/hello/agent.yaml".into(), hello),
                // A file of its own: keys stay out of a repository also where the project has a `.gitignore` already.
                (".dhenara/.gitignore".into(), "/.secrets/\n".to_owned()),
                (".gitignore".into(), "/runs/\n".to_owned()),
            ],
        )
    }
}

impl Project {
    /// Makes an agent of a template, in `agents/NAME/agent.yaml`.
    ///
    /// # Errors
    /// [`ProjectError::NameTaken`] if there is an agent of that name; if no agent can have the name, or the file cannot be
    /// written.
    pub fn create_agent(&self, name: &str, template: Template) -> Result<NewFiles, ProjectError> {
        ElementId::new(name).map_err(ProjectError::AgentName)?;
        let taken = self.agents().iter().any(|known| known == name);
        let file = Path::new(AGENTS[0]).join(name).join("agent.yaml");
        self.create(taken, file, template.text(DefinitionKind::Agent, name, 2))
    }

    /// Makes a flow of a template, in `flows/NAME.yaml`.
    ///
    /// # Errors
    /// As [`create_agent`](Self::create_agent).
    pub fn create_flow(&self, name: &str, template: Template) -> Result<NewFiles, ProjectError> {
        ElementId::new(name).map_err(ProjectError::AgentName)?;
        let taken = self.flows().iter().any(|known| known == name);
        let file = Path::new(FLOWS).join(format!("{name}.yaml"));
        self.create(taken, file, template.text(DefinitionKind::Flow, name, 1))
    }

    fn create(&self, taken: bool, file: PathBuf, text: String) -> Result<NewFiles, ProjectError> {
        let made = if taken {
            None
        } else {
            Some(write_new(self.root(), &[(file.clone(), text)])?)
        };
        made.filter(|made| made.kept.is_empty())
            .ok_or(ProjectError::NameTaken { file })
    }
}

/// Makes a program in Rust that has all commands of `dhenara` and parts of its own: a package of Cargo with a node, a handler of
/// events, a flow and a test. The package is called after the directory, which is made if it is missing.
///
/// # Errors
/// [`ProjectError::NameTaken`] if the directory has a `Cargo.toml`, [`ProjectError::ProgramName`] if no package can be called
/// after it; if a file cannot be written.
pub fn create_program(dir: impl AsRef<Path>) -> Result<NewFiles, ProjectError> {
    let dir = dir.as_ref();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let mut letters = name.chars();
    let is_name = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if !is_name {
        return Err(ProjectError::ProgramName(name.into_owned()));
    }
    if dir.join("Cargo.toml").exists() {
        return Err(ProjectError::NameTaken {
            file: dir.join("Cargo.toml"),
        });
    }
    let filled = |text: &str| {
        text.replace("@NAME@", &name)
            .replace("@CRATE@", &name.replace('-', "_"))
            .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
    };
    let files = [
        ("Cargo.toml", include_str!("templates/program/Cargo.toml.in")),
        ("src/main.rs", include_str!("templates/program/main.rs.in")),
        ("src/lib.rs", include_str!("templates/program/lib.rs.in")),
        ("tests/words.rs", include_str!("templates/program/test.rs.in")),
        (".gitignore", "/target/\n/runs/\n"),
    ];
    write_new(dir, &files.map(|(file, text)| (file.into(), filled(text))))
}

/// Writes files that do not exist yet, with the directories above them.
fn write_new(root: &Path, files: &[(PathBuf, String)]) -> Result<NewFiles, ProjectError> {
    let unwritable = |error: FsError| ProjectError::Unwritable {
        path: error.path.clone(),
        reason: error.source.to_string(),
    };
    let dir = Dir::create_all_with(root, Gate::default()).map_err(unwritable)?;
    let mut made = NewFiles {
        root: std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf()),
        created: Vec::new(),
        kept: Vec::new(),
    };
    for (file, text) in files {
        let parent = file.parent().filter(|parent| *parent != Path::new(""));
        let written = parent
            .map_or(Ok(()), |parent| dir.create_dir_all(parent).map(drop))
            .and_then(|()| dir.publish(file, text.as_bytes(), Durability::Process));
        let list = if written.map_err(unwritable)? {
            &mut made.created
        } else {
            &mut made.kept
        };
        list.push(file.clone());
    }
    Ok(made)
}
