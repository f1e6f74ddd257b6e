//! Agents with conditionals, loops, groups and parts in files of their own, through the command line.

use crate::failures::process_started;
use crate::harness::{TestEnvironment, journal, read_json};

const AGENT: &str = r#"schema_version: 1
kind: agent
root_id: shop
required: [task]
variables:
  orders: { $json: ./orders.json }
output: "$expr{ py: [len(picks) for picks in $hier{orders.*.work.items.*.pick}] }"
elements:
  - for_each: orders
    statement: "$expr{orders}"
    item_var: order
    body:
      - flow: work
        elements:
          - for_each: items
            statement: "$expr{order.items}"
            max_concurrency: 2
            body:
              - { node: pick, type: command, settings: { commands: ["echo \"$expr{order.name} $expr{item} $expr{index}\""] } }
          - repeat: check
            until: "$expr{ $hier{count}.outcome.results[0].stdout == 'xxx' }"
            max_iterations: 5
            body:
              - node: count
                type: command
                settings: { commands: ["printf %s \"$expr{ $hier{check.previous.count}.outcome.results[0].stdout || '' }x\""] }
          - conditional: big
            statement: "$expr{ len(order.items) > 1 }"
            true_branch:
              - { node: box, type: command, settings: { commands: [[echo, "box of $expr{ len($hier{items.*.pick}) }"]] } }
            false_branch:
              - { node: bag, type: command, settings: { commands: [[echo, bag]] } }
  - parallel: reports
    elements:
      - { flow: for_users, use: ../../flows/report.yaml, variables: { audience: users } }
      - { flow: for_us, use: ../../flows/report.yaml, variables: { audience: "us, who do $expr{task}" } }
  - subagent: helper
    use: ../helper/agent.yaml
finally:
  - flow: cleanup
    elements:
      - { node: sweep, type: command, settings: { commands: [[echo, "swept $expr{ $hier{orders}.iterations }"]] } }
"#;

fn shop() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("agents/shop/agent.yaml", AGENT);
    env.write(
        "agents/shop/orders.json",
        r#"[{"name": "Ann", "items": ["apple", "pear"]}, {"name": "$expr{boom}", "items": ["nut"]}]"#,
    );
    env.write(
        "agents/helper/agent.yaml",
        "schema_version: 1\nkind: agent\nelements:\n  - flow: say\n    elements:\n      - { node: bye, type: command, settings: { commands: [[echo, bye]] } }\n",
    );
    env.write(
        "flows/report.yaml",
        "schema_version: 1\nkind: flow\nrequired: [audience]\nvariables: { greeting: \"for $expr{audience}\" }\nelements:\n  - { node: write, type: command, settings: { commands: [[echo, \"$expr{greeting}\"]] } }\n",
    );
    env
}

