//! The command line: its commands, and the way from the arguments of this process to an exit code.

use std::collections::HashSet;
use std::error::Error;
use std::ffi::OsString;
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};
use dad_core::shell_word;
use dad_project::ProjectError;
use dad_terminal::print_line;
use tracing_subscriber::filter::Targets;

use crate::app::{App, OwnCommand};
use crate::commands::Execute;
use crate::commands::agents::AgentsArgs;
use crate::commands::answer::AnswerArgs;
use crate::commands::cancel::CancelArgs;
use crate::commands::completions::{self, CompletionsArgs};
use crate::commands::config::ShowConfigArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::init::InitArgs;
use crate::commands::man::ManArgs;
use crate::commands::models::check::CheckArgs as CheckModelArgs;
use crate::commands::models::list::ListArgs as ListModelsArgs;
use crate::commands::models::show::ShowArgs as ShowModelArgs;
use crate::commands::new::{NewAgentArgs, NewFlowArgs, NewRustArgs};
use crate::commands::render::RenderArgs;
use crate::commands::rerun::RerunArgs;
use crate::commands::resume::ResumeArgs;
use crate::commands::run::{AgentArgs, FlowArgs, NamedArgs};
use crate::commands::runs::archive::{ExportArgs, ImportArgs};
use crate::commands::runs::cost::CostArgs;
use crate::commands::runs::diff::DiffArgs;
use crate::commands::runs::get::GetArgs;
use crate::commands::runs::graph::GraphArgs;
use crate::commands::runs::label::{NoteArgs, TagArgs};
use crate::commands::runs::list::ListArgs;
use crate::commands::runs::logs::LogsArgs;
use crate::commands::runs::path::{OpenArgs, PathArgs};
use crate::commands::runs::prune::PruneArgs;
use crate::commands::runs::remove::RemoveArgs;
use crate::commands::runs::repair::RepairArgs;
use crate::commands::runs::search::SearchArgs;
use crate::commands::runs::show::ShowArgs;
use crate::commands::runs::table::TableArgs;
use crate::commands::runs::trace::TraceArgs;
use crate::commands::runs::undo::UndoArgs;
use crate::commands::runs::verify::VerifyArgs;
use crate::commands::runs::watch::WatchArgs;
use crate::commands::runs::why::WhyArgs;
use crate::commands::schema::SchemaArgs;
use crate::commands::step::StepArgs;
use crate::commands::trace::TraceCommand;
use crate::commands::trust::TrustArgs;
use crate::commands::validate::ValidateArgs;
#[cfg(feature = "view")]
use crate::commands::view::ViewArgs;
use crate::commands::wait::WaitArgs;
use crate::error::CommandError;
use crate::options::Place;
use crate::output::{json, out, program};
use crate::{exit_code, logging, words};

/// Run LLM agents so that every run is one directory of plain files.
#[derive(Debug, Parser)]
#[command(name = "dhenara", version, long_version = env!("DHENARA_VERSION"), max_term_width = 100)]
struct Cli {
    /// Work as if the command had been started in this directory.
    #[arg(short = 'C', value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// Show no progress and no summary; warnings, errors and the result remain.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Show log events of level `info` too, such as models that are asked again.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// The log events to show: a level (`error`, `warn`, `info`, `debug`, `trace`), or several such as `warn,dad_models=debug`. By
    /// default RUST_LOG says, else `warn`.
    #[arg(long, value_name = "LEVEL|TARGET=LEVEL", global = true, conflicts_with = "verbose", value_parser = logging::parse)]
    log: Option<Targets>,
    /// Print long results as they are, instead of in `$PAGER`.
    #[arg(long, global = true)]
    no_pager: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(InitArgs),
    /// Make an agent or a flow from a template, or a program in Rust.
    #[command(subcommand)]
    New(NewCommand),
    Agents(AgentsArgs),
    /// Run an agent or a flow.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Run(Box<RunArgs>),
    Resume(Box<ResumeArgs>),
    Rerun(Box<RerunArgs>),
    Answer(Box<AnswerArgs>),
    Cancel(CancelArgs),
    Wait(WaitArgs),
    Validate(ValidateArgs),
    Render(Box<RenderArgs>),
    /// Look at the runs there are.
    #[command(subcommand)]
    Runs(RunsCommand),
    #[cfg(feature = "view")]
    View(ViewArgs),
    /// Take the traces of runs to other tools.
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Look at the models there are, and try them.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    Doctor(DoctorArgs),
    Trust(TrustArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(subcommand)]
    command: Option<RunCommand>,
    #[command(flatten)]
    named: NamedArgs,
}

