//! Whose projects are obeyed, and where keys go.

use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::process::Stdio;

use dhenara::run::{ProjectTrust, find_project_root_from};
use dhenara::{RunContext, SetupError};
use insta::assert_snapshot;
use wiremock::MockServer;

use crate::harness::{CommandOutput, TestEnvironment, tell};
use crate::models::{Scripted, says};

/// The number of another user.
const OTHER: u32 = 65_534;

const FLOW: &str = "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";

/// Gives a file away; whether that could be done, which is for the administrator alone.
fn give_away(path: &Path) -> bool {
    let given = lchown(path, Some(OTHER), None).is_ok();
    if !given {
        tell("skipped: only root can give a file away");
    }
    given
}

/// The home directory's configuration.
fn user_config(env: &TestEnvironment, text: &str) {
    let dir = env.path("home/.config/dhenara");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.yaml"), text).unwrap();
}

/// Calls `dhenara` in the project with more in the environment.
fn run_with(env: &TestEnvironment, variables: &[(&str, &str)], args: &[&str]) -> CommandOutput {
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    command.args(args).envs(variables.iter().copied());
    env.finish(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

#[test]
fn a_project_of_another_user_is_not_obeyed() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env.write("agents/one/agent.yaml", &FLOW.replace("flow", "agent"));
    env.write("sub/flow.yaml", FLOW);
    drop(env.run(&RUN).expect(0));
    if !give_away(&env.project().join(".dhenara")) {
        return;
    }
    assert_snapshot!(env.refused(&RUN), @r#"
    ---- stderr
    error[foreign_project]: `[root]/project/.dhenara` belongs to another user (number 65534): the project `[root]/project` is not obeyed
      hint: name your own project by `--project-root DIR`; if you trust this one, `dhenara trust [root]/project` obeys it
    ---- exit code 2
    "#);
    for args in [
        &["run", "agent", "one"][..],
        &["run", "step", "last", "a"],
        &["run", "flow", "sub/flow.yaml"],
        &["run", "flow", "flow.yaml", "--project-root", "."],
        &["resume", "last"],
        &["answer", "last", "--approve"],
        &["cancel", "last"],
        &["validate"],
        &["validate", "one"],
        &["validate", "flow.yaml"],
        &["render", "flow.yaml", "a"],
        &["runs", "list"],
        &["runs", "show", "last"],
        &["runs", "show", "last", "--project-root", "."],
        &["runs", "verify", "last"],
        &["runs", "why", "last", "a"],
        &["runs", "rm", "last"],
        &["runs", "prune", "--keep-last", "0"],
    ] {
        let refused = env.refused(args);
        assert!(
            refused.stderr.contains("error[foreign_project]"),
            "{args:?}: {refused}"
        );
    }
}

#[test]
fn a_file_of_another_user_in_the_project_is_not_obeyed() {
    for (file, text) in [
        ("config.yaml", "environments: {}\n"),
        ("models.yaml", "[]\n"),
        (".secrets", ""),
        (".secrets/.credentials.yaml", "{}\n"),
    ] {
        let env = TestEnvironment::new();
        env.write("flow.yaml", FLOW);
        env.write(".dhenara/.secrets/.credentials.yaml", "{}\n");
        if !text.is_empty() {
            env.write(&format!(".dhenara/{file}"), text);
        }
        let path = env.project().join(".dhenara").join(file);
        if !give_away(&path) {
            return;
        }
        let refused = env.refused(&RUN);
        let named = format!("`[root]/project/.dhenara/{file}` belongs to another user");
        assert!(refused.to_string().contains(&named), "{refused}");
    }
}

#[test]
fn a_link_to_what_another_user_has_is_not_followed() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let elsewhere = env.path("tmp/elsewhere.yaml");
    std::fs::write(&elsewhere, "environments: {}\n").unwrap();
    let config = env.project().join(".dhenara/config.yaml");
    // A link to a link to the file; who owns the middle one decides where it leads.
    let middle = env.path("tmp/middle.yaml");
    symlink(&elsewhere, &middle).unwrap();
    std::fs::remove_file(&config).unwrap();
    symlink(&middle, &config).unwrap();
    drop(env.run(&RUN).expect(0));
    if !give_away(&middle) {
        return;
    }
    let refused = env.unchanged(&RUN).expect(2);
    assert!(
        refused
            .to_string()
            .contains("`[root]/tmp/middle.yaml` belongs to another user"),
        "{refused}"
    );
    lchown(&middle, Some(0), None).unwrap();
    assert!(give_away(&elsewhere));
    let refused = env.unchanged(&RUN).expect(2);
    assert!(
        refused
            .to_string()
            .contains("`[root]/tmp/elsewhere.yaml` belongs to another user"),
        "{refused}"
    );
}

#[test]
fn the_user_can_trust_a_project_and_no_one_else_can_for_the_user() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    if !give_away(&env.project().join(".dhenara")) {
        return;
    }
    drop(env.run(&["trust", "."]).expect(0));
    drop(env.run(&["trust", "."]).expect(0));
    drop(env.run(&RUN).expect(0));
    let trusted = env.path("home/.config/dhenara/trusted_projects");
    let lines = std::fs::read_to_string(&trusted).unwrap();
    assert_eq!(lines, format!("{}\n", env.project().display()));
    std::fs::remove_file(&trusted).unwrap();
    drop(env.run(&RUN).expect(2));
    drop(env.run(&["trust", "missing"]).expect(2));

    let trusting = format!("trusted_projects: [\"{}\"]\n", env.project().display());
    user_config(&env, &trusting);
    drop(env.run(&RUN).expect(0));
    for args in [
        &["runs", "show", "last"][..],
        &["render", "flow.yaml", "a"],
        &["validate", "flow.yaml"],
    ] {
        drop(env.run(args).expect(0));
    }

    // Where the user's configuration is, the XDG specification says.
    let elsewhere = env.path("tmp/xdg");
    let refused = run_with(&env, &[("XDG_CONFIG_HOME", elsewhere.to_str().unwrap())], &RUN).expect(2);
    assert!(refused.stderr.contains("error[foreign_project]"), "{refused}");
    std::fs::create_dir_all(elsewhere.join("dhenara")).unwrap();
    std::fs::write(elsewhere.join("dhenara/config.yaml"), &trusting).unwrap();
    drop(run_with(&env, &[("XDG_CONFIG_HOME", elsewhere.to_str().unwrap())], &RUN).expect(0));

    // A configuration of another user is not the user's.
    let config = env.path("home/.config/dhenara/config.yaml");
    assert!(give_away(&config));
    let refused = env.run(&RUN).expect(2);
    assert!(refused.stderr.contains("error[user_config]"), "{refused}");
    lchown(&config, Some(0), None).unwrap();

    for (wrong, told) in [
        ("trusted_projects: [project]\n", "which is not absolute"),
        ("trusted: []\n", "unknown key `trusted`"),
        ("trusted_projects: [\n", "config.yaml"),
    ] {
        user_config(&env, wrong);
        let refused = env.run(&RUN).expect(2);
        assert!(refused.stderr.contains(told), "{refused}");
    }
}