/// The directories and results of a run, from its root component down.
fn tree(env: &TestEnvironment) -> String {
    let run = env.last_run();
    let mut found = Vec::new();
    let mut stack = vec![run.join("shop")];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else if path.ends_with("result.json") || path.ends_with("component_result.json") {
                found.push(path.strip_prefix(&run).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found.join("\n")
}

#[test]
fn the_directory_mirrors_the_definition() {
    let env = shop();
    let output = env
        .run(&["run", "agent", "shop", "--var", "task=the work"])
        .expect(0);
    assert_eq!(output.stdout.split_whitespace().collect::<String>(), "[2,1]");
    insta::assert_snapshot!(tree(&env), @r"
    shop/cleanup/component_result.json
    shop/cleanup/sweep/result.json
    shop/component_result.json
    shop/helper/component_result.json
    shop/helper/say/bye/result.json
    shop/helper/say/component_result.json
    shop/orders/component_result.json
    shop/orders/iter_0/work/big/component_result.json
    shop/orders/iter_0/work/big/is_true/box/result.json
    shop/orders/iter_0/work/check/component_result.json
    shop/orders/iter_0/work/check/iter_0/count/result.json
    shop/orders/iter_0/work/check/iter_1/count/result.json
    shop/orders/iter_0/work/check/iter_2/count/result.json
    shop/orders/iter_0/work/component_result.json
    shop/orders/iter_0/work/items/component_result.json
    shop/orders/iter_0/work/items/iter_0/pick/result.json
    shop/orders/iter_0/work/items/iter_1/pick/result.json
    shop/orders/iter_1/work/big/component_result.json
    shop/orders/iter_1/work/big/is_false/bag/result.json
    shop/orders/iter_1/work/check/component_result.json
    shop/orders/iter_1/work/check/iter_0/count/result.json
    shop/orders/iter_1/work/check/iter_1/count/result.json
    shop/orders/iter_1/work/check/iter_2/count/result.json
    shop/orders/iter_1/work/component_result.json
    shop/orders/iter_1/work/items/component_result.json
    shop/orders/iter_1/work/items/iter_0/pick/result.json
    shop/reports/component_result.json
    shop/reports/for_us/component_result.json
    shop/reports/for_us/write/result.json
    shop/reports/for_users/component_result.json
    shop/reports/for_users/write/result.json
    ");
    let outcome = |step: &str| {
        let outcome = read_json(&env.last_run().join(step).join("outcome.json"));
        outcome["results"][0]["stdout"]
            .as_str()
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(outcome("shop/orders/iter_0/work/items/iter_1/pick"), "Ann pear 1");
    assert_eq!(
        outcome("shop/orders/iter_1/work/items/iter_0/pick"),
        "$expr{boom} nut 0"
    );
    assert_eq!(outcome("shop/orders/iter_0/work/big/is_true/box"), "box of 2");
    assert_eq!(outcome("shop/reports/for_us/write"), "for us, who do the work");
    assert_eq!(outcome("shop/cleanup/sweep"), "swept 2");
    insta::assert_snapshot!(env.run(&["runs", "show", "last"]).expect(0), @r"
    run_00000000_000000_000001  completed
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     15 completed
      size      75 files, [size]
      artifacts [root]/project/runs/run_00000000_000000_000001
      shop
        orders
          iter_0.work
            items
              ✓ iter_0.pick                   [time]  1 command
              ✓ iter_1.pick                   [time]  1 command
            check
              ✓ iter_0.count                  [time]  1 command
              ✓ iter_1.count                  [time]  1 command
              ✓ iter_2.count                  [time]  1 command
            big
              ✓ is_true.box                   [time]  1 command
          iter_1.work
            items
              ✓ iter_0.pick                   [time]  1 command
            check
              ✓ iter_0.count                  [time]  1 command
              ✓ iter_1.count                  [time]  1 command
              ✓ iter_2.count                  [time]  1 command
            big
              ✓ is_false.bag                  [time]  1 command
        reports
          for_users
            ✓ write                         [time]  1 command
          for_us
            ✓ write                         [time]  1 command
        helper
          say
            ✓ bye                           [time]  1 command
        cleanup
          ✓ sweep                         [time]  1 command
    ---- exit code 0
    ");

    // From the middle of a loop on: what lies before is taken over.
    let again = [
        "run",
        "agent",
        "shop",
        "--var",
        "task=the work",
        "--previous-run-id",
        "last",
    ];
    let again = [
        again.as_slice(),
        &["--entry-point", "orders.iter_1.work.check.iter_2.count"],
    ]
    .concat();
    let mut output = env.run(&again).expect(0);
    // What runs at the same time may end in either order, or one before the other begins.
    let lines = output.stderr.lines().filter(|line| !line.contains("write"));
    output.stderr = lines.map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(output, @r"
    [
      2,
      1
    ]
    ---- stderr
    rerun_00000000_000000_000002
    re-run of run_00000000_000000_000001: 9 reused, 5 to execute, 2 decided on the way, starting at shop.orders.iter_1.work.check.iter_2.count
    shop
      orders
        iter_0.work
          items
            ↺ iter_0.pick                   from run_00000000_000000_000001  1 command
            ↺ iter_1.pick                   from run_00000000_000000_000001  1 command
          check
            ↺ iter_0.count                  from run_00000000_000000_000001  1 command
            ↺ iter_1.count                  from run_00000000_000000_000001  1 command
            ↺ iter_2.count                  from run_00000000_000000_000001  1 command
          big
            ↺ is_true.box                   from run_00000000_000000_000001  1 command
        iter_1.work
          items
            ↺ iter_0.pick                   from run_00000000_000000_000001  1 command
          check
            ↺ iter_0.count                  from run_00000000_000000_000001  1 command
            ↺ iter_1.count                  from run_00000000_000000_000001  1 command
            ✓ iter_2.count                  [time]  1 command
          big
            ✓ is_false.bag                  [time]  1 command
      reports
        for_users
        for_us
      helper
        say
          ✓ bye                           [time]  1 command
      cleanup
        ✓ sweep                         [time]  1 command

    completed rerun_00000000_000000_000002 in [time]
      steps     15 completed, of them 9 reused
      artifacts [root]/project/runs/rerun_00000000_000000_000002
      next      dhenara runs show rerun_00000000_000000_000002 shop.cleanup.sweep
    ---- exit code 0
    ");
    let decisions = |kind: &str| {
        let records = journal(&env.last_run());
        records.iter().filter(|record| record["type"] == kind).count()
    };
    assert_eq!(
        (
            decisions("branch_taken"),
            decisions("loop_started"),
            decisions("loop_decided")
        ),
        (2, 3, 6)
    );
}

#[test]
fn what_does_not_fit_a_used_file_is_reported() {
    let env = shop();
    env.write(
        "flows/main.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { subflow: a, use: ./report.yaml, variables: { audiance: x } }\n  - { subflow: b, use: ../agents/helper/agent.yaml }\n  - { subflow: c, use: ./raport.yaml }\n  - { subflow: d, use: ./main.yaml }\n  - { subflow: e, use: ./round.yaml }\n  - { subflow: f, use: ../../outside.yaml }\n  - { subflow: g, use: ./report.yaml, elements: [] }\n  - { node: n, type: command, settings: { commands: [[echo, \"$hier{c.write}\"]] } }\n",
    );
    env.write(
        "flows/round.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { subflow: back, use: ./main.yaml }\n",
    );
    insta::assert_snapshot!(env.unchanged(&["validate", "flows/main.yaml"]).expect(2), @r"
    flows/main.yaml: 9 problems
    ---- stderr
    flows/main.yaml:4:24: error[missing_variable]: the file requires the variable `audience`
      |
    4 |   - { subflow: a, use: ./report.yaml, variables: { audiance: x } }
      |                        ^^^^^^^^^^^^^
      = hint: give it beside `use`: `variables: { audience: … }`

    flows/main.yaml:4:52: error[unknown_variable]: the file has no variable `audiance`
      |
    4 |   - { subflow: a, use: ./report.yaml, variables: { audiance: x } }
      |                                                    ^^^^^^^^
      = hint: did you mean `audience`?

    flows/main.yaml:6:24: error[file_unreadable]: cannot read `./raport.yaml`: No such file or directory (os error 2)
      |
    6 |   - { subflow: c, use: ./raport.yaml }
      |                        ^^^^^^^^^^^^^
      = hint: did you mean `report.yaml`?

    flows/main.yaml:7:24: error[use_cycle]: `flows/main.yaml` uses itself
      |
    7 |   - { subflow: d, use: ./main.yaml }
      |                        ^^^^^^^^^^^
      = hint: the files use each other: flows/main.yaml → flows/main.yaml

    flows/main.yaml:9:24: error[include_outside]: `../../outside.yaml` leads out of the project
      |
    9 |   - { subflow: f, use: ../../outside.yaml }
      |                        ^^^^^^^^^^^^^^^^^^
      = hint: only files in `[root]/project` can be included

    flows/main.yaml:10:24: error[missing_variable]: the file requires the variable `audience`
       |
    10 |   - { subflow: g, use: ./report.yaml, elements: [] }
       |                        ^^^^^^^^^^^^^
      = hint: give it beside `use`: `variables: { audience: … }`

    flows/main.yaml:10:39: error[unknown_key]: `elements` stands in the file that `use` names, not beside it
       |
    10 |   - { subflow: g, use: ./report.yaml, elements: [] }
       |                                       ^^^^^^^^

    agents/helper/agent.yaml:2:7: error[wrong_kind]: the file holds a definition of kind `agent`, here stands a part of kind `flow`
      |
    2 | kind: agent
      |       ^^^^^

    flows/round.yaml:4:27: error[use_cycle]: `flows/main.yaml` uses itself
      |
    4 |   - { subflow: back, use: ./main.yaml }
      |                           ^^^^^^^^^^^
      = hint: the files use each other: flows/main.yaml → flows/round.yaml → flows/main.yaml
    ---- exit code 2
    ");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let env = shop();
    env.write(
        "flows/report.yaml",
        r#"schema_version: 1
kind: flow
required: [audience]
variables: { greeting: "for $expr{audeince}" }
elements:
  - { node: write, type: comand, settings: {} }
  - { node: write, type: command, settings: { comands: [[ls]] } }
  - { node: third, type: command, settings: { commands: ["echo '$expr{greeting}'"], timeout: soon } }
"#,
    );
    env.write(
        "agents/shop/agent.yaml",
        r#"schema_version: 1
kind: agent
elements:
  - flow: one
    elements:
      - { node: a, type: command, settings: { commands: ["echo $hier{b}", "echo $expr{1 +}"] } }
      - { node: b, type: command, setings: {} }
      - { callback: c, function: absent }
      - conditional: d
        statement: yes
        true_branch: []
  - { flow: two, use: ../../flows/report.yaml, variables: { audience: us } }
"#,
    );
    let output = env.unchanged(&["validate", "shop"]).expect(2);
    insta::assert_snapshot!(output, @r#"
    agents/shop/agent.yaml: 11 problems
    ---- stderr
    agents/shop/agent.yaml:6:64: error[unavailable_step]: `b` is executed later, so it has no result yet
      |
    6 |       - { node: a, type: command, settings: { commands: ["echo $hier{b}", "echo $expr{1 +}"] } }
      |                                                                ^^^^^^^^
      = hint: it means `shop_root.one.b`

    agents/shop/agent.yaml:6:90: error[template_syntax]: unexpected `}`, a value was expected
      |
    6 |       - { node: a, type: command, settings: { commands: ["echo $hier{b}", "echo $expr{1 +}"] } }
      |                                                                                          ^

    agents/shop/agent.yaml:7:35: error[unknown_key]: unknown key `setings`
      |
    7 |       - { node: b, type: command, setings: {} }
      |                                   ^^^^^^^
      = hint: did you mean `settings`?

    agents/shop/agent.yaml:8:34: error[unknown_callback]: unknown function `absent`
      |
    8 |       - { callback: c, function: absent }
      |                                  ^^^^^^
      = hint: no functions are registered; the application that runs the definition registers them: `builtin_nodes().callback("name", function)`

    agents/shop/agent.yaml:10:20: error[wrong_type]: the condition `yes` can only be a text, never true or false
       |
    10 |         statement: yes
       |                    ^^^
      = hint: write all of it as one expression: `$expr{ yes }`

    flows/report.yaml:4:35: error[unknown_variable]: unknown variable `audeince`
      |
    4 | variables: { greeting: "for $expr{audeince}" }
      |                                   ^^^^^^^^
      = hint: did you mean `audience`?

    flows/report.yaml:6:26: error[unknown_node_type]: unknown node type `comand`
      |
    6 |   - { node: write, type: comand, settings: {} }
      |                          ^^^^^^
      = hint: did you mean `command`?

    flows/report.yaml:7:13: error[duplicate_id]: the id `write` occurs twice among its siblings
      |
    7 |   - { node: write, type: command, settings: { comands: [[ls]] } }
      |             ^^^^^
      = hint: give one of the two another id

    flows/report.yaml:7:47: error[unknown_key]: unknown key `comands`
      |
    7 |   - { node: write, type: command, settings: { comands: [[ls]] } }
      |                                               ^^^^^^^
      = hint: did you mean `commands`?

    flows/report.yaml:8:58: error[placeholder_in_shell]: `$expr{greeting}` stands inside single quotes, where the shell would not put its value
      |
    8 | … command, settings: { commands: ["echo '$expr{greeting}'"], timeout: soon } }
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: write `"$expr{greeting}"`

    flows/report.yaml:8:94: error[wrong_type]: expected a number, found the text `soon`
      |
    8 | …ho '$expr{greeting}'"], timeout: soon } }
      |                                   ^^^^
    ---- exit code 2
    "#);
    // A run says the same.
    let run = env.refused(&["run", "agent", "shop"]);
    assert_eq!(run.stderr, output.stderr);
    let json = env.run(&["validate", "--json"]).expect(2).json("cli_validate");
    assert_eq!(json["definitions"][1]["problems"].as_array().unwrap().len(), 11);
    assert_eq!(
        (&json["valid"], &json["definitions"][0]["valid"]),
        (&false.into(), &true.into())
    );
}

#[cfg(unix)]
#[test]
fn what_stands_under_finally_runs_after_an_interrupt_in_a_loop() {
    for signal in ["INT", "TERM"] {
        interrupt_in_a_loop(signal);
    }
}

#[cfg(unix)]
fn interrupt_in_a_loop(signal: &str) {
    let env = TestEnvironment::new();
    env.write(
        "long.yaml",
        r#"schema_version: 1
kind: flow
elements:
  - repeat: waiting
    until: "$expr{false}"
    max_iterations: 3
    body:
      - { node: waits, type: command, settings: { commands: [[sleep, '600']] } }
finally:
  - { node: clean, type: command, settings: { commands: [[echo, "$expr{ $hier{waiting}.iterations }"]] } }
"#,
    );
    let running = env.start(&["run", "flow", "long.yaml"]);
    while env.runs().pop().is_none_or(|run| process_started(&run).is_none()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    env.signal(&running, signal);
    let _ = env.finish(running).expect(130);
    let run = env.last_run();
    let cleaned = read_json(&run.join("long_root/clean/outcome.json"));
    assert_eq!(cleaned["results"][0]["stdout"], "1\n");
    assert_eq!(
        read_json(&run.join("long_root/waiting/component_result.json"))["execution_status"],
        "cancelled"
    );
}
