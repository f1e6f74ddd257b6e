//! Names the commit that a release is built from, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    match commit() {
        Some(commit) => println!("cargo:rustc-env=DHENARA_VERSION={version} ({commit})"),
        None => println!("cargo:rustc-env=DHENARA_VERSION={version}"),
    }
}

/// The commit of a release. Programs under development change faster than their commits, and would be built again after each.
fn commit() -> Option<String> {
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let package = std::env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_release)?;
    let package = Path::new(&package);
    packaged(package).or_else(|| checked_out(package))
}

/// The commit that `cargo package` wrote into a package.
fn packaged(package: &Path) -> Option<String> {
    let file = package.join(".cargo_vcs_info.json");
    println!("cargo:rerun-if-changed={}", file.display());
    let text = std::fs::read_to_string(file).ok()?;
    let (_, rest) = text.split_once("\"sha1\": \"")?;
    let (commit, _) = rest.split_once('"')?;
    let is_commit = commit.len() >= 10 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| commit[..10].to_owned())
}

/// The commit of the checkout that the package is a part of, with its date. A package that was copied into the repository of
/// another project has none.
fn checked_out(package: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(package)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let root = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).join("crates/dad-cli") != package {
        return None;
    }
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={}", package.join(head).display());
    git(&["show", "--no-patch", "--format=%h %cs", "--abbrev=10", "HEAD"])
}
