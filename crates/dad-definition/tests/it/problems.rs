//! Wrong definitions, and the problems that are reported.

use dad_definition::{compile, load_str};
use insta::assert_snapshot;

use crate::registry::Registry;

/// Everything that loading and compiling say about a text.
fn reported(yaml: &str) -> String {
    let yaml = yaml.strip_prefix('\n').unwrap_or(yaml);
    let loaded = match load_str(yaml, "agent.yaml", None, None) {
        Ok(loaded) => loaded,
        Err(problems) => return problems.to_string(),
    };
    let root = "root".parse().unwrap();
    match compile(&loaded.definition, &root, &Registry::new(), Some(&loaded.spans)) {
        Ok(_) => loaded
            .warnings
            .iter()
            .map(|warning| format!("{warning}\n"))
            .collect(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn misspelt_keys_get_the_nearest() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    setings: {}
    timout: 3
finaly: []
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:6:5: error[unknown_key]: unknown key `setings`
      |
    6 |     setings: {}
      |     ^^^^^^^
      = hint: did you mean `settings`?

    agent.yaml:7:5: error[unknown_key]: unknown key `timout`
      |
    7 |     timout: 3
      |     ^^^^^^
      = hint: did you mean `timeout`?

    agent.yaml:8:1: error[unknown_key]: unknown key `finaly`
      |
    8 | finaly: []
      | ^^^^^^
      = hint: did you mean `finally`?
    ");
}

#[test]
fn a_misspelt_setting_gets_the_nearest_of_its_schema() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: ai_model_call
    settings:
      models: [x]
      promt: hi
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:8:7: error[unknown_key]: unknown key `promt`
      |
    8 |       promt: hi
      |       ^^^^^
      = hint: did you mean `prompt`?
    ");
}

#[test]
fn values_of_the_wrong_type() {
    let yaml = "
schema_version: one
kind: flo
required: task
budget: { cost: much, calls: 1.5 }
elements:
  - node: a
    type: 3
    requires_approval: yes
    retry: 3
    timeout: soon
    on_error: contine
    settings: []
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:1:17: error[wrong_type]: expected the number `1`, found the text `one`
      |
    1 | schema_version: one
      |                 ^^^

    agent.yaml:2:7: error[wrong_value]: expected one of `agent`, `flow`, found `flo`
      |
    2 | kind: flo
      |       ^^^
      = hint: did you mean `flow`?

    agent.yaml:3:11: error[wrong_type]: expected a list of names, found the text `task`
      |
    3 | required: task
      |           ^^^^

    agent.yaml:4:17: error[wrong_type]: expected a number of US dollars, found the text `much`
      |
    4 | budget: { cost: much, calls: 1.5 }
      |                 ^^^^

    agent.yaml:4:30: error[wrong_type]: expected a whole number, found the number `1.5`
      |
    4 | budget: { cost: much, calls: 1.5 }
      |                              ^^^

    agent.yaml:7:11: error[wrong_type]: expected the name of a node type, found the number `3`
      |
    7 |     type: 3
      |           ^

    agent.yaml:8:24: error[wrong_type]: expected `true` or `false`, found the text `yes`
      |
    8 |     requires_approval: yes
      |                        ^^^

    agent.yaml:9:12: error[wrong_type]: expected a mapping such as `{ max_attempts: 3 }`, found the number `3`
      |
    9 |     retry: 3
      |            ^

    agent.yaml:10:14: error[wrong_value]: `soon` is not a duration; write a number of seconds or a number with a unit: 500ms, 30s, 5m, 2h, 1d
       |
    10 |     timeout: soon
       |              ^^^^

    agent.yaml:11:15: error[wrong_value]: expected one of `fail`, `continue`, found `contine`
       |
    11 |     on_error: contine
       |               ^^^^^^^
      = hint: did you mean `continue`?

    agent.yaml:12:15: error[wrong_type]: expected a mapping, found a list
       |
    12 |     settings: []
       |               ^^
    ");
}

#[test]
fn missing_keys() {
    let yaml = "
description: x
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:1:1: error[missing_key]: the key `schema_version` is missing
      |
    1 | description: x
      | ^^^^^^^^^^^
      = hint: write `schema_version: 1`

    agent.yaml:1:1: error[missing_key]: the key `kind` is missing
      |
    1 | description: x
      | ^^^^^^^^^^^
      = hint: write `kind: agent` or `kind: flow`

    agent.yaml:1:1: error[missing_key]: the key `elements` is missing
      |
    1 | description: x
      | ^^^^^^^^^^^
      = hint: list what is executed, in order
    ");
}

#[test]
fn ids_that_could_leave_their_directory() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - { node: a, type: command, settings: { commands: [] } }
  - { node: A, type: command, settings: { commands: [] } }
  - { node: ../up, type: command }
  - { node: last, type: command }
  - { node: a/b, type: command }
  - { node: con, type: command}
  - { node: 7, type: command }
";
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:5:13: error[duplicate_id]: the ids `a` and `A` differ only in case
      |
    5 |   - { node: A, type: command, settings: { commands: [] } }
      |             ^
      = hint: ids are names of directories, which some systems compare without case

    agent.yaml:6:13: error[invalid_id]: `../up` contains '.'; an id is made of letters, digits and `_`
      |
    6 |   - { node: ../up, type: command }
      |             ^^^^^

    agent.yaml:7:13: error[invalid_id]: `last` is reserved; choose another id
      |
    7 |   - { node: last, type: command }
      |             ^^^^

    agent.yaml:8:13: error[invalid_id]: `a/b` contains '/'; an id is made of letters, digits and `_`
      |
    8 |   - { node: a/b, type: command }
      |             ^^^
      = hint: write `a_b`

    agent.yaml:9:13: error[invalid_id]: `con` is reserved; choose another id
      |
    9 |   - { node: con, type: command}
      |             ^^^

    agent.yaml:10:13: error[wrong_type]: expected an id, found the number `7`
       |
    10 |   - { node: 7, type: command }
       |             ^
      = hint: put it in quotes: `"7"`
    "#);
}