#[derive(Debug, Subcommand)]
enum NewCommand {
    Agent(NewAgentArgs),
    Flow(NewFlowArgs),
    Rust(NewRustArgs),
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
    Show(ShowArgs),
    Watch(WatchArgs),
    Trace(TraceArgs),
    Logs(LogsArgs),
    Cost(CostArgs),
    Why(WhyArgs),
    Diff(DiffArgs),
    Get(GetArgs),
    Search(SearchArgs),
    Table(TableArgs),
    Graph(GraphArgs),
    Path(PathArgs),
    Open(OpenArgs),
    Tag(TagArgs),
    Note(NoteArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Verify(VerifyArgs),
    Repair(RepairArgs),
    Undo(UndoArgs),
    Rm(RemoveArgs),
    Prune(PruneArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Show(ShowConfigArgs),
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
            Self::Init(arguments) => arguments,
            Self::New(NewCommand::Agent(arguments)) => arguments,
            Self::New(NewCommand::Flow(arguments)) => arguments,
            Self::New(NewCommand::Rust(arguments)) => arguments,
            Self::Agents(arguments) => arguments,
            Self::Run(arguments) => match &arguments.command {
                None => &arguments.named,
                Some(RunCommand::Agent(arguments)) => &**arguments,
                Some(RunCommand::Flow(arguments)) => &**arguments,
                Some(RunCommand::Step(arguments)) => &**arguments,
            },
            Self::Resume(arguments) => &**arguments,
            Self::Rerun(arguments) => &**arguments,
            Self::Answer(arguments) => &**arguments,
            Self::Cancel(arguments) => arguments,
            Self::Wait(arguments) => arguments,
            Self::Validate(arguments) => arguments,
            Self::Render(arguments) => &**arguments,
            Self::Runs(RunsCommand::List(arguments)) => arguments,
            Self::Runs(RunsCommand::Rm(arguments)) => arguments,
            Self::Runs(RunsCommand::Prune(arguments)) => arguments,
            Self::Runs(RunsCommand::Verify(arguments)) => arguments,
            Self::Runs(RunsCommand::Repair(arguments)) => arguments,
            Self::Runs(RunsCommand::Undo(arguments)) => arguments,
            Self::Runs(RunsCommand::Watch(arguments)) => arguments,
            Self::Runs(RunsCommand::Trace(arguments)) => arguments,
            Self::Runs(RunsCommand::Logs(arguments)) => arguments,
            Self::Runs(RunsCommand::Cost(arguments)) => arguments,
            Self::Runs(RunsCommand::Why(arguments)) => arguments,
            Self::Runs(RunsCommand::Show(arguments)) => arguments,
            Self::Runs(RunsCommand::Diff(arguments)) => arguments,
            Self::Runs(RunsCommand::Get(arguments)) => arguments,
            Self::Runs(RunsCommand::Path(arguments)) => arguments,
            Self::Runs(RunsCommand::Open(arguments)) => arguments,
            Self::Runs(RunsCommand::Tag(arguments)) => arguments,
            Self::Runs(RunsCommand::Note(arguments)) => arguments,
            Self::Runs(RunsCommand::Search(arguments)) => arguments,
            Self::Runs(RunsCommand::Table(arguments)) => arguments,
            Self::Runs(RunsCommand::Graph(arguments)) => arguments,
            Self::Runs(RunsCommand::Export(arguments)) => arguments,
            Self::Runs(RunsCommand::Import(arguments)) => arguments,
            #[cfg(feature = "view")]
            Self::View(arguments) => arguments,
            Self::Trace(command) => command.arguments(),
            Self::Models(ModelsCommand::List(arguments)) => arguments,
            Self::Models(ModelsCommand::Show(arguments)) => arguments,
            Self::Models(ModelsCommand::Check(arguments)) => arguments,
            Self::Config(ConfigCommand::Show(arguments)) => arguments,
            Self::Doctor(arguments) => arguments,
            Self::Trust(arguments) => arguments,
            Self::Schema(arguments) => arguments,
            Self::Completions(arguments) => arguments,
            Self::Man(arguments) => arguments,
        }
    }
}

