//! Completions of a shell, as the shell makes them.

use std::process::Command;

use crate::harness::TestEnvironment;

/// The words that bash completes the last word of a command line to.
fn completed(env: &TestEnvironment, line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "dhenara() {{ \"$PROGRAM\" \"$@\"; }}\nsource <(dhenara completions bash)\nCOMP_WORDS=({})\nCOMP_CWORD={}\n\
         _dhenara_runs dhenara \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        line.len() - 1,
    );
    let mut bash: Command = env.command("bash", &env.project());
    let output = bash
        .args(["-c", &script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_dhenara-under-test"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(failed, "");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_runs_there_are() {
    let env = TestEnvironment::new();
    assert_eq!(completed(&env, &["dhenara", "runs", "show", ""]), ["last"]);
    let definition = "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [['true']] } }\n";
    env.write("flow.yaml", definition);
    for _ in 0..2 {
        drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    }
    let ids = env.unchanged(&["runs", "list", "--ids"]).expect(0).stdout;
    assert_eq!(ids.lines().count(), 2, "{ids}");
    for command in [vec!["runs", "diff"], vec!["answer"], vec!["run", "step"]] {
        let line = [&["dhenara"], command.as_slice(), &[""]].concat();
        let runs = completed(&env, &line);
        assert_eq!(
            (runs.len(), runs[0].as_str()),
            (3, "last"),
            "{command:?}: {runs:?}"
        );
        let begun = [&["dhenara"], command.as_slice(), &["run_"]].concat();
        assert_eq!(completed(&env, &begun).len(), 2, "{command:?}");
    }
    // Elsewhere commands and options are completed.
    assert_eq!(
        completed(&env, &["dhenara", "runs", "show", "--ans"]),
        ["--answer"]
    );
    assert_eq!(completed(&env, &["dhenara", "comp"]), ["completions"]);
}
