//! `dhenara view`: the page of all runs, in a browser.

use std::path::{Path, PathBuf};

use clap::Args;
use dad_fs::{Dir, Durability};
use dad_project::Project;
use dad_run::RunError;
use dad_terminal::{open_in_browser, print_line, printable};
use dad_view::{SessionFiles, ViewError, ViewOptions, ViewServer};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{out, program};
use crate::session::drive::{runtime, unheard};
use crate::signals::Signals;

/// The directory of the files that open pages, in that of the user's state.
const FILES: &str = "view";

/// Look at the runs in a browser, while they execute too. A server on this machine alone shows them until Ctrl-C; a file that only
/// the user can read opens the page.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// Directories with runs; by default those of the project.
    #[arg(value_name = "RUN_ROOT", conflicts_with_all = ["run_root", "run_root_subpath"])]
    run_roots: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// The port to listen at; by default one that is free.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Open no browser; the file that opens the page is named.
    #[arg(long)]
    no_open: bool,
    /// Let the page only look at runs. It does nothing else yet.
    #[arg(long)]
    read_only: bool,
}

impl Execute for ViewArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let runtime = runtime()?;
        let ended = runtime.block_on(view(project, self));
        // A long run that is still being read delays no end.
        runtime.shutdown_background();
        ended.map(|()| exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            ..CommonOptions::default()
        }
    }
}

async fn view(project: Project, arguments: &ViewArgs) -> Result<(), CommandError> {
    let roots: Result<Vec<PathBuf>, CommandError> =
        arguments.run_roots.iter().map(|root| run_root(root)).collect();
    let state = project.user().state_dir().ok_or_else(no_state_dir)?;
    let options = ViewOptions::default().run_roots(roots?).program(program::name());
    let mut signals = Signals::listen().map_err(|error| unheard(&error))?;
    let server = ViewServer::bind(project, options, arguments.port)
        .await
        .map_err(in_words)?;
    let sessions = server.session_files();
    let file = SessionFile::new(&state, server.address().port())?;
    file.write(&sessions)?;
    out::exact(&format!("http://{}/", server.address()))?;
    out::exact(&file.path().display().to_string())?;
    if arguments.no_open {
        print_line("open the file in a browser; Ctrl-C ends the server");
    } else {
        open(&file.path());
    }
    let renewed = async {
        loop {
            sessions.used().await;
            if let Err(error) = file.write(&sessions) {
                error.show();
            }
        }
    };
    let serving = server.serve(async move {
        signals.next().await;
    });
    tokio::select! {
        () = serving => {}
        () = renewed => {}
    }
    Ok(file.remove()?)
}

/// A directory of the command line that has runs, or will have them.
fn run_root(root: &Path) -> Result<PathBuf, CommandError> {
    let found = root
        .canonicalize()
        .and_then(|found| found.read_dir().map(|_| found));
    found.map_err(|error| {
        let shown = printable(&root.display().to_string());
        CommandError::usage("run_root", format!("`{shown}` is no directory of runs: {error}"))
            .with_hint("name a directory that holds runs, or none for those of the project")
    })
}

fn no_state_dir() -> CommandError {
    CommandError::usage(
        "state_dir",
        "there is no directory for the file that opens the page",
    )
    .with_hint("name one in `DHENARA_STATE_DIR`, or set `HOME`")
}

fn open(file: &Path) {
    match open_in_browser(file) {
        Ok(()) => print_line("the page opens in a browser; Ctrl-C ends the server"),
        Err(error) => print_line(&format!(
            "{}; open the file in a browser yourself, Ctrl-C ends the server",
            printable(&error.to_string())
        )),
    }
}

/// The file that opens a page, for its user alone.
struct SessionFile {
    dir: Dir,
    name: String,
}

impl SessionFile {
    fn new(state: &Path, port: u16) -> Result<Self, CommandError> {
        Dir::create_private(state).map_err(RunError::from)?;
        let dir = Dir::create_private(state.join(FILES)).map_err(RunError::from)?;
        let name = format!("{port}.html");
        Ok(Self { dir, name })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Gives the file a code that was not used yet.
    fn write(&self, sessions: &SessionFiles) -> Result<(), CommandError> {
        let page = sessions.next().map_err(in_words)?;
        let written = self.dir.replace(&self.name, page.as_bytes(), Durability::Process);
        Ok(written.map_err(RunError::from)?)
    }

    fn remove(&self) -> Result<(), RunError> {
        Ok(self.dir.remove_file(&self.name)?)
    }
}

fn in_words(error: ViewError) -> CommandError {
    match error {
        ViewError::Run(error) => error.into(),
        ViewError::Project(error) => error.into(),
        error => {
            let reason = std::error::Error::source(&error).map(|source| format!(": {source}"));
            CommandError::usage("listen", format!("{error}{}", reason.unwrap_or_default()))
                .with_hint("leave `--port` out for a port that is free")
        }
    }
}
