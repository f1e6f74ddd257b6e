//! Problems of settings as they are written. The value of a template is known only when it is rendered.

use std::collections::HashSet;
use std::time::Duration;

use dad_definition::SettingsProblem;
use dad_models::{
    CallOptions, Role,
    internal::{ANSWER_TOOL, MAX_CACHE_MARKS},
};
use serde_json::Value;

use crate::ai_model::answer::StructuredSchema;
use crate::ai_model::parameters::{self, Declared};
use crate::ai_model::settings::{
    AIModelCallConfig, AIModelNodeSettings, Prompt, SystemInstruction, Tool, ToolChoice,
};
use crate::serde_forms::OneOrMany;
use crate::written;

/// The efforts of thinking.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Problems of the settings themselves.
pub(super) fn problems(settings: &AIModelNodeSettings) -> Vec<SettingsProblem> {
    let of_config = settings.model_call_config.iter().flat_map(problems_of_config);
    of_config
        .chain(nothing_asked(settings))
        .chain(too_many_marks(settings))
        .collect()
}

/// A conversation in which the model is asked nothing: no provider takes one without a user's message, nor a blank message.
fn nothing_asked(settings: &AIModelNodeSettings) -> Option<SettingsProblem> {
    let prompt = settings.prompt.as_ref()?;
    let (message, hint) = if is_blank(prompt) {
        (
            "the prompt is blank",
            "write what the model is asked, or name `files`",
        )
    } else if !settings.context_sources.is_empty() || settings.prompts().any(is_asked) {
        return None;
    } else {
        (
            "no message of the conversation is a user's: the model is asked nothing",
            "leave out the `role` of the prompt; instructions belong to `system_instructions`",
        )
    };
    Some(SettingsProblem::new("prompt".to_owned(), "wrong_setting", message.to_owned()).hint(hint.to_owned()))
}

fn is_asked(prompt: &Prompt) -> bool {
    prompt.message().role == Role::User && !is_blank(prompt)
}

fn is_blank(prompt: &Prompt) -> bool {
    prompt.message().text.trim().is_empty() && prompt.files().is_empty()
}

fn problems_of_config(config: &AIModelCallConfig) -> Vec<SettingsProblem> {
    let tools = config.tools.iter().enumerate();
    let seconds = [
        ("timeout", config.timeout),
        ("retry_delay", config.retry_delay),
        ("max_retry_delay", config.max_retry_delay),
    ];
    tools
        .flat_map(|(index, tool)| [tool_problem(index, tool), wrong_fixed(index, tool)])
        .flatten()
        .chain(wrong_names(&config.tools))
        .chain(same_names(&config.tools))
        .chain(reserved_name(config))
        .chain(wrong_choice(config))
        .chain(
            seconds
                .into_iter()
                .filter_map(|(name, seconds)| wrong_seconds(name, seconds?)),
        )
        .chain(wrong_effort(config))
        .collect()
}

/// Problems that only the texts of a definition show, and those of schemas, which a step would compile again.
pub(super) fn problems_of_text(unrendered: &Value) -> Vec<SettingsProblem> {
    let Some(config) = unrendered.get("model_call_config") else {
        return Vec::new();
    };
    let tools = config.get("tools").and_then(Value::as_array);
    let tools = tools.into_iter().flatten().enumerate();
    tools
        .flat_map(|(index, tool)| {
            wrong_parameters(index, tool)
                .into_iter()
                .chain(generated_code(index, tool))
                .chain(misplaced_parameters(index, tool))
        })
        .chain(wrong_schema(config))
        .chain(wrong_options(config))
        .collect()
}

fn problem(place: &str, code: &'static str, message: impl Into<String>) -> SettingsProblem {
    SettingsProblem::new(format!("model_call_config.{place}"), code, message.into())
}