impl App {
    /// Reads the command line of this process and executes its command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        self.run_from(std::env::args_os())
    }

    /// Executes the command of a command line, whose first word is the name of the program.
    #[must_use]
    pub fn run_from(self, words: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        // The command makes a runtime of its own, which cannot wait within another.
        if tokio::runtime::Handle::try_current().is_ok() {
            let error = CommandError::usage("runtime", "the command was started within a runtime of Tokio");
            error.with_hint("call `App::run_async`, and await it").show();
            return ExitCode::from(exit_code::BUG);
        }
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        self.execute(&words)
    }

    /// As [`run_from`](Self::run_from), within a runtime of Tokio: the command executes on a thread of its own. A command that has
    /// begun goes on to its end also if the future is dropped.
    pub async fn run_async(self, words: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let (ended, end) = tokio::sync::oneshot::channel();
        // A thread of the runtime itself would count as within it.
        std::thread::spawn(move || {
            let _ = ended.send(self.execute(&words));
        });
        end.await.unwrap_or_else(|_| ExitCode::from(exit_code::BUG))
    }

    fn execute(mut self, words: &[OsString]) -> ExitCode {
        self.invoked = (words.to_vec(), std::env::current_dir().unwrap_or_default());
        program::set_name(&self.name);
        if let Some(name) = self.doubled_command() {
            let message = format!("the program adds a subcommand `{name}`, and there is one of that name");
            CommandError::usage("command_name", message).show();
            return ExitCode::from(exit_code::BUG);
        }
        self.known = self.known();
        let cli = match self.read(words) {
            Ok(Read::BuiltIn(cli)) => cli,
            Ok(Read::Own(command, words)) => return (command.execute)(words),
            Err(error) => return show_usage(&self.with_command_meant(error, words)),
        };
        program::set_quiet(cli.quiet);
        logging::choose(cli.log, cli.verbose);
        if let Some(dir) = &cli.directory
            && let Err(error) = enter(dir)
        {
            error.show();
            return ExitCode::from(error.exit_code);
        }
        let command = cli.command.arguments();
        let common = command.common();
        // Handlers of a project ask by themselves, and know no options.
        let _forbidden = common.no_input.then(dad_terminal::forbid_prompts);
        if common.paged && !cli.no_pager {
            out::begin_paging();
        }
        // The panic hook has printed the message.
        let executed = catch_unwind(AssertUnwindSafe(|| command.execute(&self)));
        let executed = executed.unwrap_or_else(|_| Err(CommandError::bug()));
        // Before an error is shown.
        let printed = out::end_paging();
        match executed.and_then(|code| printed.map(|()| code)) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let error = self.with_run_root(error, &common.place).in_place(&common.place);
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

impl App {
    /// An error about runs that are not there, with the directory that was looked in.
    fn with_run_root(&self, error: CommandError, place: &Place) -> CommandError {
        if !error.found_no_run {
            return error;
        }
        let project = self.project_or_here(place).ok();
        match project.and_then(|project| project.dirs().ok()) {
            Some(dirs) => error.and_hint(format!("runs are looked for in `{}`", dirs.run_root.display())),
            None => error,
        }
    }
}

/// Makes a directory the current one: the command works as if it had been started there.
#[expect(
    clippy::disallowed_methods,
    reason = "the user asks for it, before the command begins"
)]
fn enter(dir: &Path) -> Result<(), CommandError> {
    std::env::set_current_dir(dir).map_err(|error| {
        let message = format!("`-C {}`: the directory cannot be entered: {error}", dir.display());
        CommandError::usage("directory", message).with_hint("name a directory that is there")
    })
}

