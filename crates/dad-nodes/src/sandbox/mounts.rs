//! The visible part of the file system in a sandbox. A path that is not named is not there: a visible path shows the unix
//! sockets below it too, which no network namespace stops.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use dad_run::layout::{
    DOT_RUN, DOT_TRACE, GLOBAL_DATA, METADATA, OUTPUT, RUN_SUMMARY, STATIC_INPUTS, STATIC_INPUTS_FILE, TRASH,
};
use dad_runner::NodeError;

use super::around::text;
use super::around::{Around, real};
use super::settings::{SandboxBounds, SandboxHome};
use crate::environment::passed;

/// The system's own directories, beside `/lib32` and the like.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/sbin", "/etc", "/opt"];

/// Directories that each command has for itself, empty.
const OWN: [&str; 3] = ["/tmp", "/run", "/var/tmp"];

/// The files of `/etc` that only a user with all rights can read, and no command has to.
const SECRETS_OF_SYSTEM: [&str; 14] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/letsencrypt",
    "/etc/wireguard",
    "/etc/kubernetes",
    "/etc/NetworkManager/system-connections",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
];

/// Places of credentials, and of sockets that stand for them, below the home directory. A name that ends in `*` begins so.
const CREDENTIALS: &[&str] = &[
    ".1password",
    ".ansible",
    ".aws",
    ".azure",
    ".bash_history",
    ".boto",
    ".cache/huggingface/token",
    ".cargo/credentials*",
    ".claude*",
    ".codex",
    ".colima",
    ".composer/auth.json",
    ".config/1Password",
    ".config/BraveSoftware",
    ".config/chromium",
    ".config/composer/auth.json",
    ".config/containers/auth.json",
    ".config/dhenara",
    ".config/doctl",
    ".config/gcloud",
    ".config/gh",
    ".config/git/credentials",
    ".config/glab-cli",
    ".config/google-chrome",
    ".config/hcloud",
    ".config/hub",
    ".config/op",
    ".config/pulumi",
    ".config/rclone",
    ".config/sops",
    ".dhenara",
    ".docker",
    ".fly",
    ".gem/credentials",
    ".gemini",
    ".git-credentials",
    ".gnupg",
    ".gradle/gradle.properties",
    ".heroku",
    ".huggingface",
    ".kube",
    ".lima",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".local/state/dhenara",
    ".m2/settings*",
    ".mozilla",
    ".my.cnf",
    ".mysql_history",
    ".netrc",
    ".npmrc",
    ".oci",
    ".orbstack",
    ".passwd-s3fs",
    ".password-store",
    ".pgpass",
    ".pki",
    ".psql_history",
    ".pulumi",
    ".pypirc",
    ".python_history",
    ".rd",
    ".s3cfg",
    ".ssh",
    ".terraform.d",
    ".terraformrc",
    ".thunderbird",
    ".vault-token",
    ".yarnrc.yml",
    ".zsh_history",
];

/// The data of a repository.
const GIT: &str = ".git";

/// The settings of a project.
const SETTINGS: &str = ".dhenara";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mount {
    /// As it is, to be changed.
    Write,
    /// As it is, not to be changed.
    Read,
    /// An empty directory or file.
    Hidden,
    Link(PathBuf),
}

/// The visible paths.
#[derive(Debug)]
pub(crate) struct Mounts {
    by_path: BTreeMap<PathBuf, Mount>,
    home: Option<PathBuf>,
    /// The paths that no setting shows.
    never: Vec<PathBuf>,
    /// The paths that are hidden wherever a directory around them is visible.
    hidden: Vec<PathBuf>,
    /// Directories that are never visible because something in them is.
    whole: Vec<PathBuf>,
    /// The run directory's own records, which stay as they are where it is visible.
    unchanged: Vec<PathBuf>,
    /// Directories in which commands may have made links, as the run names them and without links.
    changed: Vec<(PathBuf, PathBuf)>,
    /// The directories of runs, and the paths that may be named there.
    runs: Vec<PathBuf>,
    among_runs: Vec<PathBuf>,
}

