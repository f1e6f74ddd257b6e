//! `dhenara completions` and `dhenara man`.

use std::process::{Command, Output};

fn dhenara(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_dhenara")).args(args).output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Asks bash for the words that complete a command line, by the script.
#[cfg(unix)]
fn completed(script: &str, line: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = line.split(' ').collect();
    let at = words.len() - 1;
    let before = at.checked_sub(1).map_or("", |before| words[before]);
    let asked = format!(
        "{script}\nCOMP_WORDS=({}'')\nCOMP_CWORD={at}\n_dhenara dhenara '{}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("{word} ")).collect::<String>(),
        words[at],
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &asked])
        .output()
        .ok()?;
    let shown = String::from_utf8(output.stdout).unwrap();
    Some(shown.lines().map(str::to_owned).collect())
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_options() {
    let script = String::from_utf8(dhenara(&["completions", "bash"]).stdout).unwrap();
    let Ok(read) = Command::new("bash").args(["-n", "-c", &script]).output() else {
        // A machine without bash has nothing to complete with.
        return;
    };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(completed(&script, "dhenara comp").unwrap(), ["completions"]);
    assert_eq!(completed(&script, "dhenara runs exp").unwrap(), ["export"]);
    assert_eq!(completed(&script, "dhenara answer --app").unwrap(), ["--approve"]);
}

#[test]
fn pages_go_to_a_directory_or_the_first_of_them_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("share/man1");
    let made = dhenara(&["man", man.to_str().unwrap()]);
    assert_eq!(made.stdout, b"");
    let names: Vec<String> = man
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["dhenara.1", "dhenara-runs-diff.1", "dhenara-man.1"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    assert!(names.iter().all(|name| name.ends_with(".1")), "{names:?}");
    let first = dhenara(&["man"]).stdout;
    assert_eq!(first, std::fs::read(man.join("dhenara.1")).unwrap());
    assert!(String::from_utf8_lossy(&first).contains(".SH NAME"));
}