/// Whether no template stands in a value. A few others count as if one did.
pub(super) fn is_fixed(value: &Value) -> bool {
    match value {
        Value::String(text) => is_fixed_text(text),
        Value::Array(items) => items.iter().all(is_fixed),
        Value::Object(fields) => fields.values().all(is_fixed),
        _ => true,
    }
}

fn is_fixed_text(text: &str) -> bool {
    !(text.contains('$') && text.contains('{'))
}

fn tool_problem(index: usize, tool: &Tool) -> Option<SettingsProblem> {
    let Tool::Settings(tool) = tool else { return None };
    let kinds = [
        tool.callback.is_some(),
        tool.node.is_some(),
        tool.command.is_some(),
    ];
    let message = if kinds.into_iter().filter(|is_there| *is_there).count() != 1 {
        "a tool is exactly one of `callback`, `node` and `command`"
    } else if tool.command.as_ref().is_some_and(Vec::is_empty) {
        "a command begins with a program; the list is empty"
    } else if tool.command.is_some() && tool.parameters.is_none() {
        "a command needs `parameters`, the JSON Schema of what the model gives"
    } else {
        return None;
    };
    Some(problem(&format!("tools[{index}]"), "wrong_tool", message))
}

/// The problem of a tool's fixed settings that its type cannot refuse.
fn wrong_fixed(index: usize, tool: &Tool) -> Option<SettingsProblem> {
    let Tool::Settings(tool) = tool else { return None };
    let has = |name: &str| tool.settings.contains_key(name);
    let parameters = tool
        .parameters
        .as_ref()
        .and_then(|schema| schema.get("properties")?.as_object());
    let given_twice = parameters.and_then(|given| given.keys().find(|name| tool.node.is_some() && has(name)));
    let (place, message) = if tool.callback.is_some() && !tool.settings.is_empty() {
        (
            "settings",
            "`settings` belong to a `node` or `command`; a callback is given its arguments by the model"
                .to_owned(),
        )
    } else if tool.command.is_some() && has("commands") {
        (
            "settings.commands",
            "`commands` are what `command` of the tool says".to_owned(),
        )
    } else if has("allow_generated") {
        (
            "settings.allow_generated",
            "`allow_generated` stands beside `settings`, not in them".to_owned(),
        )
    } else {
        (
            "parameters",
            format!(
                "the model gives `{}` by `parameters`, and `settings` fix it",
                given_twice?
            ),
        )
    };
    Some(problem(&format!("tools[{index}].{place}"), "wrong_tool", message))
}

fn wrong_parameters(index: usize, tool: &Value) -> Option<SettingsProblem> {
    let parameters = tool.get("parameters").filter(|parameters| is_fixed(parameters))?;
    let error = jsonschema::validator_for(parameters).err()?;
    let message = format!("`parameters` is no JSON Schema: {error}");
    Some(problem(&format!("tools[{index}]"), "wrong_tool", message))
}

/// Names in the command of a tool that would reach the program as they are written.
fn misplaced_parameters(index: usize, tool: &Value) -> Vec<SettingsProblem> {
    let Some(schema) = tool.get("parameters").filter(|schema| is_fixed(schema)) else {
        return Vec::new();
    };
    let declared = Declared::of(schema);
    let words = tool.get("command").and_then(Value::as_array);
    let words = words.into_iter().flatten().enumerate();
    let misplaced = words.filter_map(|(at, word)| {
        let misplaced = parameters::fault(&declared, word.as_str()?)?;
        Some(
            problem(
                &format!("tools[{index}].command[{at}]"),
                "wrong_tool",
                misplaced.message,
            )
            .hint(misplaced.hint),
        )
    });
    misplaced.collect()
}

fn wrong_options(config: &Value) -> Option<SettingsProblem> {
    let options = config.get("options").filter(|options| is_fixed(options))?;
    let reason = CallOptions::read(options.as_object()?).err()?;
    Some(problem("options", "wrong_setting", reason))
}

