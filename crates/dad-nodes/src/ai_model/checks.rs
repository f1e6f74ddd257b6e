//! What is wrong with settings as they are written. What a template stands in is known only when it is rendered.

use std::collections::HashSet;
use std::time::Duration;

use dad_definition::SettingsProblem;
use serde_json::Value;

use crate::ai_model::answer::StructuredSchema;
use crate::written;

/// How much a model may think, in words.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Settings that are numbers of seconds.
const SECONDS: &[&str] = &["timeout", "retry_delay", "max_retry_delay"];

pub(super) fn problems(unrendered: &Value) -> Vec<SettingsProblem> {
    let Some(config) = unrendered.get("model_call_config") else {
        return Vec::new();
    };
    let tools = config
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let of_tools = tools
        .iter()
        .enumerate()
        .flat_map(|(index, tool)| tool_problem(index, tool));
    of_tools
        .chain(generated_code(tools))
        .chain(same_names(tools))
        .chain(wrong_choice(config, tools))
        .chain(SECONDS.iter().filter_map(|name| wrong_seconds(config, name)))
        .chain(wrong_effort(config))
        .chain(wrong_schema(config))
        .collect()
}

fn problem(place: &str, code: &'static str, message: impl Into<String>) -> SettingsProblem {
    SettingsProblem {
        place: format!("model_call_config.{place}"),
        code,
        message: message.into(),
        hint: None,
    }
}

/// Whether no template stands in a value. A few others count as if one did.
fn is_fixed(value: &Value) -> bool {
    match value {
        Value::String(text) => !(text.contains('$') && text.contains('{')),
        Value::Array(items) => items.iter().all(is_fixed),
        Value::Object(fields) => fields.values().all(is_fixed),
        _ => true,
    }
}

fn tool_problem(index: usize, tool: &Value) -> Option<SettingsProblem> {
    let fields = tool.as_object()?;
    let kinds = ["callback", "node", "command"];
    let count = kinds.iter().filter(|kind| fields.contains_key(**kind)).count();
    let parameters = fields.get("parameters").filter(|parameters| is_fixed(parameters));
    let command = fields.get("command").and_then(Value::as_array);
    let message = if count != 1 {
        "a tool is exactly one of `callback`, `node` and `command`".to_owned()
    } else if command.is_some_and(Vec::is_empty) {
        "a command begins with a program; the list is empty".to_owned()
    } else if command.is_some() && !fields.contains_key("parameters") {
        "a command needs `parameters`, the JSON Schema of what the model gives".to_owned()
    } else {
        let error = jsonschema::validator_for(parameters?).err()?;
        format!("`parameters` is no JSON Schema: {error}")
    };
    Some(problem(&format!("tools[{index}]"), "wrong_tool", message))
}

/// Tools whose shell would read a value as code, and permissions that a value would give.
fn generated_code(tools: &[Value]) -> Vec<SettingsProblem> {
    let found = tools.iter().enumerate().filter_map(|(index, tool)| {
        let allowed = tool.get("allow_generated").unwrap_or(&Value::Bool(false));
        if !allowed.is_boolean() {
            let message = format!("`allow_generated` is `{allowed}`; only the definition can give it");
            return Some((index, message, "write `true` or `false`"));
        }
        let words = tool.get("command")?.as_array()?;
        let text = written::generated_among(words).filter(|_| *allowed == Value::Bool(false))?;
        let message = format!("`{text}` would let a shell read a value as code");
        Some((
            index,
            message,
            "say `allow_generated: true`, or give the value as an argument",
        ))
    });
    found
        .map(|(index, message, hint)| SettingsProblem {
            hint: Some(hint.to_owned()),
            ..problem(&format!("tools[{index}]"), "generated_command", message)
        })
        .collect()
}

fn name_of(tool: &Value) -> Option<&str> {
    tool.as_str().or_else(|| tool.get("name")?.as_str())
}

fn same_names(tools: &[Value]) -> Vec<SettingsProblem> {
    let mut known = HashSet::new();
    let again = tools.iter().enumerate().filter_map(|(index, tool)| {
        let name = name_of(tool)?;
        (!known.insert(name)).then(|| {
            let message =
                format!("there is a tool `{name}` already, and a model tells them apart by their names");
            problem(&format!("tools[{index}]"), "wrong_tool", message)
        })
    });
    again.collect()
}

fn wrong_choice(config: &Value, tools: &[Value]) -> Option<SettingsProblem> {
    let name = config.pointer("/tool_choice/name")?;
    let names: Vec<&str> = tools.iter().filter_map(name_of).collect();
    let are_known = is_fixed(name) && names.iter().all(|name| !name.contains('$'));
    let name = name.as_str().filter(|name| are_known && !names.contains(name))?;
    let near = dad_core::nearest(name, names.iter().copied());
    Some(SettingsProblem {
        hint: near.map(|near| format!("did you mean `{near}`?")),
        ..problem("tool_choice", "wrong_tool", format!("there is no tool `{name}`"))
    })
}

