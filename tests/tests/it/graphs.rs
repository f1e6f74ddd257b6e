//! Flowcharts of definitions and runs.

use crate::harness::TestEnvironment;

const FLOW: &str = r##"schema_version: 1
kind: flow
variables: { go: true }
elements:
  - { node: first, type: command, settings: { commands: [["true"]] } }
  - conditional: choose
    statement: "$expr{ go && len(\"<a> #b\") > 0 }"
    true_branch:
      - for_each: rounds
        statement: "$expr{ range(3) }"
        max_iterations: 3
        body:
          - { node: try, type: command, on_error: continue, settings: { commands: [["sh", "-c", "test $1 != 1", "sh", "$expr{item}"]] } }
  - parallel: both
    elements:
      - { node: left, type: command, settings: { commands: [["true"]] } }
      - subflow: right
        elements:
          - { node: inner, type: command, settings: { commands: [["false"]] } }
  - { node: never, type: command, settings: { commands: [["true"]] } }
finally:
  - { node: cleans, type: command, settings: { commands: [["true"]] } }
"##;

#[test]
fn of_a_definition_and_of_a_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    insta::assert_snapshot!(env.unchanged(&["validate", "flow.yaml", "--graph"]).expect(0), @r#"
    flowchart TD
      subgraph n1["flow_root"]
        n2["first<br/>command"]
        n3{"choose<br/>go #38;#38; len(#34;#60;a#62; #35;b#34;) #62; 0"}
        n4{{"rounds<br/>for each of range(3)"}}
        n5["try<br/>command"]
        n4 --> n5
        n5 --> n4
        n3 -->|true| n4
        n2 --> n3
        subgraph n6["both<br/>parallel"]
          n7["left<br/>command"]
          subgraph n8["right"]
            n9["inner<br/>command"]
          end
        end
        n4 --> n7
        n4 --> n9
        n3 -->|false| n7
        n3 -->|false| n9
        n10["never<br/>command"]
        n7 --> n10
        n9 --> n10
        n11["cleans<br/>command"]
        n10 -.-> n11
      end
    ---- exit code 0
    "#);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    insta::assert_snapshot!(env.unchanged(&["runs", "graph", "last"]).expect(0), @r#"
    flowchart TD
      subgraph n1["flow_root"]
        n2["first<br/>command"]
        n3{"choose<br/>go #38;#38; len(#34;#60;a#62; #35;b#34;) #62; 0"}
        n4{{"rounds<br/>for each of range(3)"}}
        n5["try<br/>command<br/>3 times, 1 failed"]
        n4 --> n5
        n5 --> n4
        n3 -->|true| n4
        n2 --> n3
        subgraph n6["both<br/>parallel"]
          n7["left<br/>command"]
          subgraph n8["right"]
            n9["inner<br/>command"]
          end
        end
        n4 --> n7
        n4 --> n9
        n3 -->|false| n7
        n3 -->|false| n9
        n10["never<br/>command"]
        n7 --> n10
        n9 --> n10
        n11["cleans<br/>command"]
        n10 -.-> n11
      end
      classDef completed fill:#d7f0dd,stroke:#2f7d4a,color:#12331e
      class n2,n3,n4,n7,n11 completed
      classDef failed fill:#f8d7da,stroke:#b02a37,color:#58151c
      class n1,n5,n6,n8,n9 failed
    ---- exit code 0
    "#);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &FLOW.replace("node: never", "nod: never"));
    let wrong = env.refused(&["validate", "flow.yaml", "--graph"]);
    assert!(wrong.stderr.contains("did you mean `node`?"), "{wrong}");
    insta::assert_snapshot!(env.refused(&["validate", "--graph"]), @"
    ---- stderr
    error: the following required arguments were not provided:
      <NAME>

    Usage: dhenara-under-test validate --graph <NAME>

    For more information, try '--help'.
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["runs", "graph", "last"]), @"
    ---- stderr
    error[unknown_run]: there are no runs
      hint: `dhenara run agent NAME` makes one
            runs are looked for in `[root]/project/runs`
    ---- exit code 2
    ");
}