#[test]
fn ids_that_only_differ_in_case() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - { node: a, type: command, settings: { commands: [] } }
  - { node: A, type: command, settings: { commands: [] } }
  - { node: a, type: command, settings: { commands: [] } }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:5:13: error[duplicate_id]: the ids `a` and `A` differ only in case
      |
    5 |   - { node: A, type: command, settings: { commands: [] } }
      |             ^
      = hint: ids are names of directories, which some systems compare without case

    agent.yaml:6:13: error[duplicate_id]: the ids `A` and `a` differ only in case
      |
    6 |   - { node: a, type: command, settings: { commands: [] } }
      |             ^
      = hint: ids are names of directories, which some systems compare without case
    ");
}

#[test]
fn elements_that_do_not_belong_there() {
    let yaml = "
schema_version: 1
kind: agent
elements:
  - node: a
    type: command
  - flow: b
    subflow: c
    elements: []
  - flwo: d
    elements: []
  - description: nothing
  - text
  - flow: f
    elements:
      - flow: g
        elements: []
";
    assert_snapshot!(reported(yaml), @r"
    agent.yaml:4:5: error[element_not_allowed]: `node` may not stand directly in an agent
      |
    4 |   - node: a
      |     ^^^^
      = hint: put it into a `flow`, which an agent may contain

    agent.yaml:7:5: error[several_kinds]: an element is one thing, this one has both `flow` and `subflow`
      |
    7 |     subflow: c
      |     ^^^^^^^
      = hint: begin a new element with `-` for the second

    agent.yaml:9:5: error[unknown_key]: unknown key `flwo`
      |
    9 |   - flwo: d
      |     ^^^^
      = hint: did you mean `flow`?

    agent.yaml:11:5: error[missing_kind]: this element does not say what it is
       |
    11 |   - description: nothing
       |     ^^^^^^^^^^^
      = hint: write one of the keys `flow`, `subagent`, `conditional`, `for_each`, `repeat`, `parallel`, `callback` with the element's id

    agent.yaml:12:5: error[wrong_type]: expected an element: a mapping with a key such as `node: ID`, found the text `text`
       |
    12 |   - text
       |     ^^^^

    agent.yaml:15:9: error[element_not_allowed]: `flow` may not stand directly in a flow
       |
    15 |       - flow: g
       |         ^^^^
      = hint: write `subflow`, which is its name in a flow
    ");
}

#[test]
fn control_flow_that_cannot_be_meant() {
    let yaml = r#"schema_version: 1
kind: flow
elements:
  - conditional: no_branches
  - conditional: text_as_condition
    statement: len(x) > 0
    true_branch: []
  - for_each: over_a_number
    statement: 3
    start_index: 1.5
    max_concurrency: 0
    body: []
  - for_each: names
    statement: [1, 2]
    item_var: index
    index_var: run_id
    until: "$expr{index > 1}"
    max_concurrency: 2
    body: []
  - repeat: endless
    until: 'no'
    body: []
  - repeat: never
    until: "$expr{true}"
    max_iterations: 0
    on_exhausted: stop
    on_limit: fail
    body: []
  - parallel: p
    variables: { a: 1 }
  - callback: notify
    functon: x
    args: [1]
  - node: n
    type: command
    use: ./other.yaml
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:4:5: error[missing_key]: the key `statement` is missing
      |
    4 |   - conditional: no_branches
      |     ^^^^^^^^^^^
      = hint: write what chooses: `statement: "$expr{…}"`

    agent.yaml:4:5: error[missing_key]: the key `true_branch` is missing
      |
    4 |   - conditional: no_branches
      |     ^^^^^^^^^^^
      = hint: list what is executed if the statement is true

    agent.yaml:6:16: error[wrong_type]: the condition `len(x) > 0` can only be a text, never true or false
      |
    6 |     statement: len(x) > 0
      |                ^^^^^^^^^^
      = hint: write all of it as one expression: `$expr{ len(x) > 0 }`

    agent.yaml:9:16: error[wrong_type]: what is looped over must be a list, or a template of a list or `range`
      |
    9 |     statement: 3
      |                ^

    agent.yaml:10:18: error[wrong_type]: the first number must be a whole number, or a template of one
       |
    10 |     start_index: 1.5
       |                  ^^^

    agent.yaml:11:22: error[wrong_value]: at least one iteration must be able to run
       |
    11 |     max_concurrency: 0
       |                      ^

    agent.yaml:16:16: error[reserved_variable]: `run_id` is a variable of every run and cannot be defined again
       |
    16 |     index_var: run_id
       |                ^^^^^^
      = hint: choose another name

    agent.yaml:17:5: error[concurrent_until]: `until` decides after each iteration, so they must run one after the other
       |
    17 |     until: "$expr{index > 1}"
       |     ^^^^^
      = hint: leave out `until` or `max_concurrency`

    agent.yaml:20:5: error[missing_key]: the key `max_iterations` is missing
       |
    20 |   - repeat: endless
       |     ^^^^^^
      = hint: say how many passes there may be at most

    agent.yaml:21:12: error[wrong_type]: the condition `no` can only be a text, never true or false
       |
    21 |     until: 'no'
       |            ^^^^
      = hint: write all of it as one expression: `$expr{ no }`

    agent.yaml:25:21: error[wrong_value]: there must be at least one pass
       |
    25 |     max_iterations: 0
       |                     ^

    agent.yaml:26:19: error[wrong_value]: expected one of `fail`, `continue`, found `stop`
       |
    26 |     on_exhausted: stop
       |                   ^^^^

    agent.yaml:27:5: error[unknown_key]: unknown key `on_limit`
       |
    27 |     on_limit: fail
       |     ^^^^^^^^
      = hint: the keys here are description, variables, until, index_var, max_iterations, on_exhausted, body, pre_events, post_events, timeout, retry, on_error, reuse, requires_approval, budget

    agent.yaml:29:5: error[missing_key]: the key `elements` is missing
       |
    29 |   - parallel: p
       |     ^^^^^^^^
      = hint: list what is executed, in order

    agent.yaml:30:5: error[unknown_key]: unknown key `variables`
       |
    30 |     variables: { a: 1 }
       |     ^^^^^^^^^
      = hint: the keys here are description, elements, pre_events, post_events, timeout, retry, on_error, reuse, requires_approval, budget

    agent.yaml:31:5: error[missing_key]: the key `function` is missing
       |
    31 |   - callback: notify
       |     ^^^^^^^^
      = hint: name the function of the application that is called

    agent.yaml:32:5: error[unknown_key]: unknown key `functon`
       |
    32 |     functon: x
       |     ^^^^^^^
      = hint: did you mean `function`?

    agent.yaml:33:11: error[wrong_type]: expected a mapping, found a list
       |
    33 |     args: [1]
       |           ^^^

    agent.yaml:36:5: error[unknown_key]: unknown key `use`
       |
    36 |     use: ./other.yaml
       |     ^^^
      = hint: the settings of a node stand in `settings`; its other keys are type, pre_events, post_events, timeout, retry, on_error, reuse, requires_approval, budget
    "#);
}

#[test]
fn functions_that_there_are_not() {
    let yaml = r#"schema_version: 1
kind: flow
variables: { ok: "$expr{py: [len(x) for x in ['a']]}", fine: "$expr{ nothing() || 1 }" }
elements:
  - { node: a, type: command, settings: { commands: ["$expr{py: lenn(ok)}", "$expr{frobnicate(1)}"] } }
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:5:65: error[unknown_function]: unknown function `lenn`
      |
    5 | …ettings: { commands: ["$expr{py: lenn(ok)}", "$expr{frobnicate(1)}"] } }
      |                                   ^^^^
      = hint: did you mean `len`?

    agent.yaml:5:84: error[unknown_function]: unknown function `frobnicate`
      |
    5 | …: ["$expr{py: lenn(ok)}", "$expr{frobnicate(1)}"] } }
      |                                   ^^^^^^^^^^
      = hint: there are abs, all, any, bin, bool, chr, dict, divmod, enumerate, filter, float, format, hex, int, isinstance, len, list, map, max, min, next, oct, ord, pow, range, repr, reversed, round, set, sh, sorted, str, sum, tuple, zip, json.loads, json.dumps
    "#);
}