/// A tool whose shell would read a value as code, or a permission that a value would give.
fn generated_code(index: usize, tool: &Value) -> Option<SettingsProblem> {
    let allowed = tool.get("allow_generated").unwrap_or(&Value::Bool(false));
    let (message, hint) = match allowed {
        Value::Bool(true) => return None,
        Value::Bool(false) => {
            let text = written::generated_among(tool.get("command")?.as_array()?)?;
            (
                format!("`{text}` would let a shell read a value as code"),
                "say `allow_generated: true`, or give the value as an argument",
            )
        }
        allowed => (
            format!("`allow_generated` is `{allowed}`; only the definition can give it"),
            "write `true` or `false`",
        ),
    };
    Some(problem(&format!("tools[{index}]"), "generated_command", message).hint(hint.to_owned()))
}

fn name_of(tool: &Tool) -> &str {
    match tool {
        Tool::Name(name) => name,
        Tool::Settings(settings) => &settings.name,
    }
}

/// Names that providers refuse. Google alone takes dots, and the next model may be of another provider.
fn wrong_names(tools: &[Tool]) -> Vec<SettingsProblem> {
    const LONGEST: usize = 64;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let names = tools.iter().map(name_of).enumerate();
    let wrong = names.filter(|(_, name)| {
        is_fixed_text(name) && (name.is_empty() || name.len() > LONGEST || !name.chars().all(is_plain))
    });
    let wrong = wrong.map(|(index, name)| {
        let message = format!(
            "providers take no tool of the name `{name}`: a name has letters from `a` to `z`, digits, `_` and `-`, and \
             {LONGEST} of them at most"
        );
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).take(LONGEST).collect();
        let renamed = match &tools[index] {
            Tool::Name(name) => format!("`{{ name: {plain}, callback: {name} }}`"),
            Tool::Settings(_) => format!("`name: {plain}`"),
        };
        problem(&format!("tools[{index}]"), "wrong_tool", message).hint((!plain.is_empty()).then(|| format!("give it another name, such as {renamed}")))
    });
    wrong.collect()
}

fn same_names(tools: &[Tool]) -> Vec<SettingsProblem> {
    let mut known = HashSet::new();
    let again = tools.iter().map(name_of).enumerate();
    let again = again.filter(|(_, name)| !known.insert(*name));
    let again = again.map(|(index, name)| {
        let message =
            format!("there is a tool `{name}` already, and a model tells them apart by their names");
        problem(&format!("tools[{index}]"), "wrong_tool", message)
    });
    again.collect()
}

/// A tool with the name of that through which a structured answer may be given.
fn reserved_name(config: &AIModelCallConfig) -> Option<SettingsProblem> {
    config.structured_output.as_ref()?;
    let index = config
        .tools
        .iter()
        .position(|tool| name_of(tool) == ANSWER_TOOL)?;
    let message = format!(
        "`{ANSWER_TOOL}` is the tool through which a model gives a structured answer; name this one otherwise"
    );
    Some(problem(&format!("tools[{index}]"), "wrong_tool", message))
}

fn wrong_choice(config: &AIModelCallConfig) -> Option<SettingsProblem> {
    let Some(ToolChoice::Tool { name }) = &config.tool_choice else {
        return None;
    };
    let names: Vec<&str> = config.tools.iter().map(name_of).collect();
    // Before they are rendered, any name may come out of a template.
    if names.contains(&name.as_str()) || !names.iter().all(|name| is_fixed_text(name)) {
        return None;
    }
    let near = dad_core::nearest(name, names.iter().copied());
    Some(
        problem("tool_choice", "wrong_tool", format!("there is no tool `{name}`"))
            .hint(near.map(|near| format!("did you mean `{near}`?"))),
    )
}