#[test]
fn a_program_in_rust_is_refused_too() {
    let env = TestEnvironment::new();
    let project = env.project();
    let built = |trust: ProjectTrust| {
        RunContext::builder("flow_root", &project)
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .project_trust(trust)
            .build()
    };
    assert!(built(ProjectTrust::default()).is_ok());
    if !give_away(&project.join(".dhenara/config.yaml")) {
        return;
    }
    let found = find_project_root_from(&project).unwrap_err();
    assert_eq!(found.code(), "foreign_project");
    match built(ProjectTrust::default()) {
        Err(SetupError::ForeignProject { path, owner, .. }) => {
            assert_eq!((path, owner), (project.join(".dhenara/config.yaml"), OTHER));
        }
        other => panic!("{other:?}"),
    }
    let trust = ProjectTrust::new([project.clone()]);
    assert!(built(trust.clone()).is_ok());
    assert_eq!(trust.find_project_root_from(&project).unwrap(), project);
}

/// A server, and a project that says a model of some provider answers there.
async fn redirected(model: &str) -> Scripted {
    let scripted = Scripted::new(vec![says("hello")]).await;
    let address = scripted.server.uri();
    scripted.env.write(
        ".dhenara/models.yaml",
        &format!("- {{ name: {model}, base_url: \"{address}/v1/\" }}\n"),
    );
    let ask = format!(
        "  - {{ node: first, type: command, settings: {{ commands: [[\"true\"]] }} }}\n  - {{ node: ask, type: ai_model_call, settings: {{ models: [{model}], prompt: Hi }} }}\n"
    );
    scripted.flow(&ask);
    scripted
}

