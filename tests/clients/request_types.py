"""The types of requests that the official clients have, as JSON Schema, for the servers that tests talk to.

Prints one schema by protocol. Tools that a provider executes itself and their blocks are left out: no definition can ask for
them. Objects with named fields are closed, as the providers refuse unknown ones. Needs PyPI openai, anthropic and
google-genai; the versions are printed under `versions`.
"""

import importlib.metadata
import json
import sys

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types as google
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import BaseModel, ConfigDict, TypeAdapter, alias_generators

PACKAGES = ["openai", "anthropic", "google-genai"]

# What the client's converter for the Gemini API writes: google/genai/models.py, `_GenerateContentConfig_to_mldev`.
GOOGLE_FIELDS = {
    "contents": list[google.Content],
    "systemInstruction": google.Content,
    "tools": list[google.Tool],
    "toolConfig": google.ToolConfig,
    "safetySettings": list[google.SafetySetting],
    "generationConfig": google.GenerationConfig,
    "cachedContent": str,
    "serviceTier": str,
    "store": bool,
}

# What the API of Anthropic took before its version 2026-10-21, whose client has it no more.
ANTHROPIC_BEFORE = {"temperature": {"type": "number"}, "top_p": {"type": "number"}, "top_k": {"type": "integer"}}

# A field of answers that OpenAI takes back, as its client's users append the message that they got.
CHAT_ANSWERED = {"annotations": {"type": "array"}}

# Beginnings of the names of types that belong to what providers execute themselves, or to abilities beyond chat.
LEFT_OUT = (
    "AccessPrograms Action AdditionalTools ApiSpec ApplyPatch Bash Browser Click CodeExecution CodeInterpreter Compaction "
    "Computer Container CustomTool DoubleClick Drag Encrypted EnterpriseWeb ExternalApi FileSearch FunctionShell Google "
    "ImageGeneration Inline ItemReference Keypress LocalE LocalS Mcp MemoryTool Move Namespace Outcome OutputImage OutputLogs "
    "Program RagRetrieval ResponseCodeInterpreter ResponseCompaction ResponseComputer ResponseConfiguration ResponseCustom "
    "ResponseFileSearch ResponseFunctionShell ResponseFunctionWeb ResponseToolSearch Retrieval Screenshot Scroll SearchResult "
    "ServerTool Shell Skill StreamableHttp TextEditor ToolApply ToolBash ToolChoiceApply ToolChoiceCustom ToolChoiceMcp "
    "ToolChoiceShell ToolChoiceSpecific ToolChoiceTypes ToolCode ToolExa ToolImage ToolLocal ToolMcp ToolParallel "
    "ToolProgrammatic ToolReference ToolSearch ToolText Url Vertex Wait WebFetch WebSearch"
).split()


def is_left_out(name):
    return name.split("__")[-1].startswith(tuple(LEFT_OUT))


def reduced(schema):
    """A schema without words for people, with closed objects and without the types that are left out."""
    if isinstance(schema, list):
        return [reduced(each) for each in schema if not is_left_out(each.get("$ref", "").split("/")[-1])]
    if not isinstance(schema, dict):
        return schema
    written = {}
    for key, each in schema.items():
        if key in ("title", "description", "default", "discriminator", "examples"):
            continue
        if key in ("properties", "$defs"):
            written[key] = {name: reduced(one) for name, one in each.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            written["anyOf" if key == "oneOf" else key] = reduced(each)
        else:
            written[key] = reduced(each) if isinstance(each, dict) else each
    if "properties" in written:
        written.setdefault("additionalProperties", False)
    if "$ref" in written and is_left_out(written["$ref"].split("/")[-1]):
        return False
    return written


def reachable(schema):
    """A schema with the definitions that its references lead to."""
    definitions = schema.pop("$defs", {})
    kept, waiting = {}, [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            name = each.get("$ref", "").split("/")[-1]
            if name and name not in kept:
                kept[name] = definitions[name]
                waiting.append(kept[name])
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return schema | {"$defs": dict(sorted(kept.items()))}


def of(kind):
    return reachable(reduced(TypeAdapter(kind).json_schema(by_alias=True)))


def google_request():
    config = ConfigDict(alias_generator=alias_generators.to_camel, extra="forbid")
    namespace = {"__annotations__": dict(GOOGLE_FIELDS), "model_config": config}
    namespace |= {name: None for name in GOOGLE_FIELDS if name != "contents"}
    return type("GenerateContentRequest", (BaseModel,), namespace)


def main():
    document = {"versions": {name: importlib.metadata.version(name) for name in PACKAGES}}
    for name, kind in {
        "openai": CompletionCreateParamsNonStreaming,
        "openai_responses": ResponseCreateParamsNonStreaming,
        "anthropic": MessageCreateParamsNonStreaming,
        "google": google_request(),
    }.items():
        schema = of(kind)
        if "stream" in schema["properties"]:
            schema["properties"]["stream"] = {"type": "boolean"}
        if name == "anthropic":
            schema["properties"] |= ANTHROPIC_BEFORE
            # Only with the header of the beta in which it was.
            schema["properties"]["output_format"] = {"$ref": "#/$defs/JSONOutputFormatParam"}
        if name == "openai":
            schema["$defs"]["ChatCompletionAssistantMessageParam"]["properties"] |= CHAT_ANSWERED
        if name == "google":
            # The documentation writes them in lower case; in the client they are of `CaseInSensitiveEnum`.
            kinds = schema["$defs"]["Type"]["enum"]
            kinds += [kind.lower() for kind in kinds]
        document[name] = schema
    json.dump(document, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


main()