#[test]
fn references_into_loops_branches_and_groups() {
    let yaml = r#"schema_version: 1
kind: flow
variables: { list: [1, 2] }
elements:
  - for_each: outer
    statement: "$expr{list}"
    body:
      - { node: a, type: command, settings: { commands: ["$hier{outer.last.a}", "$hier{outer.previous.b}"] } }
      - { node: b, type: command, settings: { commands: ["$hier{a}", "$hier{later}"] } }
  - for_each: wide
    statement: "$expr{list}"
    max_concurrency: 2
    body:
      - { node: w, type: command, settings: { commands: ["$hier{wide.previous.w}"] } }
  - { node: c, type: command, settings: { commands: ["$hier{outer.a}", "$hier{outer.*.a}", "$hier{outer.previous.a}", "$hier{last.a}", "$hier{c.iter_0.a}", "$hier{outer.last}"] } }
  - conditional: d
    statement: "$expr{len(list) > 0}"
    true_branch:
      - { node: yes_step, type: command, settings: { commands: ["$hier{c}"] } }
    false_branch:
      - { node: no_step, type: command, settings: { commands: ["$hier{yes_step}", "$hier{d.is_true.yes_step}"] } }
  - parallel: group
    elements:
      - { node: left, type: command, settings: { commands: ["$hier{d.yes_step}"] } }
      - { node: right, type: command, settings: { commands: ["$hier{left}"] } }
  - repeat: again
    until: "$expr{ $hier{again.last.z}.outcome && $hier{z}.outcome && $hier{later}.outcome }"
    max_iterations: 2
    body:
      - { node: z, type: command, settings: { commands: ["$hier{again.previous.z}", "$var{item}"] } }
  - { node: later, type: command, settings: { commands: [] } }
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:8:59: error[unavailable_step]: `outer.last.a` is not known before the loop `outer` has ended
      |
    8 | …command, settings: { commands: ["$hier{outer.last.a}", "$hier{outer.previous.b}"] } }
      |                                   ^^^^^^^^^^^^^^^^^^^
      = hint: inside the loop write `outer.previous`

    agent.yaml:9:71: error[unavailable_step]: `later` is executed later, so it has no result yet
      |
    9 |       - { node: b, type: command, settings: { commands: ["$hier{a}", "$hier{later}"] } }
      |                                                                       ^^^^^^^^^^^^
      = hint: it means `root.later`

    agent.yaml:14:59: error[unavailable_step]: `wide.previous.w` names another iteration of `wide`, whose iterations run at the same time
       |
    14 |       - { node: w, type: command, settings: { commands: ["$hier{wide.previous.w}"] } }
       |                                                           ^^^^^^^^^^^^^^^^^^^^^^

    agent.yaml:15:55: error[which_iteration]: `outer.a` stands in the loop `outer`; it is not said in which iteration
       |
    15 | …command, settings: { commands: ["$hier{outer.a}", "$hier{outer.*.a}", "$hier{outer.previous.a}", "$h…
       |                                   ^^^^^^^^^^^^^^
      = hint: write `outer.last.a`, `outer.iter_0.a`, or `outer.*.a` for the list of all

    agent.yaml:15:93: error[invalid_reference]: `outer.previous.a` asks for the iteration before, but stands outside the loop
       |
    15 | …{outer.a}", "$hier{outer.*.a}", "$hier{outer.previous.a}", "$hier{last.a}", "$hier{c.iter_0.a}", "$h…
       |                                   ^^^^^^^^^^^^^^^^^^^^^^^
      = hint: outside the loop write `outer.last`

    agent.yaml:15:120: error[invalid_reference]: in `last.a` `last` does not stand behind a loop
       |
    15 | …a}", "$hier{outer.previous.a}", "$hier{last.a}", "$hier{c.iter_0.a}", "$hier{outer.last}"] } }
       |                                   ^^^^^^^^^^^^^
      = hint: write the loop's id before it: `LOOP.last.STEP`

    agent.yaml:15:137: error[unknown_step]: `c.iter_0.a` names no step or component
       |
    15 | ….previous.a}", "$hier{last.a}", "$hier{c.iter_0.a}", "$hier{outer.last}"] } }
       |                                   ^^^^^^^^^^^^^^^^^
      = hint: only the name stands in the braces: `$hier{c.iter_0}.a`

    agent.yaml:15:158: error[invalid_reference]: `outer.last` names an iteration, which has no result of its own
       |
    15 | …{last.a}", "$hier{c.iter_0.a}", "$hier{outer.last}"] } }
       |                                   ^^^^^^^^^^^^^^^^^
      = hint: name a step in it, or the loop alone

    agent.yaml:21:65: error[unavailable_step]: `yes_step` is in the other branch, which is not executed
       |
    21 | …command, settings: { commands: ["$hier{yes_step}", "$hier{d.is_true.yes_step}"] } }
       |                                   ^^^^^^^^^^^^^^^
      = hint: it means `root.d.is_true.yes_step`

    agent.yaml:21:84: error[unavailable_step]: `d.is_true.yes_step` is in the other branch, which is not executed
       |
    21 | …{ commands: ["$hier{yes_step}", "$hier{d.is_true.yes_step}"] } }
       |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: it means `root.d.is_true.yes_step`

    agent.yaml:25:63: error[unavailable_step]: `left` runs at the same time, so its result may not be there
       |
    25 |       - { node: right, type: command, settings: { commands: ["$hier{left}"] } }
       |                                                               ^^^^^^^^^^^
      = hint: it means `root.group.left`

    agent.yaml:27:20: error[unavailable_step]: `again.last.z` is not known before the loop `again` has ended
       |
    27 |     until: "$expr{ $hier{again.last.z}.outcome && $hier{z}.outcome && $hier{later}.outcome }"
       |                    ^^^^^^^^^^^^^^^^^^^
      = hint: inside the loop write `again.previous`

    agent.yaml:27:71: error[unavailable_step]: `later` is executed later, so it has no result yet
       |
    27 |     until: "$expr{ $hier{again.last.z}.outcome && $hier{z}.outcome && $hier{later}.outcome }"
       |                                                                       ^^^^^^^^^^^^
      = hint: it means `root.later`

    agent.yaml:30:86: error[unknown_variable]: unknown variable `item`
       |
    30 | …ds: ["$hier{again.previous.z}", "$var{item}"] } }
       |                                   ^^^^^^^^^^
      = hint: declare it in `variables` of a component around it, or in `required`; if it may be left out, write a default: `$var{item:…}` or `item || …`; if it is meant as text, write `$$var{`
    "#);
}

