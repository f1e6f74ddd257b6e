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

/// The script of a shell for a command line.
pub(crate) fn script(shell: Shell, mut known: clap::Command) -> String {
    let name = known.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut known, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
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
