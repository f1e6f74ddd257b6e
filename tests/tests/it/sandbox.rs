//! Commands in a sandbox: what they cannot see, reach or change, and what they can.
#![cfg(target_os = "linux")]

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, has_sandbox, read_json};
use crate::waiting::wait_for;

const SECRET: &str = "the-secret-content";

/// A place with things that no sandbox is to show, and their paths.
fn place() -> (TestEnvironment, Vec<PathBuf>) {
    let env = TestEnvironment::new();
    let mut secrets = Vec::new();
    for file in [
        "home/.ssh/id_ed25519",
        "home/.aws/credentials",
        "home/.netrc",
        "home/.cargo/credentials.toml",
        "home/.config/dhenara/trusted_projects",
        "home/.local/state/dhenara/note",
        "project/.dhenara/.secrets/other",
        "project/runs/run_20250101_000000_aaaaaa/.run/note",
        "project/runs/run_20250101_000000_aaaaaa/root/outcome.json",
        "beside/file",
    ] {
        let path = env.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        secrets.push(path);
    }
    env.write(".dhenara/config.yaml", "environments: { default: {} }\n");
    env.write("runs/global_data/shared.txt", "shared\n");
    env.write("work/own.txt", "own\n");
    env.is_checked();
    (env, secrets)
}

fn flow(script: &str, settings: &Value) -> String {
    let mut step = json!({ "node": "c", "type": "command", "settings": {
        "commands": [["sh", "-c", script]], "working_dir": "$var{project_root}/work", "timeout": 60 } });
    for (key, value) in settings.as_object().unwrap() {
        step["settings"][key] = value.clone();
    }
    json!({ "schema_version": 1, "kind": "flow", "output": "$expr{ $hier{c}.outcome.results[0].stdout }", "elements": [step] })
        .to_string()
}

fn run(env: &TestEnvironment, script: &str, settings: &Value) -> CommandOutput {
    env.write("flow.json", &flow(script, settings));
    env.run(&["run", "flow", "flow.json"])
}

/// The output of a script that executes with some settings.
#[track_caller]
fn printed(env: &TestEnvironment, script: &str, settings: &Value) -> String {
    run(env, script, settings).expect(0).stdout
}

/// A script that reads files and directories around them in every way.
fn reading(paths: &[PathBuf]) -> String {
    let read = |path: &PathBuf| {
        let (path, dir) = (path.display(), path.parent().unwrap().display());
        format!(
            "cat '{path}' 2>&1; ls -A '{dir}' 2>&1; cat '/proc/1/root{path}' '/proc/self/root{path}' 2>&1\n"
        )
    };
    format!(
        "{}cat own.txt 2>&1; true",
        paths.iter().map(read).collect::<String>()
    )
}

#[test]
fn no_credential_and_no_run_is_read() {
    if !has_sandbox() {
        return;
    }
    let (env, secrets) = place();
    let script = reading(&secrets);
    let open = printed(&env, &script, &json!({}));
    assert!(open.matches(SECRET).count() >= 2 * secrets.len(), "{open}");
    for settings in [
        json!({ "sandbox": true }),
        json!({ "sandbox": { "home": "read" } }),
        json!({ "sandbox": { "home": "read", "network": true, "read": ["..", "~"] } }),
        json!({ "sandbox": true, "working_dir": "$var{project_root}" }),
        json!({ "sandbox": true, "working_dir": "$var{run_dir}" }),
        json!({ "sandbox": true, "working_dir": env.path("home") }),
        json!({ "sandbox": { "write": ["../../project", "~"] } }),
    ] {
        let told = printed(&env, &script, &settings);
        assert!(!told.contains(SECRET), "{settings}: {told}");
    }
    let told = printed(&env, &script, &json!({ "sandbox": true }));
    assert!(told.ends_with("own\n"), "{told}");
}

#[test]
fn what_a_run_shares_is_read_and_its_records_are_not() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let script = "cat '$var{run_root}/global_data/shared.txt'; ls -A \"$1/.run\" \"$1/$2\" 2>&1; \
                  echo x > '$var{run_root}/global_data/new' 2>&1; echo x > left.txt; ls";
    let script = script
        .replace('\'', "\"")
        .replace("$var{run_root}", &env.path("project/runs").to_string_lossy())
        .replace("\"$1/.run\" \"$1/$2\"", ".run .trace flow_root");
    let told = printed(
        &env,
        &script,
        &json!({ "sandbox": true, "working_dir": "$var{run_dir}" }),
    );
    assert!(told.starts_with("shared\n"), "{told}");
    assert!(
        !told.contains("journal.jsonl") && !told.contains("outcome.json"),
        "{told}"
    );
    assert!(!env.project().join("runs/global_data/new").exists());
    assert!(
        env.last_run().join("left.txt").exists(),
        "what is left in the working directory stays"
    );
}

