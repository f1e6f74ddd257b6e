//! `dhenara completions`.

use clap::Args;
use clap_complete::Shell;

use crate::app::App;
use crate::commands::Execute;
use crate::error::CommandError;
use crate::exit_code;
use crate::output::out;

/// Print a script with which a shell completes commands and options.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

impl Execute for CompletionsArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        out::exact(&script(self.shell, app.known.clone()))?;
        Ok(exit_code::DONE)
    }
}

/// The script of a shell for a command line. In bash, zsh and fish it completes the ids of runs too.
pub(crate) fn script(shell: Shell, mut known: clap::Command) -> String {
    let name = known.get_name().to_owned();
    let takers = run_takers(&known);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut known, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + &bash_runs(&name, &takers),
        Shell::Fish => script + &fish_runs(&name, &takers),
        Shell::Zsh => zsh_runs(&name, &script),
        _ => script,
    }
}

/// The names of the arguments that are a run.
const RUNS: [&str; 3] = ["run", "before", "after"];

/// The commands whose first argument is a run, as words.
fn run_takers(known: &clap::Command) -> Vec<String> {
    let takes_run = |command: &clap::Command| {
        let first = command.get_positionals().next();
        first.is_some_and(|argument| RUNS.contains(&argument.get_id().as_str()))
    };
    let mut takers = Vec::new();
    for command in known.get_subcommands() {
        if takes_run(command) {
            takers.push(command.get_name().to_owned());
        }
        let below = command.get_subcommands().filter(|below| takes_run(below));
        takers.extend(below.map(|below| format!("{} {}", command.get_name(), below.get_name())));
    }
    takers
}

/// The command that prints the runs of the project, one in a line.
fn ids(name: &str) -> String {
    format!("{name} runs list --ids 2>/dev/null")
}

/// Behind the function that was generated for bash: the ids of runs, where a command takes one.
fn bash_runs(name: &str, takers: &[String]) -> String {
    let function = format!("_{}", name.replace('-', "__"));
    let patterns: Vec<String> = takers.iter().map(|words| format!("\"{words}\"")).collect();
    format!(
        "
{function}_runs() {{
    {function} \"$@\"
    local cur=\"${{COMP_WORDS[COMP_CWORD]}}\"
    case \"${{COMP_WORDS[*]:1:COMP_CWORD-1}}\" in
        {})
            if [[ \"$cur\" != -* ]]; then
                COMPREPLY=( $(compgen -W \"last $({})\" -- \"$cur\") )
            fi
            ;;
    esac
}}
complete -F {function}_runs -o bashdefault -o default {name}
",
        patterns.join("|"),
        ids(name),
    )
}

/// The ids of runs for fish, where a command takes one.
fn fish_runs(name: &str, takers: &[String]) -> String {
    let lines = takers.iter().map(|words| {
        format!(
            "complete -c {name} -n 'set -l typed (commandline -opc); test \"$typed\" = \"{name} {words}\"' -kfa 'last ({})'\n",
            ids(name)
        )
    });
    lines.collect()
}

/// The script for zsh, which completes ids where an argument is a run.
fn zsh_runs(name: &str, script: &str) -> String {
    let function = format!("_{}_runs", name.replace('-', "__"));
    let lines = script.lines().map(|line| {
        let is_run = RUNS.iter().any(|name| {
            let argument = line.trim_start_matches(['\'', ':']);
            line.starts_with("':")
                && argument
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(" -- "))
        });
        match line.rsplit_once(':') {
            Some((argument, _)) if is_run => format!("{argument}:{function}' \\\n"),
            _ => format!("{line}\n"),
        }
    });
    let completed: String = lines.collect();
    let runs = format!(
        "{function}() {{\n    compadd -V runs -- last ${{(f)\"$({})\"}}\n}}\n\n",
        ids(name)
    );
    // The script ends with the call of its function.
    match completed.rsplit_once("if [ \"$funcstack") {
        Some((before, after)) => format!("{before}{runs}if [ \"$funcstack{after}"),
        None => completed + &runs,
    }
}

/// The lines that switch completion on, for the help.
pub(crate) fn setup(name: &str) -> String {
    format!(
        "To switch completion on, add to the start-up file of the shell:\n  \
         bash        ~/.bashrc                   source <({name} completions bash)\n  \
         zsh         ~/.zshrc, after `compinit`  source <({name} completions zsh)\n  \
         fish        ~/.config/fish/config.fish  {name} completions fish | source\n  \
         elvish      ~/.config/elvish/rc.elv     eval ({name} completions elvish | slurp)\n  \
         powershell  $PROFILE                    {name} completions powershell | Out-String | iex"
    )
}
