//! Paths that a person types.

use std::path::{Path, PathBuf};

/// The requirements of a path that is asked for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PathOptions {
    /// The kind of entry that must be there.
    pub kind: PathKind,
    /// The base of relative paths; the current directory by default.
    pub base: Option<PathBuf>,
    /// The path for an empty line.
    pub default: Option<PathBuf>,
}

/// The kind of entry at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathKind {
    /// Anything or nothing.
    #[default]
    Any,
    /// Something.
    Existing,
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Nothing yet.
    New,
}

/// The path that was typed, absolute.
pub(crate) fn check(typed: &str, options: &PathOptions) -> Result<PathBuf, String> {
    let path = absolute(typed, options.base.as_deref());
    let shown = path.display();
    match options.kind {
        PathKind::Any => Ok(path),
        PathKind::New if path.exists() => Err(format!("{shown} exists already")),
        PathKind::New => Ok(path),
        _ if !path.exists() => Err(format!("{shown} does not exist")),
        PathKind::File if !path.is_file() => Err(format!("{shown} is no file")),
        PathKind::Directory if !path.is_dir() => Err(format!("{shown} is no directory")),
        _ => Ok(path),
    }
}

fn absolute(typed: &str, base: Option<&Path>) -> PathBuf {
    let typed = typed.trim();
    let home = std::env::home_dir().filter(|_| typed == "~" || typed.starts_with("~/"));
    let path = match home {
        Some(home) => home.join(typed.trim_start_matches(['~', '/'])),
        None => PathBuf::from(typed),
    };
    let path = base.map_or_else(|| path.clone(), |base| base.join(&path));
    // Fails only for an empty path and without a current directory.
    std::path::absolute(&path).unwrap_or(path)
}

/// The typed text, completed as far as all entries that it can mean are the same.
pub(crate) fn complete(typed: &str, options: &PathOptions) -> String {
    let (dir, begun) = match typed.rfind('/') {
        Some(slash) => typed.split_at(slash + 1),
        None => ("", typed),
    };
    let place = if dir.is_empty() {
        absolute(".", options.base.as_deref())
    } else {
        absolute(dir, options.base.as_deref())
    };
    let entries = std::fs::read_dir(place)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let names = entries.filter_map(|entry| {
        let is_dir = entry.path().is_dir();
        let name = entry.file_name().into_string().ok()?;
        let is_meant = name.starts_with(begun) && (is_dir || options.kind != PathKind::Directory);
        // Hidden ones only if they are asked for.
        let is_hidden = name.starts_with('.') && begun.is_empty();
        let slash = if is_dir { "/" } else { "" };
        (is_meant && !is_hidden).then(|| format!("{name}{slash}"))
    });
    match names.reduce(|a, b| common(&a, &b)) {
        Some(more) => format!("{dir}{more}"),
        None => typed.to_owned(),
    }
}

/// The common beginning.
fn common(a: &str, b: &str) -> String {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    same.map(|(c, _)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_to_be_what_is_asked_for() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let check = |typed: &str, kind| {
            let base = Some(here.clone());
            check(
                typed,
                &PathOptions {
                    kind,
                    base,
                    default: None,
                },
            )
            .map(|path| path.strip_prefix(&here).unwrap().to_owned())
        };
        assert_eq!(check(" src ", PathKind::Directory), Ok("src".into()));
        assert_eq!(check("Cargo.toml", PathKind::File), Ok("Cargo.toml".into()));
        assert_eq!(check("nothing", PathKind::New), Ok("nothing".into()));
        assert_eq!(check("nothing", PathKind::Any), Ok("nothing".into()));
        for (typed, kind, ending) in [
            ("src", PathKind::File, "src is no file"),
            ("Cargo.toml", PathKind::Directory, "Cargo.toml is no directory"),
            ("nothing", PathKind::Existing, "nothing does not exist"),
            ("src", PathKind::New, "src exists already"),
        ] {
            let error = check(typed, kind).unwrap_err();
            assert!(error.ends_with(ending), "{error}");
        }
    }

    #[test]
    fn a_path_is_completed_as_far_as_it_is_clear() {
        let options = |kind| PathOptions {
            kind,
            base: Some(env!("CARGO_MANIFEST_DIR").into()),
            default: None,
        };
        assert_eq!(complete("REA", &options(PathKind::Any)), "README.md");
        assert_eq!(complete("REA", &options(PathKind::Directory)), "REA");
        assert_eq!(complete("s", &options(PathKind::Directory)), "src/");
        assert_eq!(complete("src/pro", &options(PathKind::Any)), "src/pro");
        assert_eq!(
            complete("src/prompt/can", &options(PathKind::Any)),
            "src/prompt/canvas.rs"
        );
        assert_eq!(complete("nowhere/", &options(PathKind::Any)), "nowhere/");
    }
}