const CONNECT: &str = "import socket, sys\nfor name in sys.argv[1:]:\n  s = socket.socket(socket.AF_UNIX)\n  try:\n    s.connect(name.replace('@', '\\0', 1) if name[0] == '@' else name)\n    print('connected', name)\n  except OSError as e:\n    print('refused')\n";

#[test]
fn no_unix_socket_is_reached() {
    if !has_sandbox() {
        return;
    }
    use std::os::linux::net::SocketAddrExt;
    let (env, _) = place();
    let name = format!("dhenara-test-{}", std::process::id());
    let in_run = Path::new("/run").join(&name);
    let in_tmp = std::env::temp_dir().join(format!("{name}.sock"));
    let mut paths = vec![env.path("socket"), env.path("home/agent.sock"), in_tmp.clone()];
    let mut listeners: Vec<UnixListener> = paths
        .iter()
        .map(|path| UnixListener::bind(path).unwrap())
        .collect();
    // Only a user with all rights puts one there.
    if let Ok(listener) = UnixListener::bind(&in_run) {
        listeners.push(listener);
        paths.push(in_run.clone());
    }
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    listeners.push(UnixListener::bind_addr(&address).unwrap());
    let mut names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.push(format!("@{name}"));
    env.write("work/connect.py", CONNECT);
    let script = format!("python3 connect.py {}", names.join(" "));
    let open = printed(&env, &script, &json!({}));
    assert_eq!(open.matches("connected").count(), names.len(), "{open}");
    for settings in [
        json!({ "sandbox": true }),
        json!({ "sandbox": true, "working_dir": "$var{project_root}/work" }),
    ] {
        let told = printed(&env, &script, &settings);
        assert_eq!(told.matches("refused").count(), names.len(), "{told}");
    }
    drop(std::fs::remove_file(in_run));
    drop(std::fs::remove_file(in_tmp));
}

#[test]
fn nothing_is_written_outside() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    env.write(".git/config", "[core]\n");
    let targets = [
        env.path("beside/new"),
        env.path("project/new"),
        env.path("project/.dhenara/new"),
        env.path("project/runs/run_20991231_235959_ffffff"),
        env.path("home/.profile"),
        PathBuf::from("/usr/dhenara-test"),
        PathBuf::from("/etc/dhenara-test"),
        PathBuf::from("/dhenara-test"),
        std::env::temp_dir().join(format!("dhenara-test-{}", std::process::id())),
    ];
    let write = |path: &PathBuf| {
        format!(
            "mkdir -p '{0}' 2>&1; echo x > '{0}' 2>&1;",
            path.parent().unwrap().join("d").display()
        ) + &format!("echo x > '{}' 2>&1\n", path.display())
    };
    let script = targets.iter().map(write).collect::<String>() + "echo mine > made.txt";
    drop(printed(&env, &script, &json!({ "sandbox": true })));
    for target in &targets {
        assert!(!target.exists(), "{}", target.display());
    }
    assert_eq!(
        std::fs::read_to_string(env.path("project/work/made.txt")).unwrap(),
        "mine\n"
    );
    // Where the project itself is the working directory, what the run and git obey stays.
    let script = "echo x > .git/hooks/post-checkout; echo x >> .git/config; mv .git g; mv .dhenara d; mv runs r; \
                  echo x > .dhenara/config.yaml; mkdir runs/run_20991231_235959_ffffff; echo fine > fine.txt; true";
    drop(printed(
        &env,
        script,
        &json!({ "sandbox": true, "working_dir": "$var{project_root}" }),
    ));
    assert_eq!(
        std::fs::read_to_string(env.project().join(".git/config")).unwrap(),
        "[core]\n"
    );
    assert_eq!(
        std::fs::read_to_string(env.project().join(".dhenara/config.yaml")).unwrap(),
        "environments: { default: {} }\n"
    );
    for made in ["g", "d", "r", ".git/hooks", "runs/run_20991231_235959_ffffff"] {
        assert!(!env.project().join(made).exists(), "{made}");
    }
    assert!(env.project().join("fine.txt").exists());
}