/// The name of the argument that holds the words behind a subcommand of the program.
const WORDS: &str = "words";

/// A command line that was read.
enum Read<'a> {
    BuiltIn(Box<Cli>),
    /// A subcommand of the program, and the words behind its name.
    Own(&'a OwnCommand, Vec<OsString>),
}

impl App {
    /// The name of a subcommand that the program adds although there is one.
    fn doubled_command(&self) -> Option<&str> {
        let built_in = Cli::command();
        let mut known: HashSet<&str> = built_in.get_subcommands().map(clap::Command::get_name).collect();
        known.insert("help");
        let mut names = self.commands.iter().map(|own| own.name.as_str());
        names.find(|name| !known.insert(name))
    }

    /// The error with the command that the words mean, in the place of similar words.
    fn with_command_meant(&self, mut error: clap::Error, words: &[OsString]) -> clap::Error {
        let words = words
            .iter()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = words.collect();
        if error.kind() == ErrorKind::ValueValidation
            && error
                .source()
                .and_then(<dyn Error>::downcast_ref::<ParseIntError>)
                .is_some()
        {
            return clap::Error::raw(error.kind(), not_whole(&error));
        }
        let used = |command: String| format!("use `{command}`");
        let tip = match error.kind() {
            ErrorKind::InvalidSubcommand => words::meant(&words)
                .or_else(|| self.run_of_name(&words))
                .map(used),
            ErrorKind::MissingRequiredArgument => self.run_of_kind(&words).map(used),
            ErrorKind::UnknownArgument => match words::option_meant(&words) {
                None => return with_way_out(error),
                meant => meant,
            },
            _ => None,
        };
        if let Some(tip) = tip {
            error.remove(ContextKind::SuggestedSubcommand);
            error.remove(ContextKind::SuggestedArg);
            let tip = StyledStr::from(tip);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        error
    }

    /// The command that runs a definition of the project, if the first word is its name.
    fn run_of_name(&self, words: &[String]) -> Option<String> {
        let project = self.project_or_here(&Place::default()).ok()?;
        let is_unknown = |error| matches!(error, ProjectError::UnknownDefinition { .. });
        let is_known = !project.kind_of(words.first()?).is_err_and(is_unknown);
        let words = words.iter().map(|word| shell_word(word));
        is_known.then(|| program::command(&format!("run {}", words.collect::<Vec<_>>().join(" "))))
    }

    /// The command for `run` without a name: the one that lists names, or that runs the definition which is called as a kind is.
    fn run_of_kind(&self, words: &[String]) -> Option<String> {
        match words {
            [run] if run == "run" => Some(program::command("agents")),
            [run, word] if run == "run" => {
                let project = self.project_or_here(&Place::default()).ok()?;
                let kind = project.kind_of(word).ok()?.as_str();
                Some(program::command(&format!("run {kind} {}", shell_word(word))))
            }
            _ => None,
        }
    }

    /// The commands and options of the program, its own among them.
    fn known(&self) -> clap::Command {
        let mut known = Cli::command()
            .name(self.name.clone())
            .mut_subcommand("completions", |command| {
                command.after_help(completions::setup(&self.name))
            });
        for own in &self.commands {
            let words = Arg::new(WORDS)
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true);
            let command = clap::Command::new(own.name.clone()).about(own.about.clone());
            // Options, help among them, are the program's own.
            known = known.subcommand(command.disable_help_flag(true).arg(words));
        }
        known
    }

