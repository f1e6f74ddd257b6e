//! The command line: its commands, and the way from the arguments of this process to an exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use dad_terminal::print_line;

use crate::app::App;
use crate::commands::Execute;
use crate::commands::answer::AnswerArgs;
use crate::commands::cancel::CancelArgs;
use crate::commands::models::check::CheckArgs as CheckModelArgs;
use crate::commands::models::list::ListArgs as ListModelsArgs;
use crate::commands::models::show::ShowArgs as ShowModelArgs;
use crate::commands::render::RenderArgs;
use crate::commands::resume::ResumeArgs;
use crate::commands::run::{AgentArgs, FlowArgs};
use crate::commands::runs::list::ListArgs;
use crate::commands::runs::prune::PruneArgs;
use crate::commands::runs::remove::RemoveArgs;
use crate::commands::runs::repair::RepairArgs;
use crate::commands::runs::show::ShowArgs;
use crate::commands::runs::undo::UndoArgs;
use crate::commands::runs::verify::VerifyArgs;
use crate::commands::runs::why::WhyArgs;
use crate::commands::schema::SchemaArgs;
use crate::commands::step::StepArgs;
use crate::commands::trust::TrustArgs;
use crate::commands::validate::ValidateArgs;
use crate::error::CommandError;
use crate::exit_code;
use crate::output::{json, out};

/// Run LLM agents so that every run is one directory of plain files.
#[derive(Debug, Parser)]
#[command(name = "dhenara", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an agent or a flow.
    #[command(subcommand)]
    Run(RunCommand),
    Resume(Box<ResumeArgs>),
    Answer(Box<AnswerArgs>),
    Cancel(CancelArgs),
    Validate(ValidateArgs),
    Render(Box<RenderArgs>),
    /// Look at the runs there are.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Look at the models there are, and try them.
    #[command(subcommand)]
    Models(ModelsCommand),
    Trust(TrustArgs),
    Schema(SchemaArgs),
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    Agent(Box<AgentArgs>),
    Flow(Box<FlowArgs>),
    Step(Box<StepArgs>),
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    List(ListArgs),
    Rm(RemoveArgs),
    Prune(PruneArgs),
    Verify(VerifyArgs),
    Repair(RepairArgs),
    Undo(UndoArgs),
    Why(WhyArgs),
    Show(ShowArgs),
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    List(ListModelsArgs),
    Show(ShowModelArgs),
    Check(CheckModelArgs),
}

impl Command {
    fn arguments(&self) -> &dyn Execute {
        match self {
            Self::Run(RunCommand::Agent(arguments)) => &**arguments,
            Self::Run(RunCommand::Flow(arguments)) => &**arguments,
            Self::Run(RunCommand::Step(arguments)) => &**arguments,
            Self::Resume(arguments) => &**arguments,
            Self::Answer(arguments) => &**arguments,
            Self::Cancel(arguments) => arguments,
            Self::Validate(arguments) => arguments,
            Self::Render(arguments) => &**arguments,
            Self::Runs(RunsCommand::List(arguments)) => arguments,
            Self::Runs(RunsCommand::Rm(arguments)) => arguments,
            Self::Runs(RunsCommand::Prune(arguments)) => arguments,
            Self::Runs(RunsCommand::Verify(arguments)) => arguments,
            Self::Runs(RunsCommand::Repair(arguments)) => arguments,
            Self::Runs(RunsCommand::Undo(arguments)) => arguments,
            Self::Runs(RunsCommand::Why(arguments)) => arguments,
            Self::Runs(RunsCommand::Show(arguments)) => arguments,
            Self::Models(ModelsCommand::List(arguments)) => arguments,
            Self::Models(ModelsCommand::Show(arguments)) => arguments,
            Self::Models(ModelsCommand::Check(arguments)) => arguments,
            Self::Trust(arguments) => arguments,
            Self::Schema(arguments) => arguments,
        }
    }
}

impl App {
    /// Reads the command line of this process and executes its command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            Err(error) => return show_usage(&error),
        };
        let command = cli.command.arguments();
        let common = command.common();
        // Handlers of a project ask by themselves, and know no options.
        let _forbidden = common.no_input.then(dad_terminal::forbid_prompts);
        // The panic hook has printed the message.
        let executed = catch_unwind(AssertUnwindSafe(|| command.execute(&self)));
        match executed.unwrap_or_else(|_| Err(CommandError::bug())) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let error = error.in_place(&common.place);
                let is_printed =
                    common.json && error.info.code != out::CODE && json::print_error(&error).is_ok();
                if !is_printed && (common.json || !error.reported) {
                    error.show();
                }
                ExitCode::from(error.exit_code)
            }
        }
    }
}

/// Prints help and version to standard output; anything else is an error.
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