#[test]
fn paths_that_are_named_are_read_and_changed() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    std::fs::create_dir_all(env.path("home/notes")).unwrap();
    std::fs::write(env.path("home/notes/a"), "note\n").unwrap();
    let script = format!(
        "cat ~/notes/a; echo x > ~/notes/b; echo changed > '{0}/new'; echo x > '{0}/../out' 2>&1; true",
        env.path("beside").display()
    );
    let told = printed(
        &env,
        &script,
        &json!({ "sandbox": { "read": ["~/notes"], "write": ["../../beside"] } }),
    );
    assert!(told.starts_with("note\n"), "{told}");
    assert!(!env.path("home/notes/b").exists());
    assert_eq!(
        std::fs::read_to_string(env.path("beside/new")).unwrap(),
        "changed\n"
    );
    assert!(!env.path("out").exists());
    for (named, wanted) in [
        ("~/.local/state/dhenara", "which no sandbox shows"),
        ("~/.config/dhenara/trusted_projects", "which no sandbox shows"),
        ("../.dhenara/.secrets", "which no sandbox shows"),
        ("../runs/run_20250101_000000_aaaaaa", "which no sandbox shows"),
        ("/", "the whole file system"),
        ("nowhere", "No such file"),
    ] {
        let failed = run(&env, "true", &json!({ "sandbox": { "read": [named] } })).expect(1);
        assert!(failed.stderr.contains(wanted), "{named}: {failed}");
    }
}

#[test]
fn no_network_is_used_unless_it_is_allowed() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let script = format!(
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 5); print(\"connected\")' 2>&1; true"
    );
    assert!(printed(&env, &script, &json!({})).contains("connected"));
    let told = printed(&env, &script, &json!({ "sandbox": true }));
    assert!(told.contains("refused") && !told.contains("connected"), "{told}");
    let told = printed(&env, &script, &json!({ "sandbox": { "network": true } }));
    assert!(told.contains("connected"), "{told}");
}

#[test]
fn no_process_outside_is_seen_or_ended() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let mut outside = std::process::Command::new("sleep").arg("86399").spawn().unwrap();
    let script = format!(
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done; kill -9 {0} 2>&1; kill -9 -1 2>&1; true",
        outside.id()
    );
    let open = printed(
        &env,
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done",
        &json!({}),
    );
    assert!(open.contains("sleep 86399"), "{open}");
    let told = run(
        &env,
        &script,
        &json!({ "sandbox": true, "allow_exit_codes": [137] }),
    );
    assert!(!told.stdout.contains("sleep 86399"), "{told}");
    assert!(outside.try_wait().unwrap().is_none(), "it still executes");
    outside.kill().unwrap();
    outside.wait().unwrap();
}

#[test]
fn a_program_is_built_by_a_toolchain_that_path_names() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let sysroot = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    env.write("work/lib.rs", "pub fn answer() -> u32 { 42 }\n");
    env.write(
        "flow.json",
        &flow(
            "rustc --crate-type lib -o made.rlib lib.rs && ls made.rlib",
            &json!({ "sandbox": true }),
        ),
    );
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", sysroot.trim()));
    let output = command.args(["run", "flow", "flow.json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(env.path("project/work/made.rlib").exists());
}

/// Whether a process executes that has a word among its arguments.
fn executes(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|b| *b == 0)
                .any(|argument| argument == word.as_bytes())
        })
}

#[test]
fn at_the_time_limit_all_of_it_ends() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let word = format!("7{}", std::process::id());
    let script = format!("trap '' TERM; (setsid sleep {word} &); sleep {word}");
    let failed = run(&env, &script, &json!({ "sandbox": true, "timeout": 2 })).expect(1);
    assert!(
        failed.stderr.contains("did not end within its time limit"),
        "{failed}"
    );
    wait_for("the end of what the command started", || {
        (!executes(&word)).then_some(())
    });
}

#[test]
fn at_the_time_limit_it_is_asked_first() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let script = "trap 'echo bye > bye; exit 3' TERM; sleep 300 & wait";
    let failed = run(&env, script, &json!({ "sandbox": true, "timeout": 2 })).expect(1);
    assert!(
        failed.stderr.contains("did not end within its time limit"),
        "{failed}"
    );
    let word = std::fs::read_to_string(env.path("project/work/bye"));
    assert_eq!(word.unwrap(), "bye\n");
}