async fn keys_sent(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let key = |request: &wiremock::Request| {
        let header = request.headers.get("authorization");
        header.map_or(String::new(), |key| key.to_str().unwrap().to_owned())
    };
    requests.iter().map(key).collect()
}

const KEY: &str = "sk-of-the-user-0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn a_project_does_not_send_a_key_of_the_environment_elsewhere() {
    let scripted = redirected("openai/gpt-5").await;
    let env = &scripted.env;
    let key = [("OPENAI_API_KEY", KEY)];
    let refused = run_with(env, &key, &RUN).expect(2);
    let port = scripted.server.address().port().to_string();
    assert_snapshot!(refused.to_string().replace(&port, "PORT"), @r#"
    ---- stderr
    error[key_not_allowed]: `flow_root.ask`: `openai/gpt-5` would be asked at `http://127.0.0.1:PORT`, which is not the provider's own server, with the key in the environment variable `OPENAI_API_KEY`: a file of the project does not decide where that key goes
      hint: if the key is meant for this server, allow it in `dhenara/config.yaml` in your configuration directory ($XDG_CONFIG_HOME, else ~/.config):
            allow_key: ["127.0.0.1:PORT"]
            or write the server's own key into [root]/project/.dhenara/.secrets/.credentials.yaml:
            openai:
              api_key: …
    ---- exit code 2
    "#);
    assert!(env.runs().is_empty(), "nothing executes before");
    assert!(keys_sent(&scripted.server).await.is_empty());

    // A name that comes of a template is known when the step is.
    let templated = "  - { node: ask, type: ai_model_call, settings: { models: [\"$var{provider}/gpt-5\"], prompt: Hi } }\n";
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nrequired: [provider]\nelements:\n{templated}"),
    );
    let mut args = RUN.to_vec();
    args.extend(["--var", "provider=openai"]);
    let failed = run_with(env, &key, &args).expect(1);
    assert!(
        failed.stderr.contains("which is not the provider's own server"),
        "{failed}"
    );
    assert!(keys_sent(&scripted.server).await.is_empty());

    // The user allows the server, or the key.
    let host = format!("127.0.0.1:{port}");
    for allowed in [host.as_str(), "127.0.0.1", "OPENAI_API_KEY"] {
        user_config(env, &format!("allow_key: [\"{allowed}\"]\n"));
        drop(run_with(env, &key, &args).expect(0));
    }
    assert_eq!(
        keys_sent(&scripted.server).await,
        vec![format!("Bearer {KEY}"); 3]
    );
    user_config(
        env,
        "allow_key: [\"ANTHROPIC_API_KEY\", \"127.0.0.1:1\", \"example.org\"]\n",
    );
    drop(run_with(env, &key, &args).expect(1));

    // So does a list of models of the user's own, if the project says nothing else.
    let address = scripted.server.uri();
    let own = env.path("home/.config/dhenara/models.yaml");
    let entry = format!("- {{ name: openai/gpt-5, base_url: \"{address}/v1/\" }}\n");
    std::fs::write(&own, entry).unwrap();
    drop(run_with(env, &key, &args).expect(0));
    std::fs::remove_file(own).unwrap();
    drop(run_with(env, &key, &args).expect(1));

    // A server on this machine needs no key.
    drop(run_with(env, &[], &args).expect(0));
    // A key of the project is the project's.
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "openai: { api_key: key-of-the-project }\n",
    );
    drop(run_with(env, &key, &args).expect(0));
    let sent = keys_sent(&scripted.server).await;
    assert_eq!(sent.last().unwrap(), "Bearer key-of-the-project");
    assert!(!sent[4].contains(KEY), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_provider_takes_another_key_along() {
    for (model, more, variable) in [
        ("github/x", "", "GITHUB_API_KEY"),
        ("OpenAI/x", "", "OPENAI_API_KEY"),
        ("x/y", ", provider: anthropic", "ANTHROPIC_API_KEY"),
        ("x/y", ", provider: google, protocol: openai", "GOOGLE_API_KEY"),
        ("ollama/x", ", protocol: anthropic", "OLLAMA_API_KEY"),
    ] {
        let scripted = redirected(model).await;
        let address = scripted.server.uri();
        let entry = format!("- {{ name: {model}, base_url: \"{address}/v1/\"{more} }}\n");
        scripted.env.write(".dhenara/models.yaml", &entry);
        let refused = run_with(&scripted.env, &[(variable, KEY)], &RUN).expect(2);
        assert!(refused.stderr.contains(variable), "{model}: {refused}");
        assert!(keys_sent(&scripted.server).await.is_empty(), "{model}");
    }
    // Addresses that only look like the provider's own.
    let scripted = redirected("openai/gpt-5").await;
    for address in [
        "http://api.openai.com/v1/",
        "https://api.openai.com@127.0.0.1:9/v1/",
        "https://api.openai.com:8443/v1/",
        "https://api.openai.com./v1/",
        "http://localhost.evil.invalid/v1/",
    ] {
        let entry = format!("- {{ name: openai/gpt-5, base_url: \"{address}\" }}\n");
        scripted.env.write(".dhenara/models.yaml", &entry);
        let refused = run_with(&scripted.env, &[("OPENAI_API_KEY", KEY)], &RUN).expect(2);
        assert!(
            refused.stderr.contains("not the provider's own server"),
            "{address}: {refused}"
        );
    }
    assert!(scripted.env.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_outside_of_the_project_is_the_users() {
    let scripted = redirected("openai/gpt-5").await;
    let env = &scripted.env;
    let outside = env.path("home/credentials.yaml");
    std::fs::write(&outside, format!("openai: {{ api_key: {KEY} }}\n")).unwrap();
    let config = format!(
        "environments: {{ default: {{ credentials: \"{}\" }} }}\n",
        outside.display()
    );
    env.write(".dhenara/config.yaml", &config);
    let refused = env.refused(&RUN);
    assert!(
        refused
            .to_string()
            .contains("`[root]/home/credentials.yaml`, which is no file of the project"),
        "{refused}"
    );
    // A link in the project leads there too.
    env.write(".dhenara/config.yaml", "environments: {}\n");
    std::fs::create_dir_all(env.project().join(".dhenara/.secrets")).unwrap();
    symlink(
        &outside,
        env.project().join(".dhenara/.secrets/.credentials.yaml"),
    )
    .unwrap();
    drop(env.refused(&RUN));
    assert!(keys_sent(&scripted.server).await.is_empty());
    user_config(env, "allow_key: [\"127.0.0.1\"]\n");
    drop(env.run(&RUN).expect(0));
}

#[test]
fn the_command_that_tells_of_questions_gets_no_keys() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace("settings:", "requires_approval: true, settings:"),
    );
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: { on_waiting: [sh, -c, \"env > told\"] } }\n",
    );
    let keys = [("OPENAI_API_KEY", KEY), ("LD_AUDIT", "x"), ("LANG", "C.UTF-8")];
    drop(run_with(&env, &keys, &RUN).expect(3));
    let told = std::fs::read_to_string(env.project().join("told")).unwrap();
    assert!(told.contains("LANG=C.UTF-8") && told.contains("HOME="), "{told}");
    assert!(!told.contains(KEY) && !told.contains("LD_AUDIT"), "{told}");
}