impl Mounts {
    /// The system, and of the home directory what is wanted.
    pub(crate) fn of_system(bounds: &SandboxBounds, never: &[PathBuf]) -> Self {
        let home = passed("HOME").map(PathBuf::from);
        let home = home.filter(|home| home.is_absolute()).map(|home| real(&home));
        let home = home.filter(|home| home.parent().is_some());
        let never: Vec<PathBuf> = never.iter().map(|dir| real(dir)).collect();
        let mut mounts = Self {
            by_path: BTreeMap::new(),
            hidden: never.clone(),
            whole: home.iter().chain(&never).cloned().collect(),
            never,
            home,
            unchanged: Vec::new(),
            changed: Vec::new(),
            runs: Vec::new(),
            among_runs: Vec::new(),
        };
        mounts.add_root(bounds.network);
        if let Some(home) = mounts.home.clone() {
            mounts.hidden.extend(credentials(&home));
            let shown = match bounds.home.unwrap_or_default() {
                SandboxHome::None => Mount::Hidden,
                SandboxHome::Read => Mount::Read,
            };
            mounts.by_path.insert(home, shown);
        }
        mounts
    }

    fn add_root(&mut self, network: bool) {
        let entries = std::fs::read_dir("/").into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.to_string_lossy().into_owned();
            if let Ok(target) = path.read_link() {
                self.by_path.insert(path, Mount::Link(target));
            } else if SYSTEM.contains(&&*name) || name.starts_with("/lib") {
                self.by_path.insert(path, Mount::Read);
            }
        }
        for dir in OWN {
            self.by_path.insert(dir.into(), Mount::Hidden);
        }
        self.by_path.insert("/var/run".into(), Mount::Link("/run".into()));
        let is_readable = |path: &&&str| std::fs::File::open(path).is_ok();
        let secrets = SECRETS_OF_SYSTEM.iter().filter(is_readable);
        self.hidden.extend(secrets.map(PathBuf::from));
        // Names of servers are resolved by a file that often lies where nothing is visible.
        let resolver = real(Path::new("/etc/resolv.conf"));
        if network && resolver.is_file() && !resolver.starts_with("/etc") {
            self.by_path.insert(resolver, Mount::Read);
        }
    }

    /// The directories that `PATH` of this process names, with what the programs in them need.
    pub(crate) fn add_toolchains(&mut self) {
        let path = passed("PATH").unwrap_or_default();
        for named in std::env::split_paths(&path).filter(|dir| dir.is_absolute()) {
            let Ok(dir) = named.canonicalize() else { continue };
            // A toolchain has its libraries beside its programs.
            let prefix = dir.parent().filter(|prefix| {
                dir.ends_with("bin") && ["lib", "libexec"].iter().any(|name| prefix.join(name).is_dir())
            });
            match prefix.filter(|prefix| !self.is_too_much(prefix)) {
                Some(prefix) => self.show(prefix.to_path_buf()),
                None => self.show(dir.clone()),
            }
            if dir.join("rustup").is_file() {
                let toolchains = passed("RUSTUP_HOME").map(PathBuf::from);
                let toolchains = toolchains.or_else(|| Some(self.home.as_ref()?.join(".rustup")));
                let toolchains = toolchains.and_then(|dir| dir.canonicalize().ok());
                toolchains.into_iter().for_each(|dir| self.show(dir));
            }
            if named != dir && !self.is_visible(&named) && self.is_visible(&dir) {
                self.by_path.insert(named, Mount::Link(dir));
            }
        }
    }

    fn show(&mut self, dir: PathBuf) {
        if !self.is_visible(&dir) && !self.is_too_much(&dir) {
            self.by_path.insert(dir, Mount::Read);
        }
    }

    /// Whether something would become visible that is not meant.
    fn is_too_much(&self, dir: &Path) -> bool {
        self.whole.iter().any(|whole| whole.starts_with(dir)) || self.is_never_shown(dir)
    }

    /// The directories of a run: of its root only what is shared, of its own directory only what is the step's.
    pub(crate) fn add_run(&mut self, around: &Around) {
        let roots = || around.run_roots.iter();
        self.whole.extend(roots().chain(&around.project).cloned());
        self.hidden.extend(roots().cloned());
        self.hidden
            .extend(around.project.iter().map(|project| project.join(SETTINGS)));
        self.hidden.extend(around.records());
        self.never.extend(around.records());
        let shared = roots().map(|root| root.join(GLOBAL_DATA));
        // A run root may hold the project, and most lie in it.
        let is_in_root = |project: &&PathBuf| roots().any(|root| project.starts_with(root));
        let project = around.project.as_ref().filter(is_in_root);
        let of_run = [Some(&around.run_dir), project].into_iter().flatten().cloned();
        self.among_runs = shared.clone().chain(of_run).collect();
        self.runs.clone_from(&around.run_roots);
        self.changed.clone_from(&around.named);
        let shared = shared.filter(|dir| dir.is_dir());
        let shown: Vec<PathBuf> = shared.chain([around.step_dir.clone()]).collect();
        for dir in shown {
            self.by_path.insert(dir, Mount::Read);
        }
        let records = [STATIC_INPUTS, STATIC_INPUTS_FILE, METADATA, OUTPUT, RUN_SUMMARY];
        self.unchanged = records.map(|name| around.run_dir.join(name)).into();
    }

    /// The paths that the settings name.
    pub(crate) fn add_bounds(&mut self, bounds: &SandboxBounds, working_dir: &Path) -> Result<(), NodeError> {
        let from = self.working_dir(working_dir)?;
        self.changed.push((working_dir.to_path_buf(), from.clone()));
        for (paths, mount, setting) in [
            (&bounds.read, Mount::Read, "read"),
            (&bounds.write, Mount::Write, "write"),
        ] {
            for path in paths {
                let dir = self.named(path, &from, setting)?;
                self.by_path.insert(dir, mount.clone());
            }
        }
        if from.is_dir() {
            self.by_path.insert(from, Mount::Write);
        }
        Ok(())
    }

    /// The working directory without links.
    fn working_dir(&self, path: &Path) -> Result<PathBuf, NodeError> {
        let real = real(path);
        self.check("working_dir", path, &real)?;
        Ok(real)
    }

    /// Refuses a path that shows what no sandbox shows, or that leads to something else than it names.
    fn check(&self, setting: &str, named: &Path, real: &Path) -> Result<(), NodeError> {
        if real.parent().is_none() {
            return Err(wrong(&format!(
                "`{setting}` is the whole file system, of which a sandbox shows only parts"
            )));
        }
        if self.is_never_shown(real) {
            let message = format!("`{setting}` has `{}`, which no sandbox shows", real.display());
            return Err(wrong(&message));
        }
        if self.is_led_away(named, real) {
            let message = format!(
                "`{setting}` has `{}`, and a link in it leads to `{}`: commands may have made that link",
                named.display(),
                real.display()
            );
            return Err(
                wrong(&message).with_hint(format!("if that is meant, name `{}` itself", real.display()))
            );
        }
        Ok(())
    }

    /// Whether a path goes through a link below a directory in which commands may have made it.
    fn is_led_away(&self, named: &Path, real_path: &Path) -> bool {
        let named = without_dots(named);
        let spelled = self
            .changed
            .iter()
            .map(|(spelled, base)| (&**spelled, base.clone()));
        let spelled = spelled.filter(|(dir, _)| named.starts_with(dir));
        // The outermost: what is further in may be such a link, and lead back to one of them.
        let mut around: Vec<&Path> = named.ancestors().collect();
        around.reverse();
        let mut others = around.into_iter().map(|dir| (dir, real(dir)));
        let other = others.find(|(_, base)| self.changed.iter().any(|(_, known)| known == base));
        let nearest = spelled
            .chain(other)
            .max_by_key(|(dir, _)| dir.components().count());
        // A path that ends with the directory itself is joined with nothing.
        let is_elsewhere = |rest: &Path, base: &Path| base.join(rest).components().ne(real_path.components());
        nearest.is_some_and(|(dir, base)| {
            let rest = named.strip_prefix(dir);
            rest.is_ok_and(|rest| is_elsewhere(rest, &base))
        })
    }

    fn named(&self, path: &str, from: &Path, setting: &str) -> Result<PathBuf, NodeError> {
        let named = match path.strip_prefix("~/").or_else(|| (path == "~").then_some("")) {
            Some(rest) => {
                let home = self.home.as_ref();
                home.ok_or_else(|| wrong(&format!("`{setting}` has `{path}`, and there is no HOME")))?
                    .join(rest)
            }
            None => from.join(path),
        };
        let real = named.canonicalize().map_err(|error| {
            wrong(&format!(
                "`{setting}` has `{}`, which cannot be shown: {error}",
                named.display()
            ))
        })?;
        self.check(setting, &named, &real)?;
        if self.is_of_another_run(&real) {
            let message = format!("`{setting}` has `{}`, which no sandbox shows", real.display());
            return Err(wrong(&message));
        }
        Ok(real)
    }

    /// Whether a path lies among runs and belongs to another one.
    fn is_of_another_run(&self, path: &Path) -> bool {
        let lies_in = |dirs: &[PathBuf]| dirs.iter().any(|dir| path.starts_with(dir));
        lies_in(&self.runs) && !self.runs.iter().any(|root| root == path) && !lies_in(&self.among_runs)
    }

    /// Whether a path belongs to what records runs or configures them.
    fn is_never_shown(&self, path: &Path) -> bool {
        let has_settings = path
            .components()
            .any(|part| part == Component::Normal(SETTINGS.as_ref()));
        has_settings || self.never.iter().any(|never| path.starts_with(never))
    }

    /// The mount that decides whether a path is visible: that of the nearest directory around it, or its own.
    fn nearest(&self, path: &Path) -> Option<(&Path, &Mount)> {
        path.ancestors().find_map(|dir| {
            let (dir, mount) = self.by_path.get_key_value(dir)?;
            Some((dir.as_path(), mount))
        })
    }

    fn is_visible(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some((_, Mount::Read | Mount::Write)))
    }

    /// Whether a path is visible because a directory around it is.
    fn is_exposed(&self, path: &Path) -> bool {
        self.nearest(path)
            .is_some_and(|(dir, mount)| dir != path && matches!(mount, Mount::Read | Mount::Write))
    }

    /// Hides what is not meant by what is visible around it, the outermost first.
    fn hide(&mut self) {
        let visible = self.by_path.iter();
        let visible = visible.filter(|(_, mount)| matches!(mount, Mount::Read | Mount::Write));
        let visible: Vec<PathBuf> = visible.map(|(path, _)| path.clone()).collect();
        for dir in &visible {
            let records = [SETTINGS, DOT_RUN, DOT_TRACE].map(|name| dir.join(name));
            self.hidden.extend(records);
            self.hidden.extend(runs_in(dir, &self.whole));
        }
        let mut hidden = std::mem::take(&mut self.hidden);
        hidden.sort_by_key(|path| path.components().count());
        for path in hidden {
            // What a link leads to is hidden, not the link.
            let Ok(path) = path.canonicalize() else { continue };
            if self.is_exposed(&path) {
                self.by_path.insert(path, Mount::Hidden);
            }
        }
        // What git executes stands in its own data.
        let git = visible.iter().map(|dir| dir.join(GIT));
        for path in std::mem::take(&mut self.unchanged).into_iter().chain(git) {
            let changes = matches!(self.nearest(&path), Some((dir, Mount::Write)) if dir != path);
            if changes && path.exists() {
                self.by_path.insert(path, Mount::Read);
            }
        }
        let links = self
            .by_path
            .iter()
            .filter(|(_, mount)| matches!(mount, Mount::Link(_)));
        let there: Vec<PathBuf> = links.map(|(path, _)| path.clone()).collect();
        let around = |path: &PathBuf| path.parent().is_some_and(|dir| self.is_visible(dir));
        let there: Vec<PathBuf> = there.into_iter().filter(around).collect();
        there.iter().for_each(|path| drop(self.by_path.remove(path)));
    }

    /// The arguments of `bwrap`, each directory before what is in it.
    pub(crate) fn into_arguments(mut self) -> Result<Vec<String>, NodeError> {
        self.hide();
        let mut arguments: Vec<String> = ["--proc", "/proc", "--dev", "/dev"].map(str::to_owned).into();
        let mut mounts: Vec<(PathBuf, Mount)> = self.by_path.into_iter().collect();
        mounts.sort_by_key(|(path, _)| path.components().count());
        for (path, mount) in mounts {
            let at = text(&path)?;
            match mount {
                Mount::Write => arguments.extend(["--bind".to_owned(), at.clone(), at]),
                Mount::Read => arguments.extend(["--ro-bind".to_owned(), at.clone(), at]),
                Mount::Hidden if path.is_file() => {
                    arguments.extend(["--ro-bind".to_owned(), "/dev/null".to_owned(), at]);
                }
                Mount::Hidden => arguments.extend(["--tmpfs".to_owned(), at]),
                Mount::Link(target) => arguments.extend(["--symlink".to_owned(), text(&target)?, at]),
            }
        }
        Ok(arguments)
    }
}

/// The runs in a visible directory that is a run root itself.
fn runs_in(dir: &Path, roots: &[PathBuf]) -> Vec<PathBuf> {
    if !roots.iter().any(|root| root == dir) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.ends_with(TRASH) || path.join(DOT_RUN).is_dir())
        .collect()
}

/// The places of credentials that there are in a home directory.
fn credentials(home: &Path) -> Vec<PathBuf> {
    let found = |name: &&str| {
        let path = home.join(name);
        let Some(beginning) = name.strip_suffix('*') else {
            return vec![path];
        };
        let beginning = home.join(beginning);
        let (Some(dir), Some(name)) = (beginning.parent(), beginning.file_name()) else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(name.as_encoded_bytes())
        });
        entries.map(|entry| entry.path()).collect()
    };
    CREDENTIALS.iter().flat_map(found).collect()
}

/// A path whose `.` and `..` are worked out by its names alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn wrong(message: &str) -> NodeError {
    NodeError::new("sandbox", message).permanent()
}
