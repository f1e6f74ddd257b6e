//! Mistakes in the files of `.dhenara`.

use std::fs;

use insta::assert_snapshot;

use super::{FLOW, Said};
use crate::harness::TestEnvironment;

#[test]
fn settings_of_a_project() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let mut said = Said::in_(&env);
    for text in [
        "hello\n",
        "- environments\n",
        "environments: ci\n",
        "enviroments: {}\n",
        "run_root: elsewhere\n",
        "variables: { tone: loud }\n",
        "environments: { ci: { budgt: { cost: 1 } } }\n",
        "environments: { ci: { budget: cost=2 } }\n",
        "environments: { ci: { model: openai/gpt-5 } }\n",
        "environments: {}\nenvironments: {}\n",
        "environments:\n\tci: {}\n",
    ] {
        env.write(".dhenara/config.yaml", text);
        said.by(&["run", "flow", "flow.yaml"]);
    }
    fs::write(env.project().join(".dhenara/config.yaml"), b"# caf\xe9\n").unwrap();
    said.by(&["run", "flow", "flow.yaml"]);
    fs::remove_file(env.project().join(".dhenara/config.yaml")).unwrap();
    fs::create_dir(env.project().join(".dhenara/config.yaml")).unwrap();
    said.by(&["run", "flow", "flow.yaml"]);
    assert_snapshot!(said.all());
}

#[test]
fn environments_cassettes_and_models() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env.write(
        ".dhenara/config.yaml",
        "environments: { ci: { cassette: nothing }, local: {} }\n",
    );
    let mut said = Said::in_(&env);
    said.by(&["run", "flow", "flow.yaml", "--env", "ci"])
        .by(&["run", "flow", "flow.yaml", "--env", "locl"])
        .by(&["run", "flow", "flow.yaml", "--env", "production"]);
    for text in [
        "hello\n",
        "models: { fast: openai/gpt-5 }\n",
        "- openai/gpt-5\n",
        "- name: fast\n  modl: openai/gpt-5\n",
        "- { name: a/b, provider: { base_url: nowhere } }\n",
    ] {
        env.write(".dhenara/models.yaml", text);
        said.by(&["models", "show", "openai/gpt-5"]);
    }
    assert_snapshot!(said.all());
}

#[test]
fn keys() {
    let env = TestEnvironment::new();
    let mut said = Said::in_(&env);
    for text in [
        "sk-1234567890abcdef\n",
        "- openai\n",
        "openai:\n  api_kye: sk-1234567890abcdef\n",
        "openai:\n  api_key: [sk-1234567890abcdef]\n",
        "openai:\n  api_key: \"sk-1234567890abcdef\n",
    ] {
        env.write(".dhenara/.secrets/.credentials.yaml", text);
        let checked = env.unchanged(&["models", "check", "openai/gpt-5.5"]);
        assert!(!checked.to_string().contains("sk-1234"), "{checked}");
        said.note(
            &["models", "check", "openai/gpt-5.5"],
            &checked.stderr,
            &checked.to_string(),
        );
    }
    assert_snapshot!(said.all());
}
