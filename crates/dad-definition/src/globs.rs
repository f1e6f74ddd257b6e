//! Globs of protected paths.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs of paths, as `allow_protected` of a definition has them: from the project root, with `/` between names, `*` and `?`
/// within a name and `**` for any number of directories. A directory stands for everything in it. Case does not count, as
/// it does not on some file systems.
///
/// ```
/// use dad_definition::PathGlobs;
///
/// let globs = PathGlobs::new(&[".github/workflows/".to_owned(), "**/.envrc".to_owned()])?;
/// assert!(globs.allow(".github/workflows/ci.yml") && globs.allow("tools/.envrc"));
/// assert!(!globs.allow(".github/dependabot.yml"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PathGlobs(GlobSet);

impl PathGlobs {
    /// Reads globs.
    ///
    /// # Errors
    /// Why one is none.
    pub fn new(globs: &[String]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(read(glob)?);
        }
        Ok(Self(set.build().map_err(|error| error.to_string())?))
    }

    /// Why a text is no glob.
    pub(crate) fn check(glob: &str) -> Result<(), String> {
        read(glob).map(drop)
    }

    /// Whether one of them names a path or a directory around it.
    #[must_use]
    pub fn allow(&self, path: &str) -> bool {
        let directories = path.match_indices('/').map(|(end, _)| &path[..end]);
        let mut all = directories.filter(|dir| !dir.is_empty()).chain([path]);
        all.any(|path| self.0.is_match(path))
    }
}

fn read(glob: &str) -> Result<globset::Glob, String> {
    if glob.contains("$expr{") || glob.contains("$var{") || glob.contains("$hier{") {
        return Err("only the definition itself can allow a path, so no template stands in it".to_owned());
    }
    let names = glob.trim_end_matches('/');
    if names.is_empty() {
        return Err("it names nothing".to_owned());
    }
    if names.split('/').any(|name| matches!(name, "." | "..")) {
        return Err("no name in a path is `.` or `..`".to_owned());
    }
    let mut builder = GlobBuilder::new(names);
    let builder = builder.literal_separator(true).case_insensitive(true);
    builder.build().map_err(|error| error.kind().to_string())
}