#[test]
fn a_command_whose_driver_died_is_ended_and_executed_again() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let word = format!("8{}", std::process::id());
    let script = format!("echo x >> times; test $(wc -l < times) -gt 1 || sleep {word}; echo twice");
    env.write("flow.json", &flow(&script, &json!({ "sandbox": true })));
    let mut driver = env.start(&["run", "flow", "flow.json"]);
    wait_for("the command", || executes(&word).then_some(()));
    driver.kill().unwrap();
    driver.wait().unwrap();
    let resumed = env.run(&["resume", "last"]).expect(0);
    assert!(resumed.stdout.contains("twice"), "{resumed}");
    wait_for("the end of the first", || (!executes(&word)).then_some(()));
}

#[test]
fn what_it_prints_and_how_it_ends_is_reported_as_of_any_command() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let failed = run(
        &env,
        "echo out; echo 'went wrong' >&2; exit 3",
        &json!({ "sandbox": true }),
    )
    .expect(1);
    assert!(
        failed.stderr.contains("ended with exit code 3: went wrong"),
        "{failed}"
    );
    let step = env.last_run().join("flow_root/c");
    assert_eq!(std::fs::read_to_string(step.join("stdout.log")).unwrap(), "out\n");
    assert_eq!(read_json(&step.join("state.json"))["sandbox"], json!({}));
    assert_eq!(read_json(&step.join("outcome.json"))["sandbox"], json!({}));
    let told = printed(
        &env,
        "cat",
        &json!({ "sandbox": true, "stdin": "given\n", "limits": { "open_files": 64 } }),
    );
    assert_eq!(told, "given\n");
}

/// Calls `dhenara` with another PATH.
fn with_path(env: &TestEnvironment, path: &str, args: &[&str]) -> std::process::Output {
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    command.env("PATH", path).args(args).output().unwrap()
}

