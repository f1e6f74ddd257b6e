//! Files and images of a prompt.

use std::path::{Path, PathBuf};

use dad_core::Digest;
use dad_fs::Dir;
use dad_models::MessageFile;
use dad_run::RunHandle;
use dad_runner::{NodeContext, NodeError};

use crate::ai_model::settings::{AIModelNodeSettings, Prompt, PromptFile};

/// The largest file that is sent.
const LARGEST: u64 = 20 << 20;

/// The largest that the files of a call may be together: more than any provider takes.
const LARGEST_TOGETHER: usize = 100 << 20;

/// A file that was read, and the message that it belongs to: those of `context` in their order, then the prompt.
pub(super) struct Attached {
    pub(super) prompt: usize,
    pub(super) file: MessageFile,
}

impl PromptFile {
    fn path(&self) -> &str {
        match self {
            Self::Path(path) | Self::File { path, .. } => path,
        }
    }

    fn media_type(&self) -> String {
        match self {
            Self::File {
                media_type: Some(given),
                ..
            } => given.clone(),
            _ => media_type(self.path()).to_owned(),
        }
    }

    pub(super) fn is_marked(&self) -> bool {
        matches!(self, Self::File { cache: true, .. })
    }

    /// Its path, and what changes when its content does.
    pub(super) fn stamp(&self) -> Result<(String, String), NodeError> {
        let path = absolute(self.path())?;
        let metadata =
            std::fs::symlink_metadata(path).map_err(|error| unreadable(self.path(), &error.to_string()))?;
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let nanos = since.map_or(0, |since| since.as_nanos());
        Ok((self.path().to_owned(), format!("{} {nanos}", metadata.len())))
    }

    /// Its path, and the digest of its content.
    pub(super) fn fact(&self, run: &RunHandle) -> Result<(String, Digest), NodeError> {
        let path = absolute(self.path())?;
        Ok((self.path().to_owned(), Digest::of(&self.content(path, run)?)))
    }

    fn content(&self, path: &Path, run: &RunHandle) -> Result<Vec<u8>, NodeError> {
        let (root, inside) = contained(path, run)?;
        let refused = |error: dad_fs::FsError| unreadable(self.path(), &NodeError::from(error).info.message);
        // Opened inside its root: a link that leads out is refused. What is no file might never end, or never begin.
        let dir = Dir::open(&root).map_err(refused)?;
        dir.read_regular_inside(&inside, LARGEST).map_err(refused)
    }

    fn read(&self, cx: &NodeContext) -> Result<MessageFile, NodeError> {
        let path = absolute(self.path())?;
        let bytes = self.content(path, cx.run())?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(MessageFile::new(name.unwrap_or_default(), self.media_type(), bytes).cache(self.is_marked()))
    }
}

impl Prompt {
    /// The files that belong to it.
    pub(super) fn files(&self) -> &[PromptFile] {
        match self {
            Self::Text(_) => &[],
            Self::Message(message) => &message.files,
        }
    }
}

/// Reads all files of the settings.
pub(super) fn read_all(settings: &AIModelNodeSettings, cx: &NodeContext) -> Result<Vec<Attached>, NodeError> {
    let prompts = settings.prompts().enumerate();
    let files = prompts.flat_map(|(prompt, written)| written.files().iter().map(move |file| (prompt, file)));
    let mut left = LARGEST_TOGETHER;
    let mut read = Vec::new();
    for (prompt, file) in files {
        let attached = file.read(cx)?;
        left = left.checked_sub(attached.bytes.len()).ok_or_else(|| {
            let reason = format!(
                "it and the files before it are larger than {} MiB",
                LARGEST_TOGETHER >> 20
            );
            unreadable(file.path(), &reason)
        })?;
        read.push(Attached {
            prompt,
            file: attached,
        });
    }
    Ok(read)
}

fn absolute(path: &str) -> Result<&Path, NodeError> {
    let absolute = Path::new(path);
    if absolute.is_absolute() {
        Ok(absolute)
    } else {
        let hint = format!("write `$var{{project_root}}/{path}`, or `$var{{static_inputs_dir}}/{path}`");
        Err(unreadable(path, "its path is not absolute").with_hint(hint))
    }
}

/// The directory of the run that a path lies in, and the path in it.
fn contained(path: &Path, run: &RunHandle) -> Result<(PathBuf, PathBuf), NodeError> {
    let variables = &run.scope().run_variables;
    let roots = ["run_dir", "run_root", "project_root"];
    let roots = roots
        .iter()
        .filter_map(|name| variables.get(*name)?.as_str().map(PathBuf::from));
    for root in roots {
        if let Ok(inside) = path.strip_prefix(&root) {
            return Ok((root.clone(), inside.to_path_buf()));
        }
    }
    let reason = "it lies neither in the project nor in the run root";
    Err(unreadable(&path.to_string_lossy(), reason))
}

fn unreadable(path: &str, reason: &str) -> NodeError {
    NodeError::new(
        "prompt_file",
        format!("the file `{path}` of the prompt cannot be read: {reason}"),
    )
    .permanent()
}

/// The media type after the end of a name.
fn media_type(path: &str) -> &'static str {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    match end.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "json" => "application/json",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        _ => "text/plain",
    }
}