/// The first mark of the cache above those that a request may have.
fn too_many_marks(settings: &AIModelNodeSettings) -> Option<SettingsProblem> {
    let marked = marked_places(settings);
    let place = marked.get(MAX_CACHE_MARKS)?;
    let count = marked.len();
    Some(
        SettingsProblem::new(
            format!("{place}.cache"),
            "wrong_setting",
            format!("{count} places are marked with `cache: true`; a request has at most {MAX_CACHE_MARKS}"),
        )
        .hint("a mark keeps all that stands before it: mark only the ends of what stays the same".to_owned()),
    )
}

/// The places that are marked for the cache, in the order in which a provider reads them.
fn marked_places(settings: &AIModelNodeSettings) -> Vec<String> {
    let mut places = Vec::new();
    let mut add = |is_marked: bool, place: String| places.extend(is_marked.then_some(place));
    let config = settings.model_call_config.iter();
    for (index, tool) in config.flat_map(|config| &config.tools).enumerate() {
        let is_marked = matches!(tool, Tool::Settings(tool) if tool.cache);
        add(is_marked, format!("model_call_config.tools[{index}]"));
    }
    for (index, instruction) in settings.instructions().enumerate() {
        let is_marked = matches!(instruction, SystemInstruction::Marked(marked) if marked.cache);
        let is_one = matches!(settings.system_instructions, Some(OneOrMany::One(_)));
        let place = if is_one {
            String::new()
        } else {
            format!("[{index}]")
        };
        add(is_marked, format!("system_instructions{place}"));
    }
    let context = settings.context.iter().enumerate();
    let context = context.map(|(index, prompt)| (format!("context[{index}]"), prompt));
    let prompt = settings.prompt.iter().map(|prompt| ("prompt".to_owned(), prompt));
    for (place, prompt) in context.chain(prompt) {
        for (index, file) in prompt.files().iter().enumerate() {
            add(file.is_marked(), format!("{place}.files[{index}]"));
        }
        let is_marked = matches!(prompt, Prompt::Message(message) if message.cache);
        add(is_marked, place);
    }
    places
}

fn wrong_seconds(name: &str, seconds: f64) -> Option<SettingsProblem> {
    Duration::try_from_secs_f64(seconds).err()?;
    let message = format!("`{name}` is {seconds}; it must be a number of seconds, 0 or more");
    Some(problem(name, "wrong_setting", message))
}