#[test]
fn a_machine_without_sandboxes_is_reported_before_the_first_step() {
    let (env, _) = place();
    let elements = json!([
        { "node": "first", "type": "command", "settings": { "commands": [["touch", "$var{project_root}/executed"]] } },
        { "node": "c", "type": "command", "settings": { "commands": [["true"]], "sandbox": true } },
    ]);
    env.write(
        "flow.json",
        &json!({ "schema_version": 1, "kind": "flow", "elements": elements }).to_string(),
    );
    let fake = env.write(
        "fake/bwrap",
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace, likely because the kernel does not allow it' >&2\nexit 1\n",
    );
    let make_executable = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    make_executable(&fake);
    let empty = env.path("home/bin");
    std::fs::create_dir_all(&empty).unwrap();
    for program in ["sh", "touch", "true"] {
        symlink(Path::new("/bin").join(program), empty.join(program)).unwrap();
    }
    let fake = format!("{}:/usr/bin:/bin", env.project().join("fake").display());
    for (path, wanted) in [
        (
            fake.as_str(),
            [
                "No permissions to create new namespace",
                "user.max_user_namespaces",
            ],
        ),
        (
            empty.to_str().unwrap(),
            [
                "there is no program `bwrap` on PATH",
                "apt-get install bubblewrap",
            ],
        ),
    ] {
        let output = with_path(&env, path, &["run", "flow", "flow.json"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_ne!(output.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains("error[sandbox_unavailable]"), "{stderr}");
        for wanted in wanted {
            assert!(stderr.contains(wanted), "{stderr}");
        }
        assert!(!env.project().join("executed").exists());
    }
}

#[test]
fn a_machine_that_lost_its_sandboxes_is_reported_by_a_resumed_step() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let script = "test -e ready || { touch ready; exit 9; }";
    drop(run(&env, script, &json!({ "sandbox": true })).expect(1));
    let fake = env.write(
        "fake/bwrap",
        "#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n",
    );
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", env.project().join("fake").display());
    let output = with_path(&env, &path, &["resume", "last"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let result = read_json(&env.last_run().join("flow_root/c/result.json"));
    assert_eq!(result["error"]["code"], "sandbox_unavailable", "{stderr}");
    drop(env.run(&["resume", "last"]).expect(0));
}

#[test]
fn a_user_without_sandboxes_is_reported_once_and_it_is_recorded() {
    let (env, secrets) = place();
    std::fs::write(env.path("home/.config/dhenara/config.yaml"), "sandbox: off\n").unwrap();
    let step = |id: &str| json!({ "node": id, "type": "command", "settings": { "commands": [["cat", secrets[0]]], "sandbox": true } });
    env.write(
        "flow.json",
        &json!({ "schema_version": 1, "kind": "flow", "elements": [step("a"), step("b")] }).to_string(),
    );
    let done = env.run(&["run", "flow", "flow.json"]).expect(0);
    assert_eq!(
        done.stderr
            .matches("without the sandbox of their definition")
            .count(),
        1,
        "{done}"
    );
    for id in ["a", "b"] {
        let outcome = read_json(&env.last_run().join(format!("flow_root/{id}/outcome.json")));
        assert_eq!(outcome["sandbox"], "off");
        assert_eq!(outcome["results"][0]["stdout"], format!("{SECRET}\n"));
    }
}

#[test]
fn a_user_who_requires_sandboxes_gets_one_for_every_command() {
    if !has_sandbox() {
        return;
    }
    let (env, secrets) = place();
    std::fs::write(
        env.path("home/.config/dhenara/config.yaml"),
        "sandbox: required\n",
    )
    .unwrap();
    for settings in [json!({}), json!({ "sandbox": false })] {
        let told = printed(&env, &reading(&secrets), &settings);
        assert!(!told.contains(SECRET), "{told}");
        assert_eq!(
            read_json(&env.last_run().join("flow_root/c/outcome.json"))["sandbox"],
            json!({})
        );
    }
    std::fs::write(
        env.path("home/.config/dhenara/config.yaml"),
        "sandbox: sometimes\n",
    )
    .unwrap();
    let refused = run(&env, "true", &json!({}));
    assert!(refused.stderr.contains("`off`, `auto`, `required`"), "{refused}");
}

#[test]
fn settings_of_a_sandbox_are_checked_and_only_the_definition_gives_them() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    for wrong in [
        json!({ "sandbox": { "netwrok": true } }),
        json!({ "sandbox": "on" }),
        json!({ "sandbox": { "home": "write" } }),
        json!({ "sandbox": { "write": "x" } }),
    ] {
        env.write("flow.json", &flow("true", &wrong));
        let refused = env.run(&["run", "flow", "flow.json"]).expect(2);
        assert!(refused.stderr.contains("sandbox"), "{wrong}: {refused}");
    }
    env.write("flow.json", &flow("true", &json!({ "sandbox": true })));
    let input = "c={\"settings_override\": {\"sandbox\": false}}";
    let refused = env.run(&["run", "flow", "flow.json", "--input", input]);
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(
        refused.stderr.contains("only the definition can give it"),
        "{refused}"
    );
}

#[test]
fn an_approval_shows_the_sandbox() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let text = flow(
        "true",
        &json!({ "sandbox": { "network": true, "write": ["../../beside"] } }),
    );
    env.write(
        "flow.json",
        &text.replace(
            "\"type\":\"command\"",
            "\"type\":\"command\",\"requires_approval\":true",
        ),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(3));
    let shown = env.run(&["runs", "show", "last", "c"]).expect(0).stdout;
    assert!(
        shown.contains("sandbox: network; an empty home directory; changes ../../beside\n"),
        "{shown}"
    );
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
}

// What no page names.

#[test]
fn a_place_of_credentials_that_is_a_link_is_hidden_where_it_leads() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let real = env.path("home/dotfiles/ssh");
    std::fs::create_dir_all(&real).unwrap();
    std::fs::write(real.join("id"), SECRET).unwrap();
    std::fs::remove_dir_all(env.path("home/.ssh")).unwrap();
    symlink(&real, env.path("home/.ssh")).unwrap();
    symlink(env.path("home/.aws"), env.path("project/work/link")).unwrap();
    let script = "cat ~/.ssh/id ~/dotfiles/ssh/id link/credentials 2>&1; ls ~; true";
    let told = printed(&env, script, &json!({ "sandbox": { "home": "read" } }));
    assert!(!told.contains(SECRET) && told.contains("dotfiles"), "{told}");
}