    fn read(&self, words: &[OsString]) -> Result<Read<'_>, clap::Error> {
        let mut matches = self.known.clone().try_get_matches_from(words)?;
        let own = matches
            .subcommand_name()
            .and_then(|name| self.commands.iter().find(|own| own.name == name));
        match own {
            None => Ok(Read::BuiltIn(Box::new(Cli::from_arg_matches_mut(&mut matches)?))),
            Some(own) => {
                let (_, mut given) = matches.remove_subcommand().unzip();
                let words = given
                    .as_mut()
                    .and_then(|given| given.remove_many::<OsString>(WORDS));
                Ok(Read::Own(own, words.into_iter().flatten().collect()))
            }
        }
    }
}

/// The message for an option whose number is none.
fn not_whole(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    format!(
        "`{}` is no number for `{}`: write a whole number, such as `3`\n",
        text(ContextKind::InvalidValue),
        text(ContextKind::InvalidArg)
    )
}

/// The error about a word that has no place, with a tip that leads on. That of the parser, to write `--` before it, makes an option
/// a name.
fn with_way_out(mut error: clap::Error) -> clap::Error {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => return error,
    };
    error.remove(ContextKind::Suggested);
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let tip = match word.split_once('=') {
        _ if word.strip_prefix('-').is_some_and(is_number) => {
            "a number below zero is not possible here".to_owned()
        }
        Some((name, _)) if !name.is_empty() && !name.starts_with('-') => {
            format!("give a variable its value by `--var {}`", shell_word(&word))
        }
        _ => return error,
    };
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![StyledStr::from(tip)]),
    );
    error
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

/// The commands, their arguments and their help.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// The `dhenara` command without additions.
#[must_use]
pub fn main() -> ExitCode {
    App::new().run()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;
    use crate::commands::completions::script;
    use crate::commands::man::pages;

    /// A program of another name with a subcommand of its own.
    fn tool() -> clap::Command {
        let app = App::new().name("my-tool");
        let app = app.command("greet", "Say hello", |_| ExitCode::SUCCESS);
        app.known()
    }

    #[test]
    fn scripts_of_shells_complete_the_commands_of_the_program() {
        for shell in Shell::value_variants() {
            let script = script(*shell, tool());
            for word in [
                "my-tool",
                "greet",
                "answer",
                "prune",
                "approve",
                "run-root-subpath",
            ] {
                assert!(script.contains(word), "{shell}: {word}");
            }
            assert!(!script.contains("dhenara "), "{shell}");
        }
    }

    #[test]
    fn every_command_of_the_program_has_a_page() {
        let pages = pages(tool()).unwrap();
        let page = |name: &str| {
            let page = pages.iter().find(|(known, _)| known == name);
            page.unwrap_or_else(|| panic!("{name} is none of {pages:?}"))
                .1
                .as_str()
        };
        assert_eq!(pages[0].0, "my-tool.1");
        for name in ["greet", "answer", "runs", "runs-show", "new-rust"] {
            let listed = name.replace('-', "\\-");
            assert!(page(&format!("my-tool-{name}.1")).contains(&listed), "{name}");
        }
        let setup = page("my-tool-completions.1");
        assert!(setup.contains("my\\-tool completions fish | source"), "{setup}");
        let answer = page("my-tool-answer.1");
        let version = env!("CARGO_PKG_VERSION");
        assert!(answer.contains(&format!("\"my-tool {version}\"")), "{answer}");
        assert!(
            answer.contains("Agree that the step executes as it is"),
            "{answer}"
        );
    }

    #[test]
    fn the_options_of_all_commands_agree() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_of_other_tools_are_no_commands_and_mean_commands() {
        let known = Cli::command();
        let find = |words: &[&str]| {
            let mut at = Some(&known);
            for word in words
                .iter()
                .take_while(|word| !word.starts_with('-') && **word != "NAME")
            {
                at = at.and_then(|command| command.find_subcommand(word));
            }
            at.is_some()
        };
        for (foreign, meant) in words::TABLE {
            assert!(!find(foreign), "`{foreign:?}` is a command");
            assert!(find(meant), "`{meant:?}` is no command");
        }
    }
}