fn wrong_effort(config: &AIModelCallConfig) -> Option<SettingsProblem> {
    let effort = config.reasoning_effort.as_deref()?;
    (!EFFORTS.contains(&effort)).then(|| {
        let near = dad_core::nearest(effort, EFFORTS.iter().copied());
        let known = EFFORTS.join(", ");
        problem(
            "reasoning_effort",
            "wrong_setting",
            format!("`{effort}` is not known; there are {known}"),
        )
        .hint(near.map(|near| format!("did you mean `{near}`?")))
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
    use dad_core::NodeType;
    use dad_definition::{FlowBuilder, NodeBuilder, compile};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(config: &Value, expected: &[(&str, &str)]) {
        let settings = json!({ "models": ["a/b"], "prompt": "x", "model_call_config": config });
        let variables = ["kind", "yes", "file", "x", "t", "effort", "schema"];
        let ask = NodeBuilder::new(NodeType::AI_MODEL_CALL, settings);
        let flow = FlowBuilder::new()
            .required(variables)
            .node("ask", ask)
            .build()
            .unwrap();
        let root = "root".parse().unwrap();
        let compiled = compile(flow.definition(), &root, &crate::builtin_nodes(), None);
        let problems = compiled.err();
        let reported: Vec<String> = problems
            .iter()
            .flat_map(|problems| problems.iter())
            .map(|problem| {
                let place = problem.path.as_deref().unwrap_or_default();
                let place = place.trim_start_matches("elements[0].settings.");
                format!("{place}: {}", problem.message)
            })
            .collect();
        assert_eq!(reported.len(), expected.len(), "{reported:?}");
        for (reported, (place, message)) in reported.iter().zip(expected) {
            assert!(
                reported.starts_with(&format!("model_call_config.{place}: ")) && reported.contains(message),
                "{reported}"
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
            { "name": "i", "command": ["sh", "-c", "{text}"], "parameters": { "properties": { "text": {} } }, "allow_generated": "$var{yes}" },
            { "name": "j", "command": ["sh", "-c", "cat \"$1\"", "sh", "$var{file}"], "parameters": {} },
            { "name": "k", "command": ["sh", "-c", "cat $var{file}"], "parameters": {}, "allow_generated": true },
        ]);
        check(
            &json!({ "tools": tools, "tool_choice": { "name": "nam" } }),
            &[
                ("tools[6]", "no JSON Schema"),
                ("tools[9]", "would let a shell read a value as code"),
                ("tools[10]", "only the definition can give it"),
                ("tools[2]", "exactly one"),
                ("tools[3]", "exactly one"),
                ("tools[4]", "needs `parameters`"),
                ("tools[5]", "the list is empty"),
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
    fn the_name_of_a_tool_is_one_that_providers_take() {
        let longest = "a".repeat(64);
        let tools = json!([
            "clock.now",
            longest,
            format!("{longest}a"),
            "",
            "größe",
            "$var{x}"
        ]);
        check(
            &json!({ "tools": tools }),
            &[
                ("tools[0]", "`clock.now`"),
                ("tools[2]", "64 of them at most"),
                ("tools[3]", "no tool of the name ``"),
                ("tools[4]", "letters from `a` to `z`"),
            ],
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
    #[test]
    fn a_request_has_at_most_four_marks_of_the_cache() {
        let marked = |name: &str| json!({ name: "x", "cache": true });
        let tool = json!({ "name": "t", "callback": "t", "cache": true });
        let settings = |more: Value| {
            let mut settings = json!({
                "models": ["a/b"],
                "system_instructions": ["Be brief.", marked("text")],
                "context": [{ "role": "assistant", "text": "x", "cache": true }],
                "prompt": { "text": "x", "files": ["/a", marked("path")] },
                "model_call_config": { "tools": ["u", tool] },
            });
            for (place, value) in more.as_object().unwrap() {
                *settings.pointer_mut(place).unwrap() = value.clone();
            }
            serde_json::from_value::<AIModelNodeSettings>(settings).unwrap()
        };
        let found = |more: Value| {
            let problems = problems(&settings(more)).into_iter();
            let places = problems.map(|problem| {
                assert!(problem.message.contains("at most 4"), "{}", problem.message);
                problem.place
            });
            places.collect::<Vec<_>>()
        };
        assert!(found(json!({})).is_empty());
        // The place is that of the fifth in the order in which a provider reads them: tools, instructions, messages.
        for (more, place) in [
            (
                json!({ "/prompt/files/0": marked("path") }),
                "prompt.files[1].cache",
            ),
            (
                json!({ "/prompt": { "text": "x", "files": [marked("path")], "cache": true } }),
                "prompt.cache",
            ),
            (
                json!({ "/system_instructions/0": marked("text") }),
                "prompt.files[1].cache",
            ),
            (
                json!({ "/context": [marked("text"), marked("text"), marked("text")], "/prompt": "x" }),
                "context[2].cache",
            ),
            (
                json!({ "/system_instructions": vec![marked("text"); 4], "/context": [], "/prompt": "x" }),
                "system_instructions[3].cache",
            ),
        ] {
            assert_eq!(found(more), [place]);
        }
        let tools: Vec<Value> = (0..5)
            .map(|index| json!({ "name": format!("t{index}"), "callback": "t", "cache": true }))
            .collect();
        let more = json!({ "/model_call_config/tools": tools, "/system_instructions": marked("text") });
        assert_eq!(found(more), ["model_call_config.tools[4].cache"]);
    }
}