#[test]
fn a_path_that_names_too_much_shows_nothing_of_it() {
    if !has_sandbox() {
        return;
    }
    let (env, secrets) = place();
    env.write(
        "flow.json",
        &flow(&reading(&secrets), &json!({ "sandbox": true })),
    );
    let wide = [
        env.path("home"),
        env.path(""),
        env.path("project/.dhenara"),
        env.path("home/.local/state/dhenara"),
    ];
    let wide: Vec<String> = wide.iter().map(|dir| dir.display().to_string()).collect();
    let path = format!("{}:/:.:/tmp:/usr/bin:/bin", wide.join(":"));
    let output = with_path(&env, &path, &["run", "flow", "flow.json"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(!stdout.contains(SECRET), "{stdout}");
}

#[test]
fn what_is_hidden_is_not_uncovered_from_within() {
    if !has_sandbox() {
        return;
    }
    let (env, secrets) = place();
    let dhenara = env.path("project/.dhenara");
    let script = format!(
        "umount '{0}' 2>&1; unshare -Urm sh -c 'umount \"{0}\"; mount --bind / /mnt; {1}' 2>&1; \
         mount -t proc proc /proc 2>&1; python3 -c 'import ctypes; print(ctypes.CDLL(None).umount2(b\"{0}\", 2))'; {1}",
        dhenara.display(),
        "cat .dhenara/.secrets/other ../project/.dhenara/.secrets/other"
    );
    let settings = json!({ "sandbox": true, "working_dir": "$var{project_root}", "allow_exit_codes": [1] });
    let told = printed(&env, &script, &settings);
    assert!(!told.contains(SECRET), "{told}");
    assert!(told.contains("-1"), "{told}");
    drop(secrets);
}

/// A link that a command of one sandbox made does not show another one what it leads to.
#[test]
fn a_link_that_a_command_made_shows_nothing() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let ssh = env.path("home/.ssh");
    printed(
        &env,
        &format!("ln -s '{}' ssh; ln -s .. up", ssh.display()),
        &json!({ "sandbox": true }),
    );
    let work = |rest: &str| format!("$var{{project_root}}/work{rest}");
    for settings in [
        json!({ "working_dir": work("/ssh"), "sandbox": true }),
        json!({ "working_dir": work("/up/work/ssh"), "sandbox": true }),
        json!({ "working_dir": work("/up"), "sandbox": true }),
        json!({ "sandbox": { "write": ["ssh"] } }),
        json!({ "sandbox": { "write": [work("/ssh")] } }),
        json!({ "sandbox": { "read": ["../work/ssh/id_ed25519"] } }),
    ] {
        let said = run(&env, "cat id_ed25519 ssh/*; echo made > made", &settings).expect(1);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(
            told.contains("commands may have made that link"),
            "{settings}: {told}"
        );
        assert!(
            !told.contains(SECRET) && !ssh.join("made").exists(),
            "{settings}: {told}"
        );
    }
    // The directory itself may be named.
    let told = printed(
        &env,
        "cat ssh/id_ed25519",
        &json!({ "sandbox": { "read": [ssh] } }),
    );
    assert!(told.contains(SECRET), "{told}");
}

#[test]
fn a_link_that_the_user_made_to_the_runs_is_followed() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    std::fs::rename(env.path("project/runs"), env.path("beside/runs")).unwrap();
    symlink(env.path("beside/runs"), env.path("project/runs")).unwrap();
    let settings = json!({
        "sandbox": { "write": ["$var{run_root}/global_data"] },
        "working_dir": "$var{run_dir}",
    });
    printed(
        &env,
        "echo more >> ../global_data/shared.txt; echo made > made",
        &settings,
    );
    let shared = std::fs::read_to_string(env.path("beside/runs/global_data/shared.txt")).unwrap();
    assert_eq!(shared, "shared\nmore\n");
}

#[test]
fn the_settings_and_the_key_are_no_working_directory() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    for dir in ["home/.local/state/dhenara", "project/.dhenara"] {
        let settings = json!({ "working_dir": env.path(dir), "sandbox": true });
        let said = run(&env, "cat note .secrets/other; true", &settings).expect(1);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(
            told.contains("which no sandbox shows") && !told.contains(SECRET),
            "{told}"
        );
    }
}

#[test]
fn a_working_directory_in_another_run_does_not_show_its_records() {
    if !has_sandbox() {
        return;
    }
    let (env, _) = place();
    let other = env.path("project/runs/run_20250101_000000_aaaaaa");
    let script = "cat .run/note 2>&1; ls -A .run; ls -A .. ; true";
    let told = printed(&env, script, &json!({ "sandbox": true, "working_dir": other }));
    assert!(!told.contains(SECRET) && !told.contains("note\n"), "{told}");
}

#[test]
fn a_program_of_the_definition_does_not_take_the_place_of_the_sandbox() {
    if !has_sandbox() {
        return;
    }
    let (env, secrets) = place();
    let fake = env.write("work/bin/bwrap", "#!/bin/sh\nshift $(($# - 3))\nexec \"$@\"\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", env.path("project/work/bin").display());
    let settings = json!({ "sandbox": true, "env_vars": { "PATH": path, "HOME": "/nowhere" } });
    let told = printed(&env, &reading(&secrets), &settings);
    assert!(!told.contains(SECRET) && told.ends_with("own\n"), "{told}");
}