#[test]
fn a_newer_format_is_refused_first() {
    let yaml = "
schema_version: 7
kind: flow
elemens: []
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:1:17: error[newer_schema_version]: the definition has the schema version 7, this program reads up to 1
      |
    1 | schema_version: 7
      |                 ^
      = hint: install a newer version of dhenara that reads schema version 7
    ");
}

#[test]
fn features_of_yaml_that_are_refused() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - &a { node: a, type: command, settings: { commands: [!t x] } }
  - *a
  - { <<: *a, node: b, node: c }
---
x: 1
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:4:5: error[yaml_anchor]: anchors (`&name`) are not supported
      |
    4 |   - &a { node: a, type: command, settings: { commands: [!t x] } }
      |     ^^^^^
      = hint: write the value out where it is needed, or use a variable

    agent.yaml:4:57: error[yaml_tag]: tags (`!name`) are not supported
      |
    4 |   - &a { node: a, type: command, settings: { commands: [!t x] } }
      |                                                         ^^^^
      = hint: a value's type is seen from how it is written; quote it to make it text

    agent.yaml:5:5: error[yaml_alias]: aliases (`*name`) are not supported
      |
    5 |   - *a
      |     ^^
      = hint: write the value out, or use a variable

    agent.yaml:6:7: error[yaml_merge]: merge keys (`<<`) are not supported
      |
    6 |   - { <<: *a, node: b, node: c }
      |       ^^
      = hint: write the keys out

    agent.yaml:6:11: error[yaml_alias]: aliases (`*name`) are not supported
      |
    6 |   - { <<: *a, node: b, node: c }
      |           ^^
      = hint: write the value out, or use a variable

    agent.yaml:6:15: error[missing_key]: the key `type` is missing
      |
    6 |   - { <<: *a, node: b, node: c }
      |               ^^^^
      = hint: name the type of the node, such as `type: command`

    agent.yaml:6:24: error[duplicate_key]: the key `node` occurs twice
      |
    6 |   - { <<: *a, node: b, node: c }
      |                        ^^^^
      = hint: keep one of the two

    agent.yaml:7:1: error[several_documents]: a definition is one document, here begins another
      |
    7 | ---
      | ^^^
      = hint: put it into a file of its own
    ");
}

