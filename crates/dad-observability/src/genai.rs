//! Names of OpenTelemetry's semantic conventions: those of generative AI as of its text of October 2026
//! (`open-telemetry/semantic-conventions-genai`, in development, behind its change 521), the others of version 1.44.0.

/// The schema of the names outside generative AI, whose conventions have none yet.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The operation of a span, one of the words below.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Operation: a request to a model.
pub const CHAT: &str = "chat";
/// Operation: an agent.
pub const INVOKE_AGENT: &str = "invoke_agent";
/// Operation: a flow.
pub const INVOKE_WORKFLOW: &str = "invoke_workflow";
/// Operation: a call of a tool.
pub const EXECUTE_TOOL: &str = "execute_tool";

/// The provider of a model, by its well-known name where it has one.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that is asked.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The longest answer, in tokens.
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// The sampling temperature.
pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// The share of probability that is sampled from.
pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
/// The number of tokens that are sampled from.
pub const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
/// The penalty for tokens by their frequency.
pub const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
/// The penalty for tokens that have occurred.
pub const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
/// The seed of the sampling.
pub const REQUEST_SEED: &str = "gen_ai.request.seed";
/// Whether the answer arrives in pieces.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// The texts at which the model stops.
pub const REQUEST_STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
/// The requested effort of reasoning.
pub const REQUEST_REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
/// The requested form of the answer, `json` where it has a schema.
pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
/// The provider's id of the answer.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why the answer ended.
pub const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds from the request to the first piece of the answer.
pub const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Tokens sent, those from a cache included.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens received, those of reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Tokens sent that the provider read from its cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Tokens sent that the provider wrote into its cache.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// Tokens of reasoning received.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// The name of an agent.
pub const AGENT_NAME: &str = "gen_ai.agent.name";
/// The name of a flow.
pub const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// The name of a tool.
pub const TOOL_NAME: &str = "gen_ai.tool.name";
/// The type of a tool: `function`.
pub const TOOL_TYPE: &str = "gen_ai.tool.type";
/// The provider's id of a call of a tool.
pub const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// The description that the model was given of a tool.
pub const TOOL_DESCRIPTION: &str = "gen_ai.tool.description";
/// The instructions before a conversation, by opt-in.
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// The conversation that a model was given, by opt-in.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// The answer of a model, by opt-in.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The tools that a model could request, by opt-in.
pub const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// The arguments of a call of a tool, by opt-in.
pub const TOOL_CALL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// The result of a call of a tool, by opt-in.
pub const TOOL_CALL_RESULT: &str = "gen_ai.tool.call.result";
/// The kind of tokens: `unknown`, since providers do not tell texts from images.
pub const TOKEN_MODALITY: &str = "gen_ai.token.modality";

/// The host that is asked.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that is asked.
pub const SERVER_PORT: &str = "server.port";
/// The stable word of an error.
pub const ERROR_TYPE: &str = "error.type";
/// The message of an error, in an event of a span.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// The program of a command.
pub const EXECUTABLE_NAME: &str = "process.executable.name";
/// The command line, by opt-in.
pub const COMMAND_LINE: &str = "process.command_line";
/// The exit code of a command.
pub const EXIT_CODE: &str = "process.exit.code";
/// The path of a file.
pub const FILE_PATH: &str = "file.path";
/// The target of a log record that user code wrote.
pub const CODE_NAMESPACE: &str = "code.namespace";

/// Histogram of seconds of requests to models.
pub const INFERENCE_DURATION: &str = "gen_ai.client.inference.duration";
/// Histogram of seconds to the first piece of an answer.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.client.inference.time_to_first_chunk";
/// Counter of tokens sent.
pub const INPUT_TOKEN_USAGE: &str = "gen_ai.client.inference.usage.input_tokens";
/// Counter of tokens received.
pub const OUTPUT_TOKEN_USAGE: &str = "gen_ai.client.inference.usage.output_tokens";
/// Counter of tokens that providers read from their caches.
pub const CACHE_READ_TOKEN_USAGE: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
/// Counter of tokens that providers wrote into their caches.
pub const CACHE_WRITE_TOKEN_USAGE: &str = "gen_ai.client.inference.usage.cache_write.input_tokens";
/// Counter of tokens of reasoning.
pub const REASONING_TOKEN_USAGE: &str = "gen_ai.client.inference.usage.reasoning.output_tokens";
/// Histogram of tokens that one request sent.
pub const INPUT_TOKENS_OF_CALL: &str = "gen_ai.client.inference.operation.input_tokens";
/// Histogram of tokens that one request received.
pub const OUTPUT_TOKENS_OF_CALL: &str = "gen_ai.client.inference.operation.output_tokens";
/// Histogram of seconds of agents.
pub const AGENT_DURATION: &str = "gen_ai.invoke_agent.duration";
/// Histogram of seconds of flows.
pub const WORKFLOW_DURATION: &str = "gen_ai.invoke_workflow.duration";
/// Histogram of seconds of calls of tools.
pub const TOOL_DURATION: &str = "gen_ai.execute_tool.duration";

/// Upper bounds of the histograms of requests and calls of tools, in seconds.
pub(crate) const CALL_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Upper bounds of the histograms of tokens.
pub(crate) const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Upper bounds of the histogram of agents, in seconds.
pub(crate) const AGENT_SECONDS: &[f64] = &[
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6,
];
/// Upper bounds of the histogram of flows, in seconds.
pub(crate) const WORKFLOW_SECONDS: &[f64] = &[
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
];

/// The well-known name of a provider, else the name that the catalogue of models has for it.
pub(crate) fn provider(name: &str) -> &str {
    match name {
        "" => "unknown",
        "google" | "gemini" => "gcp.gemini",
        "vertex" | "vertex_ai" | "google_vertex_ai" => "gcp.vertex_ai",
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "moonshot" | "moonshotai" => "moonshot_ai",
        "xai" | "x-ai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => other,
    }
}
