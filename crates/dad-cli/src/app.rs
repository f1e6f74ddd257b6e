use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use clap::error::ErrorKind;
use dad_core::AgentDefinition;
use dad_events::Handler;
use dad_project::User;
use dad_runner::NodeRegistry;
use dad_terminal::print_line;

use crate::args::{Cli, Command, Place, RunCommand, RunsCommand};
use crate::error::CommandError;
use crate::{
    answer, cancel, exit_code, json, out, remove, render, repair, resume, run, runs, schema, show, step,
    trust, undo, validate,
};

/// The command with what a project adds to it.
pub struct App {
    pub(crate) nodes: NodeRegistry,
    pub(crate) agents: Vec<(String, AgentDefinition)>,
    pub(crate) handlers: Box<dyn Fn() -> Vec<Handler> + Send + Sync>,
    /// Whose process this is, once it was asked.
    pub(crate) user: OnceLock<User>,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// The command with the built-in nodes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: dad_nodes::builtin_nodes(),
            agents: Vec::new(),
            handlers: Box::new(Vec::new),
            user: OnceLock::new(),
        }
    }

    /// The nodes definitions may use.
    #[must_use]
    pub fn nodes(mut self, nodes: NodeRegistry) -> Self {
        self.nodes = nodes;
        self
    }

    /// An agent that `run agent NAME` finds before it looks for files.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>, agent: AgentDefinition) -> Self {
        self.agents.push((name.into(), agent));
        self
    }

    /// Event handlers of every run.
    #[must_use]
    pub fn handlers(mut self, handlers: impl Fn() -> Vec<Handler> + Send + Sync + 'static) -> Self {
        self.handlers = Box::new(handlers);
        self
    }

    /// Reads the command line of this process and does what it says.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            Err(error) => return show_usage(&error),
        };
        let as_json = cli.command.wants_json();
        let place = cli.command.place();
        // Handlers of a project ask by themselves, and know nothing of options.
        let _forbidden = cli.command.forbids_prompts().then(dad_terminal::forbid_prompts);
        // The hook has printed what happened.
        let executed = catch_unwind(AssertUnwindSafe(|| self.execute(cli.command)));
        match executed.unwrap_or_else(|_| Err(CommandError::bug())) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let error = error.in_place(&place);
                let is_printed = as_json && error.info.code != out::CODE && json::print_error(&error).is_ok();
                if !is_printed && (as_json || !error.told) {
                    error.show();
                }
                ExitCode::from(error.exit_code)
            }
        }
    }

    fn execute(&self, command: Command) -> Result<u8, CommandError> {
        match command {
            Command::Run(RunCommand::Agent { name, options }) => run::agent(self, &name, &options),
            Command::Run(RunCommand::Flow { file, options }) => run::flow(self, &file, &options),
            Command::Run(RunCommand::Step { run, path, options }) => step::step(self, &run, &path, &options),
            Command::Resume { run, options } => resume::resume(self, &run, &options),
            Command::Answer {
                run,
                question,
                options,
            } => answer::answer(self, &run, question.as_deref(), &options),
            Command::Cancel { run, path, place } => cancel::cancel(self, &run, path.as_deref(), &place),
            Command::Validate {
                name,
                project_root,
                json,
            } => {
                let place = Place {
                    project_root,
                    ..Place::default()
                };
                validate::validate(self, name.as_deref(), &place, json)
            }
            Command::Render {
                name,
                path,
                run,
                options,
            } => render::render(self, &name, &path, run.as_deref(), &options),
            Command::Runs(RunsCommand::List { place, size, json }) => runs::list(self, &place, size, json),
            Command::Runs(RunsCommand::Rm { run, force, removal }) => remove::rm(self, &run, force, &removal),
            Command::Runs(RunsCommand::Prune {
                keep_last,
                keep_days,
                max_size,
                removal,
            }) => {
                let policy = remove::policy(keep_last, keep_days, max_size);
                remove::prune(self, &policy, &removal)
            }
            Command::Runs(RunsCommand::Verify { run, place, json }) => runs::verify(self, &run, &place, json),
            Command::Runs(RunsCommand::Repair { run, options }) => repair::repair(self, &run, &options),
            Command::Runs(RunsCommand::Undo { run, path, options }) => {
                undo::undo(self, &run, path.as_deref(), &options)
            }
            Command::Runs(RunsCommand::Why {
                run,
                path,
                place,
                json,
            }) => runs::why(self, &run, &path, &place, json),
            Command::Runs(RunsCommand::Show {
                run,
                path,
                all,
                place,
                json,
            }) => {
                let shown = show::Shown { all, json };
                runs::show(self, &run, path.as_deref(), &place, &shown)
            }
            Command::Trust { dir } => trust::trust(self, &dir),
            Command::Schema { kind } => schema::print(kind, &self.nodes),
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl Command {
    fn forbids_prompts(&self) -> bool {
        match self {
            Self::Run(RunCommand::Agent { options, .. } | RunCommand::Flow { options, .. }) => {
                options.no_input
            }
            Self::Run(RunCommand::Step { options, .. }) => options.no_input,
            Self::Resume { options, .. } => options.no_input,
            Self::Answer { options, .. } => options.no_input,
            _ => false,
        }
    }

    /// Where it was told that runs are.
    fn place(&self) -> Place {
        let place = match self {
            Self::Run(RunCommand::Agent { options, .. } | RunCommand::Flow { options, .. }) => &options.place,
            Self::Run(RunCommand::Step { options, .. }) => &options.place,
            Self::Resume { options, .. } => &options.place,
            Self::Answer { options, .. } => &options.place,
            Self::Render { options, .. } => &options.place,
            Self::Runs(RunsCommand::Rm { removal, .. } | RunsCommand::Prune { removal, .. }) => {
                &removal.place
            }
            Self::Runs(RunsCommand::Repair { options, .. }) => &options.place,
            Self::Runs(RunsCommand::Undo { options, .. }) => &options.place,
            Self::Cancel { place, .. }
            | Self::Runs(
                RunsCommand::List { place, .. }
                | RunsCommand::Verify { place, .. }
                | RunsCommand::Why { place, .. }
                | RunsCommand::Show { place, .. },
            ) => place,
            Self::Validate { project_root, .. } => {
                return Place {
                    project_root: project_root.clone(),
                    ..Place::default()
                };
            }
            Self::Trust { .. } | Self::Schema { .. } => return Place::default(),
        };
        place.clone()
    }

    fn wants_json(&self) -> bool {
        match self {
            Self::Run(RunCommand::Agent { options, .. } | RunCommand::Flow { options, .. }) => options.json,
            Self::Run(RunCommand::Step { options, .. }) => options.json,
            Self::Resume { options, .. } => options.json,
            Self::Answer { options, .. } => options.json,
            Self::Validate { json, .. } => *json,
            Self::Render { options, .. } => options.json,
            Self::Runs(
                RunsCommand::List { json, .. }
                | RunsCommand::Verify { json, .. }
                | RunsCommand::Why { json, .. }
                | RunsCommand::Show { json, .. },
            ) => *json,
            Self::Runs(RunsCommand::Rm { removal, .. } | RunsCommand::Prune { removal, .. }) => removal.json,
            Self::Runs(RunsCommand::Repair { options, .. }) => options.json,
            Self::Runs(RunsCommand::Undo { options, .. }) => options.json,
            Self::Cancel { .. } | Self::Trust { .. } | Self::Schema { .. } => false,
        }
    }
}

/// Help and version go to standard output, everything else is an error.
fn show_usage(error: &clap::Error) -> ExitCode {
    let shown = error.render().ansi().to_string();
    if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print_line(shown.trim_end());
        return ExitCode::from(exit_code::USAGE);
    }
    match out::lines(&shown) {
        Ok(()) => ExitCode::from(exit_code::DONE),
        Err(error) => {
            error.show();
            ExitCode::from(error.exit_code)
        }
    }
}

/// The `dhenara` command without additions.
#[must_use]
pub fn main() -> ExitCode {
    App::new().run()
}