#[test]
fn a_placeholder_without_quotes_in_a_list() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings:
      commands: [$expr{ x }]
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:7:23: error[yaml_syntax]: this is not YAML: while parsing a flow sequence, expected `,` or `]`
      |
    7 |       commands: [$expr{ x }]
      |                       ^
      = hint: put a text with a placeholder in quotes, or write it as a block after `|-`
    ");
}

#[test]
fn a_placeholder_without_quotes() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings:
      working_dir: $expr{ x ? y : z }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:7:33: error[yaml_syntax]: this is not YAML: mapping values are not allowed in this context
      |
    7 |       working_dir: $expr{ x ? y : z }
      |                                 ^
      = hint: put a text with a placeholder in quotes, or write it as a block after `|-`
    ");
}

#[test]
fn a_tab() {
    let yaml = "schema_version: 1\n\tkind: flow\n";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:1:17: error[yaml_syntax]: this is not YAML: while scanning a plain scalar, found a tab
      |
    1 | schema_version: 1
      |                 ^
      = hint: indent with spaces, not with tabs
    ");
}

#[test]
fn words_that_are_text_here() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings: { commands: [yes, ~, 0x1F, True] }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:6:28: warning[ambiguous_text]: `yes` is text here; only `true`, `false`, `null` and JSON numbers are not
      = hint: write `true` if that is meant, or put the text in quotes
    agent.yaml:6:33: warning[ambiguous_text]: `~` is text here; only `true`, `false`, `null` and JSON numbers are not
      = hint: write `null` if that is meant, or put the text in quotes
    agent.yaml:6:36: warning[ambiguous_text]: `0x1F` is text here; only `true`, `false`, `null` and JSON numbers are not
      = hint: write it as a JSON number if that is meant, or put the text in quotes
    agent.yaml:6:42: warning[ambiguous_text]: `True` is text here; only `true`, `false`, `null` and JSON numbers are not
      = hint: write `true` if that is meant, or put the text in quotes
    ");
}