fn wrong_seconds(config: &Value, name: &str) -> Option<SettingsProblem> {
    let seconds = config.get(name)?.as_f64()?;
    let wrong = Duration::try_from_secs_f64(seconds).is_err();
    wrong.then(|| {
        let message = format!("`{name}` is {seconds}; it must be a number of seconds, 0 or more");
        problem(name, "wrong_setting", message)
    })
}

fn wrong_effort(config: &Value) -> Option<SettingsProblem> {
    let effort = config
        .get("reasoning_effort")
        .filter(|effort| is_fixed(effort))?
        .as_str()?;
    (!EFFORTS.contains(&effort)).then(|| {
        let near = dad_core::nearest(effort, EFFORTS.iter().copied());
        let known = EFFORTS.join(", ");
        SettingsProblem {
            hint: near.map(|near| format!("did you mean `{near}`?")),
            ..problem(
                "reasoning_effort",
                "wrong_setting",
                format!("`{effort}` is not known; there are {known}"),
            )
        }
    })
}

fn wrong_schema(config: &Value) -> Option<SettingsProblem> {
    let output = config.get("structured_output")?;
    let schema = ["schema", "output_schema"]
        .iter()
        .find_map(|name| output.get(name))?;
    let error = StructuredSchema::new(schema, 0)
        .err()
        .filter(|_| is_fixed(schema))?;
    Some(problem("structured_output", "wrong_schema", error.info.message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(config: &Value, expected: &[(&str, &str)]) {
        let found = problems(&json!({ "model_call_config": config }));
        let told: Vec<String> = found
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.message))
            .collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, (place, message)) in told.iter().zip(expected) {
            assert!(
                told.starts_with(&format!("model_call_config.{place}: ")) && told.contains(message),
                "{told}"
            );
        }
    }

    #[test]
    fn a_tool_is_one_thing_that_can_be_called() {
        let command = |name: &str| json!({ "name": name, "command": ["ls"], "parameters": {} });
        let tools = json!([
            "name",
            { "name": "a", "callback": "b" },
            { "name": "b", "callback": "b", "node": "c" },
            { "name": "c" },
            { "name": "d", "command": ["ls"] },
            { "name": "e", "command": [], "parameters": {} },
            { "name": "f", "command": ["ls"], "parameters": { "type": 5 } },
            { "name": "g", "command": ["ls"], "parameters": { "type": "$var{kind}" } },
            command("name"),
            { "name": "h", "command": ["sh", "-c", "cat $var{file}"], "parameters": {} },
            { "name": "i", "command": ["sh", "-c", "{text}"], "parameters": {}, "allow_generated": "$var{yes}" },
            { "name": "j", "command": ["sh", "-c", "cat \"$1\"", "sh", "$var{file}"], "parameters": {} },
            { "name": "k", "command": ["sh", "-c", "cat $var{file}"], "parameters": {}, "allow_generated": true },
        ]);
        check(
            &json!({ "tools": tools, "tool_choice": { "name": "nam" } }),
            &[
                ("tools[2]", "exactly one"),
                ("tools[3]", "exactly one"),
                ("tools[4]", "needs `parameters`"),
                ("tools[5]", "the list is empty"),
                ("tools[6]", "no JSON Schema"),
                ("tools[9]", "would let a shell read a value as code"),
                ("tools[10]", "only the definition can give it"),
                ("tools[8]", "there is a tool `name` already"),
                ("tool_choice", "there is no tool `nam`"),
            ],
        );
        check(
            &json!({ "tools": [command("$var{x}")], "tool_choice": { "name": "y" } }),
            &[],
        );
    }

    #[test]
    fn numbers_and_words_are_those_there_are() {
        check(
            &json!({ "timeout": -1, "retry_delay": -0.5, "max_retry_delay": 0, "reasoning_effort": "hihg" }),
            &[
                ("timeout", "`timeout` is -1"),
                ("retry_delay", "0 or more"),
                ("reasoning_effort", "`hihg` is not known"),
            ],
        );
        check(
            &json!({ "timeout": "$var{t}", "reasoning_effort": "$var{effort}" }),
            &[],
        );
        let output = |schema: Value| json!({ "structured_output": { "schema": schema } });
        check(
            &output(json!({ "type": "objekt" })),
            &[("structured_output", "is wrong")],
        );
        check(
            &output("builtin:poems".into()),
            &[("structured_output", "builtin:poems")],
        );
        check(&output("$var{schema}".into()), &[]);
        check(&output(json!({ "type": "object" })), &[]);
    }
}
