//! `dhenara new`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use dad_core::shell_word;
use dad_project::{Project, ProjectError, Template, create_program};

use crate::app::App;
use crate::commands::init::report;
use crate::commands::run::RESERVED;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::options::Place;
use crate::output::summary::command_in;

/// Make an agent: `agents/NAME/agent.yaml`.
#[derive(Debug, Args)]
pub(crate) struct NewAgentArgs {
    #[command(flatten)]
    new: NewArgs,
}

/// Make a flow: `flows/NAME.yaml`.
#[derive(Debug, Args)]
pub(crate) struct NewFlowArgs {
    #[command(flatten)]
    new: NewArgs,
}

/// Make a program in Rust with a node, a handler and a flow of its own, and all commands of `dhenara`.
#[derive(Debug, Args)]
pub(crate) struct NewRustArgs {
    /// Its directory, which is made if it is missing; the package is called after it.
    dir: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for NewRustArgs {
    fn execute(&self, _: &App) -> Result<u8, CommandError> {
        let made = create_program(&self.dir)?;
        let next = [
            format!("cd {}", shell_word(&self.dir.to_string_lossy())),
            "cargo test".to_owned(),
            "cargo run -- run words".to_owned(),
        ];
        report(&made, &next, self.json)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

#[derive(Debug, Args)]
struct NewArgs {
    /// Its name, of letters, digits and `_`.
    name: String,
    /// The beginning of the definition. Each template runs as it is, without a key and without network.
    #[arg(long, default_value = "hello", value_parser = templates())]
    template: Template,
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn templates() -> impl TypedValueParser<Value = Template> {
    let names = Template::ALL
        .iter()
        .map(|template| PossibleValue::new(template.as_str()).help(template.about()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Template>())
}

impl Execute for NewAgentArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let NewArgs { name, template, .. } = &self.new;
        let project = app.project(&self.new.place())?;
        let made = project.create_agent(name, *template)?;
        report(&made, &self.new.next(&project, "agent"), self.new.json)
    }

    fn common(&self) -> CommonOptions {
        self.new.common()
    }
}

impl Execute for NewFlowArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let NewArgs { name, template, .. } = &self.new;
        let project = app.project(&self.new.place())?;
        let made = project.create_flow(name, *template)?;
        report(&made, &self.new.next(&project, "flow"), self.new.json)
    }

    fn common(&self) -> CommonOptions {
        self.new.common()
    }
}

impl NewArgs {
    fn place(&self) -> Place {
        Place {
            project_root: self.project_root.clone(),
            ..Place::default()
        }
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place(),
            json: self.json,
            ..CommonOptions::default()
        }
    }

    /// The commands to type next; `kind` is the word for what was made, where its name alone does not say it.
    fn next(&self, project: &Project, kind: &str) -> Vec<String> {
        let name = self.name.as_str();
        let is_shared = matches!(project.kind_of(name), Err(ProjectError::AmbiguousName { .. }));
        let needs_kind = is_shared || RESERVED.contains(&name);
        let words: &[&str] = if needs_kind {
            &["run", kind, name]
        } else {
            &["run", name]
        };
        vec![
            command_in(words, &self.place()),
            command_in(&["agents"], &self.place()),
        ]
    }
}