#[test]
fn templates_are_located_inside_their_text() {
    let yaml = r#"
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings:
      commands:
        - "caf\u00e9 $expr{ 1 + }"
        - |-
          first
            second $expr{ oops
        - $var{tsak}
      working_dir: '$expr{ it''s }'
required: [task]
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:8:33: error[template_syntax]: unexpected `}`, a value was expected
      |
    8 |         - "caf\u00e9 $expr{ 1 + }"
      |                                 ^

    agent.yaml:11:20: error[template_syntax]: `$expr{` is never closed
       |
    11 |             second $expr{ oops
       |                    ^^^^^^
      = hint: for this text itself write `$$expr{`

    agent.yaml:12:11: error[unknown_variable]: unknown variable `tsak`
       |
    12 |         - $var{tsak}
       |           ^^^^^^^^^^
      = hint: did you mean `task`?

    agent.yaml:13:28: error[template_syntax]: `it` before a string means nothing
       |
    13 |       working_dir: '$expr{ it''s }'
       |                            ^^
    "#);
}

#[test]
fn names_of_variables() {
    let yaml = "
schema_version: 1
kind: flow
required: [task, run_id, task, 9x]
variables:
  task: 1
  element_id: 2
  in: 3
  b-c: 3
elements: []
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:3:12: error[duplicate_variable]: the variable `task` is required and has a value as well
      |
    3 | required: [task, run_id, task, 9x]
      |            ^^^^
      = hint: leave it out of `required` to make its value a default

    agent.yaml:3:18: error[reserved_variable]: `run_id` is a variable of every run and cannot be defined again
      |
    3 | required: [task, run_id, task, 9x]
      |                  ^^^^^^
      = hint: choose another name

    agent.yaml:3:26: error[duplicate_variable]: the variable `task` is required twice
      |
    3 | required: [task, run_id, task, 9x]
      |                          ^^^^

    agent.yaml:3:32: error[invalid_name]: `9x` is not the name of a variable; it is made of letters of any script, digits and `_` and does not begin with a digit
      |
    3 | required: [task, run_id, task, 9x]
      |                                ^^

    agent.yaml:6:3: error[reserved_variable]: `element_id` is a variable of every run and cannot be defined again
      |
    6 |   element_id: 2
      |   ^^^^^^^^^^
      = hint: choose another name

    agent.yaml:7:3: error[invalid_name]: `in` is a word of the template language
      |
    7 |   in: 3
      |   ^^

    agent.yaml:8:3: error[invalid_name]: `b-c` is not the name of a variable; it is made of letters of any script, digits and `_` and does not begin with a digit
      |
    8 |   b-c: 3
      |   ^^^
    ");
}

#[test]
fn variables_see_those_before_them() {
    let yaml = "
schema_version: 1
kind: flow
variables:
  a: $expr{b}
  b: $expr{b}
  c: $expr{a}
  d: $hier{n}
elements:
  - { node: n, type: command, settings: { commands: [] } }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:4:12: error[unknown_variable]: unknown variable `b`
      |
    4 |   a: $expr{b}
      |            ^
      = hint: it is defined here, but a variable sees only those written before it

    agent.yaml:5:12: error[unknown_variable]: unknown variable `b`
      |
    5 |   b: $expr{b}
      |            ^
      = hint: it is defined here, but a variable sees only those written before it

    agent.yaml:7:6: error[unavailable_step]: `n` is executed later, so it has no result yet
      |
    7 |   d: $hier{n}
      |      ^^^^^^^^
      = hint: it means `root.n`
    ");
}

#[test]
fn steps_that_have_no_result_here() {
    let yaml = r#"
schema_version: 1
kind: flow
output: '$expr{ $hier{root}.x }'
elements:
  - subflow: one
    elements:
      - node: a
        type: command
        settings:
          commands: ["$expr{ $hier{a}.outcome }", "$hier{b}", "$hier{one}", "$hier{bb}", "$hier{loop.last.x}", "$hier{a b}", "$hier{z.outcome}", "$hier{same}"]
  - { node: b, type: command, settings: { commands: ["$hier{one.a.outcome.text}", "$hier{one.a}", "$hier{a}", "$hier{one}"] } }
  - { node: z, type: command, settings: { commands: [] } }
  - { subflow: p, elements: [{ node: same, type: command, settings: { commands: [] } }] }
  - { subflow: q, elements: [{ node: same, type: command, settings: { commands: [] } }] }
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:3:17: error[unavailable_step]: `root` is the run itself, whose result is made of this
      |
    3 | output: '$expr{ $hier{root}.x }'
      |                 ^^^^^^^^^^^

    agent.yaml:10:30: error[unavailable_step]: `a` refers to itself
       |
    10 |           commands: ["$expr{ $hier{a}.outcome }", "$hier{b}", "$hier{one}", "$hier{bb}", "$hier{loop…
       |                              ^^^^^^^^
      = hint: it means `root.one.a`

    agent.yaml:10:52: error[unavailable_step]: `b` is executed later, so it has no result yet
       |
    10 | …: ["$expr{ $hier{a}.outcome }", "$hier{b}", "$hier{one}", "$hier{bb}", "$hier{loop.last.x}", "$hier{…
       |                                   ^^^^^^^^
      = hint: it means `root.b`

    agent.yaml:10:64: error[unavailable_step]: `one` contains this place, so it has no result yet
       |
    10 | …hier{a}.outcome }", "$hier{b}", "$hier{one}", "$hier{bb}", "$hier{loop.last.x}", "$hier{a b}", "$hie…
       |                                   ^^^^^^^^^^
      = hint: it means `root.one`

    agent.yaml:10:78: error[unknown_step]: `bb` names no step or component
       |
    10 | …e }", "$hier{b}", "$hier{one}", "$hier{bb}", "$hier{loop.last.x}", "$hier{a b}", "$hier{z.outcome}",…
       |                                   ^^^^^^^^^
      = hint: did you mean `root.b`?

    agent.yaml:10:91: error[unknown_step]: `loop.last.x` names no step or component
       |
    10 | …b}", "$hier{one}", "$hier{bb}", "$hier{loop.last.x}", "$hier{a b}", "$hier{z.outcome}", "$hier{same}…
       |                                   ^^^^^^^^^^^^^^^^^^
      = hint: there are root, root.one, root.one.a, root.b, root.z, root.p, root.p.same, root.q, root.q.same

    agent.yaml:10:119: error[template_syntax]: `a b` is not the name of a step
       |
    10 | …}", "$hier{loop.last.x}", "$hier{a b}", "$hier{z.outcome}", "$hier{same}"]
       |                                   ^^^
      = hint: names of components joined by dots, such as `main_flow.build`; what is read of the result comes after the brace

    agent.yaml:10:127: error[unknown_step]: `z.outcome` names no step or component
       |
    10 | …er{loop.last.x}", "$hier{a b}", "$hier{z.outcome}", "$hier{same}"]
       |                                   ^^^^^^^^^^^^^^^^
      = hint: only the name stands in the braces: `$hier{z}.outcome`

    agent.yaml:10:147: error[ambiguous_step]: `same` is ambiguous
       |
    10 | …hier{a b}", "$hier{z.outcome}", "$hier{same}"]
       |                                   ^^^^^^^^^^^
      = hint: it may mean root.p.same, root.q.same

    agent.yaml:11:55: error[unknown_step]: `one.a.outcome.text` names no step or component
       |
    11 | …command, settings: { commands: ["$hier{one.a.outcome.text}", "$hier{one.a}", "$hier{a}", "$hier{one}…
       |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: only the name stands in the braces: `$hier{one.a}.outcome.text`
    "#);
}

#[test]
fn unknown_node_types() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - { node: a, type: comand, settings: { x: '$var{y}' } }
  - { node: b, type: zebra }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:4:22: error[unknown_node_type]: unknown node type `comand`
      |
    4 |   - { node: a, type: comand, settings: { x: '$var{y}' } }
      |                      ^^^^^^
      = hint: did you mean `command`?

    agent.yaml:5:22: error[unknown_node_type]: unknown node type `zebra`
      |
    5 |   - { node: b, type: zebra }
      |                      ^^^^^
      = hint: the types are ai_model_call, command, file_operation, folder_analyzer
    ");
}

#[test]
fn settings_against_their_schema() {
    let yaml = r#"
schema_version: 1
kind: flow
elements:
  - node: a
    type: folder_analyzer
    settings:
      operations:
        - { operation_type: analyse_folder, path: {} }
        - { path: [a, {}], max_depth: "x$var{run_id}" }
        - { operation_type: "$var{run_id}", max_depth: "$var{run_id}", content_read_mode: "a$var{run_id}" }
        - { operation_type: find_files, max_depth: -1, content_read_mode: ful }
        - { operation_type: find_files, max_depth: 1.0, depth: 3 }
        - "$expr{ run_id }"
        - "x $expr{ run_id }"
"#;
    assert_snapshot!(reported(yaml), @r#"
    agent.yaml:8:29: error[wrong_value]: expected one of `analyze_folder`, `find_files`, `analyze_file`, found the text `analyse_folder`
      |
    8 |         - { operation_type: analyse_folder, path: {} }
      |                             ^^^^^^^^^^^^^^
      = hint: did you mean `analyze_folder`?

    agent.yaml:8:51: error[wrong_type]: expected a text or a list, found a mapping
      |
    8 |         - { operation_type: analyse_folder, path: {} }
      |                                                   ^^^

    agent.yaml:9:11: error[missing_key]: the key `operation_type` is missing
      |
    9 |         - { path: [a, {}], max_depth: "x$var{run_id}" }
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    agent.yaml:9:23: error[wrong_type]: expected a text, found a mapping
      |
    9 |         - { path: [a, {}], max_depth: "x$var{run_id}" }
      |                       ^^

    agent.yaml:9:39: error[wrong_type]: expected a whole number, found a text with placeholders
      |
    9 |         - { path: [a, {}], max_depth: "x$var{run_id}" }
      |                                       ^^^^^^^^^^^^^^^^
      = hint: a text that is exactly one placeholder keeps the type of its value

    agent.yaml:11:52: error[wrong_value]: expected at least 0, found `-1`
       |
    11 |         - { operation_type: find_files, max_depth: -1, content_read_mode: ful }
       |                                                    ^^

    agent.yaml:11:75: error[wrong_value]: expected one of `none`, `full`, `structure`, found the text `ful`
       |
    11 |         - { operation_type: find_files, max_depth: -1, content_read_mode: ful }
       |                                                                           ^^^
      = hint: did you mean `full`?

    agent.yaml:12:52: error[wrong_type]: expected a whole number, found `1.0`
       |
    12 |         - { operation_type: find_files, max_depth: 1.0, depth: 3 }
       |                                                    ^^^

    agent.yaml:12:57: error[unknown_key]: unknown key `depth`
       |
    12 |         - { operation_type: find_files, max_depth: 1.0, depth: 3 }
       |                                                         ^^^^^
      = hint: the keys here are operation_type, path, max_depth, content_read_mode

    agent.yaml:14:11: error[wrong_type]: expected a mapping, found a text with placeholders
       |
    14 |         - "x $expr{ run_id }"
       |           ^^^^^^^^^^^^^^^^^^^
      = hint: a text that is exactly one placeholder keeps the type of its value
    "#);
}

#[test]
fn settings_of_tagged_and_free_forms() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings: { commands: ls, env_vars: { A: [] }, timeout: [] }
  - node: b
    type: file_operation
    settings:
      operations:
        - { type: create_flie, path: x }
        - { type: delete_file, path: x, content: y }
        - { path: x }
        - { type: create_file, path: x }
  - { node: c, type: ai_model_call, settings: { models: [m], prompt: { txt: x }, model_call_config: { streaming: true, max_tokens: 3 }, sleep_before: -1, sleep_after: 2, record_settings: { a: 1 } } }
  - { node: d, type: ai_model_call, settings: { models: [m], prompt: { text: '$var{x} $var{y}', variables: { x: { default: 1 } } }, record_settings: { outcome: { file_format: text } } } }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:6:27: error[wrong_type]: expected a list, found the text `ls`
      |
    6 |     settings: { commands: ls, env_vars: { A: [] }, timeout: [] }
      |                           ^^

    agent.yaml:6:46: error[wrong_type]: expected a text, found a list
      |
    6 |     settings: { commands: ls, env_vars: { A: [] }, timeout: [] }
      |                                              ^^^

    agent.yaml:6:61: error[wrong_type]: expected a number, found a list
      |
    6 |     settings: { commands: ls, env_vars: { A: [] }, timeout: [] }
      |                                                             ^^^

    agent.yaml:11:19: error[wrong_value]: expected one of `create_file`, `delete_file`, found the text `create_flie`
       |
    11 |         - { type: create_flie, path: x }
       |                   ^^^^^^^^^^^
      = hint: did you mean `create_file`?

    agent.yaml:12:41: error[unknown_key]: unknown key `content`
       |
    12 |         - { type: delete_file, path: x, content: y }
       |                                         ^^^^^^^
      = hint: the keys here are type, path

    agent.yaml:13:11: error[missing_key]: the key `type` is missing
       |
    13 |         - { path: x }
       |           ^^^^^^^^^^^
      = hint: it is one of create_file, delete_file

    agent.yaml:14:11: error[missing_key]: the key `content` is missing
       |
    14 |         - { type: create_file, path: x }
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    agent.yaml:15:70: error[missing_key]: the key `text` is missing
       |
    15 | …settings: { models: [m], prompt: { txt: x }, model_call_config: { streaming: true, max_tokens: 3 },…
       |                                   ^^^^^^^^^^

    agent.yaml:15:72: error[unknown_key]: unknown key `txt`
       |
    15 | …ttings: { models: [m], prompt: { txt: x }, model_call_config: { streaming: true, max_tokens: 3 }, sl…
       |                                   ^^^
      = hint: did you mean `text`?

    agent.yaml:15:103: error[unsupported_setting]: `model_call_config.streaming` is not supported: answers are always streamed to disk
       |
    15 | …{ txt: x }, model_call_config: { streaming: true, max_tokens: 3 }, sleep_before: -1, sleep_after: 2,…
       |                                   ^^^^^^^^^

    agent.yaml:15:120: error[unknown_key]: unknown key `max_tokens`
       |
    15 | …_call_config: { streaming: true, max_tokens: 3 }, sleep_before: -1, sleep_after: 2, record_settings:…
       |                                   ^^^^^^^^^^
      = hint: did you mean `max_output_tokens`?

    agent.yaml:15:151: error[wrong_value]: expected at least 0, found `-1`
       |
    15 | …, max_tokens: 3 }, sleep_before: -1, sleep_after: 2, record_settings: { a: 1 } } }
       |                                   ^^

    agent.yaml:15:171: error[unsupported_setting]: `record_settings` may only be `{ outcome: { file_format: text } }`: all runs have one layout, so that every tool can read them
       |
    15 | …leep_before: -1, sleep_after: 2, record_settings: { a: 1 } } }
       |                                   ^^^^^^^^^^^^^^^

    agent.yaml:16:87: error[unknown_variable]: unknown variable `y`
       |
    16 | …s: [m], prompt: { text: '$var{x} $var{y}', variables: { x: { default: 1 } } }, record_settings: { ou…
       |                                   ^^^^^^^
      = hint: declare it in `variables` of a component around it, or in `required`; if it may be left out, write a default: `$var{y:…}` or `y || …`; if it is meant as text, write `$$var{`
    ");
}

