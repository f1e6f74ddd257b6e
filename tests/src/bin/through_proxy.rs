//! Our client through a proxy of models: `through-proxy URL MODEL…` asks each for text, whole and as a stream, for calls of tools
//! and for an answer with a schema, and says what passed. It ends with 1 if something did not.
#![expect(clippy::print_stdout, reason = "its reader is a developer")]

use std::process::ExitCode;

use dhenara::core::SecretRegistry;
use dhenara::models::{
    CallContext, Credentials, FinishReason, HttpClient, Message, ModelCatalog, ModelClient, ModelEntry,
    ModelRequest, ModelResponse, Role, ToolSpec,
};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A task with its name.
const TASKS: [(&str, Task); 4] = [
    ("text", Task::Text),
    ("stream", Task::Stream),
    ("tools", Task::Tools),
    ("schema", Task::Schema),
];

#[derive(Clone, Copy)]
enum Task {
    Text,
    Stream,
    Tools,
    Schema,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_default();
    let mut failed = false;
    for model in arguments {
        for (name, task) in TASKS {
            match asked(&url, &model, task).await {
                Ok(()) => println!("passed  {model} {name}"),
                Err(error) => {
                    failed = true;
                    println!("FAILED  {model} {name}: {error}");
                }
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn asked(url: &str, model: &str, task: Task) -> Outcome {
    let entry = ModelEntry {
        name: "m".to_owned(),
        provider: Some("proxy".to_owned()),
        model: Some(model.to_owned()),
        base_url: Some(url.to_owned()),
        ..ModelEntry::default()
    };
    let nowhere = std::env::temp_dir();
    let credentials = Credentials::new(&nowhere, None, SecretRegistry::new());
    let client = HttpClient::new(ModelCatalog::new(vec![entry]), credentials);
    let call = CallContext::new("root.flow.ask".parse()?);
    let prompt = match task {
        Task::Tools => "Use the tools in 2 rounds, in parallel.",
        _ => "Greet Ada.",
    };
    let mut request = ModelRequest {
        model: "m".to_owned(),
        system: vec!["Be brief.".into()],
        messages: vec![Message::new(Role::User, prompt)],
        options: Default::default(),
    };
    match task {
        Task::Text => check(&client.complete(&request, &call).await?),
        Task::Stream => check(&client.stream(&request, &call, &|_| {}).await?),
        Task::Schema => {
            let schema = json!({ "type": "object", "required": ["word"], "additionalProperties": false,
                "properties": { "word": { "type": "string" } } });
            request.options.schema = Some(schema);
            let response = client.complete(&request, &call).await?;
            serde_json::from_str::<serde_json::Value>(&response.text)?;
            used(&response)
        }
        Task::Tools => {
            let schema = json!({ "type": "object", "required": ["city"],
                "properties": { "city": { "type": "string" } } });
            request.options.tools = vec![ToolSpec {
                name: "weather".to_owned(),
                description: Some("The weather of a city.".to_owned()),
                schema,
                cache: false,
            }];
            for _ in 0..4 {
                let response = client.complete(&request, &call).await?;
                used(&response)?;
                if response.tool_calls.is_empty() {
                    return Ok(());
                }
                answer(&mut request, response);
            }
            Err("the conversation does not end".into())
        }
    }
}

fn answer(request: &mut ModelRequest, response: ModelResponse) {
    request.messages.push(Message {
        tool_calls: response.tool_calls.clone(),
        native: response.native,
        ..Message::new(Role::Assistant, response.text)
    });
    for call in response.tool_calls {
        request.messages.push(Message {
            tool_call_id: Some(call.id.clone()),
            tool_calls: vec![call],
            ..Message::new(Role::Tool, "sunny")
        });
    }
}

fn check(response: &ModelResponse) -> Outcome {
    if response.finish_reason != FinishReason::Completed || response.text.is_empty() {
        return Err(format!("{response:?}").into());
    }
    used(response)
}

fn used(response: &ModelResponse) -> Outcome {
    match response.usage.total_tokens {
        0 => Err("no usage was reported".into()),
        _ => Ok(()),
    }
}
