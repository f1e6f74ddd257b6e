use std::path::{Path, PathBuf};

use dad_core::{Definition, DefinitionKind, ElementId};
use dad_definition::{Checked, Loaded, Problem, SpanMap, check_file};

use crate::app::App;
use crate::error::CommandError;

/// A definition that is to be run, and where it came from.
pub(crate) struct Found {
    pub(crate) definition: Definition,
    pub(crate) root_id: String,
    pub(crate) spans: Option<SpanMap>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) warnings: Vec<Problem>,
}

/// The agent of a name: built into the program, or a file of the project.
pub(crate) fn agent(app: &App, project_root: &Path, name: &str) -> Result<Found, CommandError> {
    if let Some((_, agent)) = app.agents.iter().find(|(known, _)| known == name) {
        let definition = agent.definition().clone();
        let root_id = root_id(&definition, name);
        return Ok(Found {
            definition,
            root_id,
            spans: None,
            dir: None,
            warnings: Vec::new(),
        });
    }
    let file = agent_file(app, project_root, name)?;
    load_kind(app, &file, project_root, name, DefinitionKind::Agent)
}

/// The file of an agent.
pub(crate) fn agent_file(app: &App, project_root: &Path, name: &str) -> Result<PathBuf, CommandError> {
    ElementId::new(name)
        .map_err(|error| CommandError::usage("agent_name", format!("the name of the agent: {error}")))?;
    let file = agent_files(project_root, name)
        .into_iter()
        .find(|file| file.is_file());
    file.ok_or_else(|| unknown_agent(app, project_root, name))
}

/// What the root of a file's definition is called after.
pub(crate) fn name_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// The flow of a file.
pub(crate) fn flow(app: &App, file: &Path, project_root: &Path) -> Result<Found, CommandError> {
    load_kind(app, file, project_root, &name_of(file), DefinitionKind::Flow)
}

/// The definition of a file, which must be of a kind.
fn load_kind(
    app: &App,
    file: &Path,
    project_root: &Path,
    name: &str,
    wanted: DefinitionKind,
) -> Result<Found, CommandError> {
    let found = load(app, file, project_root, name)?;
    if found.definition.kind == wanted {
        return Ok(found);
    }
    let (is, command) = match found.definition.kind {
        DefinitionKind::Agent => ("an agent", "dhenara run agent NAME"),
        DefinitionKind::Flow => ("a flow", "dhenara run flow FILE"),
    };
    Err(
        CommandError::usage("wrong_kind", format!("`{}` is {is}", file.display()))
            .with_hint(format!("use `{command}`")),
    )
}

/// The definition of a file, checked; `name` is what its root is called after.
pub(crate) fn load(app: &App, file: &Path, project_root: &Path, name: &str) -> Result<Found, CommandError> {
    let Checked { loaded, program, .. } = check_file(file, Some(project_root), name, &app.nodes)?;
    let Loaded {
        definition,
        spans,
        warnings,
        ..
    } = loaded;
    let dir = file.parent().map(Path::to_path_buf);
    Ok(Found {
        definition,
        root_id: program.root.id.to_string(),
        spans: Some(spans),
        dir,
        warnings,
    })
}

fn root_id(definition: &Definition, name: &str) -> String {
    definition
        .root_id
        .as_ref()
        .map_or_else(|| format!("{name}_root"), ToString::to_string)
}

fn agent_files(project_root: &Path, name: &str) -> Vec<PathBuf> {
    let folders = ["agents", "src/agents"].map(|folder| project_root.join(folder).join(name));
    folders
        .iter()
        .flat_map(|folder| ["yaml", "yml", "json"].map(|end| folder.join(format!("agent.{end}"))))
        .collect()
}

fn unknown_agent(app: &App, project_root: &Path, name: &str) -> CommandError {
    let built_in = app.agents.iter().map(|(name, _)| name.clone());
    let known: Vec<String> = built_in.chain(agents_of(project_root)).collect();
    let message = format!("there is no agent `{name}` in `{}`", project_root.display());
    let error = CommandError::usage("unknown_agent", message);
    match dad_core::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.with_hint(format!("write it to `agents/{name}/agent.yaml`")),
        None => error.with_hint(format!("there are: {}", known.join(", "))),
    }
}

/// The agents that files of the project define.
pub(crate) fn agents_of(project_root: &Path) -> Vec<String> {
    let folders = ["agents", "src/agents"].map(|folder| project_root.join(folder));
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| agent_files(project_root, name).iter().any(|file| file.is_file()))
        .collect();
    names.sort();
    names
}