#[test]
fn an_empty_file() {
    let yaml = "
# nothing
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml: error[empty]: there is no definition in this file
      = hint: a definition begins with `schema_version: 1`, `kind: agent` or `kind: flow`, and `elements`
    ");
}

#[test]
fn not_a_mapping() {
    let yaml = "
- a
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:1:1: error[wrong_type]: expected a mapping with `kind` and `elements`, found a list
      |
    1 | - a
      | ^^^
    ");
}

#[test]
fn options_of_elements() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings: { commands: [] }
    timeout: 0
    retry: { max_attempts: 0, initial_delay: 5m, max_delay: 3 }
    pre_events: [a-b]
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:7:14: error[wrong_value]: a timeout must be longer than nothing
      |
    7 |     timeout: 0
      |              ^

    agent.yaml:8:28: error[wrong_value]: there must be at least one attempt
      |
    8 |     retry: { max_attempts: 0, initial_delay: 5m, max_delay: 3 }
      |                            ^

    agent.yaml:8:46: error[wrong_value]: the first pause is longer than the longest
      |
    8 |     retry: { max_attempts: 0, initial_delay: 5m, max_delay: 3 }
      |                                              ^^

    agent.yaml:9:18: error[invalid_name]: `a-b` is not the name of an event; it is made of letters, digits and `_`
      |
    9 |     pre_events: [a-b]
      |                  ^^^
    ");
}

#[test]
fn numbers_that_would_lose_digits() {
    let yaml = "
schema_version: 1
kind: flow
elements:
  - node: a
    type: command
    settings: { commands: [18446744073709551616, 1e999] }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:6:28: error[number_range]: the number `18446744073709551616` has more than 64 bits
      |
    6 |     settings: { commands: [18446744073709551616, 1e999] }
      |                            ^^^^^^^^^^^^^^^^^^^^
      = hint: write it as text, in quotes

    agent.yaml:6:50: error[number_range]: the number `1e999` is out of range
      |
    6 |     settings: { commands: [18446744073709551616, 1e999] }
      |                                                  ^^^^^
      = hint: write it as text, in quotes
    ");
}

#[test]
fn a_step_that_is_read_as_a_variable() {
    let yaml = "
schema_version: 1
kind: flow
output: $expr{asks.outcome.text}
elements:
  - { node: asks, type: command, settings: { commands: [[ls]] } }
  - { node: shows, type: command, settings: { commands: ['echo $var{asks}', 'echo $expr{shows.outcome}'] } }
";
    assert_snapshot!(reported(yaml), @"
    agent.yaml:3:15: error[unknown_variable]: unknown variable `asks`
      |
    3 | output: $expr{asks.outcome.text}
      |               ^^^^
      = hint: it is the name of a step, whose result is `$hier{asks}`, such as `$hier{asks}.outcome`

    agent.yaml:6:64: error[unknown_variable]: unknown variable `asks`
      |
    6 | …nd, settings: { commands: ['echo $var{asks}', 'echo $expr{shows.outcome}'] } }
      |                                   ^^^^^^^^^^
      = hint: it is the name of a step, whose result is `$hier{asks}`, such as `$hier{asks}.outcome`

    agent.yaml:6:89: error[unknown_variable]: unknown variable `shows`
      |
    6 | … ['echo $var{asks}', 'echo $expr{shows.outcome}'] } }
      |                                   ^^^^^
      = hint: declare it in `variables` of a component around it, or in `required`; if it may be left out, write a default: `$var{shows:…}` or `shows || …`
    ");
}
