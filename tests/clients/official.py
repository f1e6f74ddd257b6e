"""Runs the official clients against a strict server: `official.py URL`.

What the servers refuse of the official clients, the providers do not refuse, so that a rule would be wrong. Each request names
its task in a header, by which the recorded requests are compared with ours. Exits with 1 if a task fails.
"""

import base64
import json
import sys
import traceback

import anthropic
import openai
import pydantic
from google import genai
from google.genai import types

KEY = "sk-strict-0123456789"
DOT = base64.b64decode("iVBORw0KGgogYW5kIHRoZSByZXN0IG9mIHRoZSBwaWN0dXJl")
SYSTEM = "Be brief."
GREET = "Greet Ada."
TOOLS_PROMPT = "Use the tools in 2 rounds, in parallel."
WEATHER = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
}
NOTHING = {"type": "object", "properties": {}}
RESULTS = {"weather": "sunny", "breaks": "it broke"}


class Answer(pydantic.BaseModel):
    word: str
    # Without a default: Gemini's documentation does not list the keyword.
    number: int | None


def openai_client(task, url):
    return openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", default_headers={"x-task": task}, max_retries=0)


def chat_text(task, url):
    client = openai_client(task, url)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": GREET}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, max_tokens=100, temperature=0.5)
    assert answer.choices[0].message.content.startswith("Grüezi"), answer
    assert answer.usage.total_tokens == 15


def chat_stream(task, url):
    client = openai_client(task, url)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": GREET}]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=messages, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("Grüezi"), text
    assert chunks[-1].usage.total_tokens == 15


def chat_image(task, url):
    client = openai_client(task, url)
    image = "data:image/png;base64," + base64.b64encode(DOT).decode()
    content = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": image}}]
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])


def chat_tools(task, url):
    client = openai_client(task, url)
    functions = [
        {"name": "weather", "description": "The weather of a city.", "parameters": WEATHER},
        {"name": "breaks", "parameters": NOTHING},
    ]
    tools = [{"type": "function", "function": function} for function in functions]
    messages = [{"role": "user", "content": TOOLS_PROMPT}]
    for _ in range(5):
        answer = client.chat.completions.create(
            model="gpt-5-mini", messages=messages, tools=tools, reasoning_effort="low"
        )
        message = answer.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return
        for call in message.tool_calls:
            json.loads(call.function.arguments)
            result = RESULTS[call.function.name]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise AssertionError("the conversation does not end")


def chat_schema(task, url):
    client = openai_client(task, url)
    messages = [{"role": "user", "content": GREET}]
    answer = client.chat.completions.parse(model="gpt-4o", messages=messages, response_format=Answer)
    assert isinstance(answer.choices[0].message.parsed, Answer), answer


def responses_text(task, url):
    client = openai_client(task, url)
    given = [{"role": "user", "content": GREET}]
    with client.responses.stream(model="gpt-4o", instructions=SYSTEM, input=given, store=False) as stream:
        answer = stream.get_final_response() if list(stream) else None
    assert answer.output_text.startswith("Grüezi"), answer


def responses_tools(task, url):
    client = openai_client(task, url)
    tools = [
        {"type": "function", "name": "weather", "description": "The weather of a city.", "parameters": WEATHER, "strict": False},
        {"type": "function", "name": "breaks", "parameters": NOTHING, "strict": False},
    ]
    items = [{"role": "user", "content": TOOLS_PROMPT}]
    for _ in range(5):
        answer = client.responses.create(
            model="gpt-5.4",
            input=items,
            tools=tools,
            store=False,
            reasoning={"effort": "high"},
            include=["reasoning.encrypted_content"],
        )
        items += answer.output
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            assert answer.output_text.startswith("Grüezi"), answer
            return
        for call in calls:
            output = {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
            items.append(output)
    raise AssertionError("the conversation does not end")


def responses_schema(task, url):
    client = openai_client(task, url)
    given = [{"role": "user", "content": GREET}]
    answer = client.responses.parse(model="gpt-4o", input=given, text_format=Answer, store=False)
    assert isinstance(answer.output_parsed, Answer), answer


def anthropic_client(task, url):
    return anthropic.Anthropic(api_key=KEY, base_url=url, default_headers={"x-task": task}, max_retries=0)


def messages_text(task, url):
    client = anthropic_client(task, url)
    messages = [{"role": "user", "content": GREET}]
    with client.messages.stream(
        model="claude-haiku-4-5", max_tokens=100, system=SYSTEM, messages=messages
    ) as stream:
        answer = stream.get_final_message()
    assert answer.content[0].text.startswith("Grüezi"), answer


def messages_image(task, url):
    client = anthropic_client(task, url)
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(DOT).decode()}
    content = [{"type": "text", "text": "Look."}, {"type": "image", "source": source}]
    messages = [{"role": "user", "content": content}]
    client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=messages)


def messages_tools(task, url):
    client = anthropic_client(task, url)
    tools = [
        {"name": "weather", "description": "The weather of a city.", "input_schema": WEATHER},
        {"name": "breaks", "input_schema": NOTHING},
    ]
    messages = [{"role": "user", "content": TOOLS_PROMPT}]
    for _ in range(5):
        answer = client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=4000,
            messages=messages,
            tools=tools,
            thinking={"type": "enabled", "budget_tokens": 2048},
        )
        messages.append({"role": "assistant", "content": answer.content})
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]}
            | ({"is_error": True} if call.name == "breaks" else {})
            for call in calls
        ]
        messages.append({"role": "user", "content": results})
    raise AssertionError("the conversation does not end")


def messages_schema(task, url):
    client = anthropic_client(task, url)
    messages = [{"role": "user", "content": GREET}]
    answer = client.messages.parse(
        model="claude-haiku-4-5", max_tokens=100, messages=messages, output_format=Answer
    )
    assert isinstance(answer.parsed_output, Answer), answer


def google_client(task, url):
    options = types.HttpOptions(base_url=url, headers={"x-task": task})
    return genai.Client(api_key=KEY, vertexai=False, http_options=options)


def google_text(task, url):
    client = google_client(task, url)
    config = types.GenerateContentConfig(system_instruction=SYSTEM, temperature=0.5, max_output_tokens=100)
    pieces = client.models.generate_content_stream(model="gemini-2.5-flash", contents=GREET, config=config)
    text = "".join(piece.text or "" for piece in pieces)
    assert text.startswith("Grüezi"), text


def google_image(task, url):
    client = google_client(task, url)
    parts = [types.Part.from_text(text="Look."), types.Part.from_bytes(data=DOT, mime_type="image/png")]
    client.models.generate_content(model="gemini-2.5-flash", contents=types.Content(role="user", parts=parts))


def google_tools(task, url):
    client = google_client(task, url)
    weather = types.FunctionDeclaration(
        name="weather", description="The weather of a city.", parameters_json_schema=WEATHER
    )
    tools = [types.Tool(function_declarations=[weather, types.FunctionDeclaration(name="breaks")])]
    thinking = types.ThinkingConfig(thinking_level="LOW", include_thoughts=True)
    config = types.GenerateContentConfig(tools=tools, thinking_config=thinking)
    contents = [types.Content(role="user", parts=[types.Part.from_text(text=TOOLS_PROMPT)])]
    for _ in range(5):
        answer = client.models.generate_content(
            model="gemini-3-flash-preview", contents=contents, config=config
        )
        contents.append(answer.candidates[0].content)
        calls = answer.function_calls
        if not calls:
            return
        field = {"weather": "output", "breaks": "error"}
        responses = [
            types.FunctionResponse(id=call.id, name=call.name, response={field[call.name]: RESULTS[call.name]})
            for call in calls
        ]
        parts = [types.Part(function_response=response) for response in responses]
        contents.append(types.Content(role="user", parts=parts))
    raise AssertionError("the conversation does not end")


def google_schema(task, url):
    client = google_client(task, url)
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=Answer.model_json_schema()
    )
    answer = client.models.generate_content(model="gemini-2.5-flash", contents=GREET, config=config)
    Answer.model_validate_json(answer.text)


TASKS = [
    chat_text,
    chat_stream,
    chat_image,
    chat_tools,
    chat_schema,
    responses_text,
    responses_tools,
    responses_schema,
    messages_text,
    messages_image,
    messages_tools,
    messages_schema,
    google_text,
    google_image,
    google_tools,
    google_schema,
]


def main():
    failed = 0
    for task in TASKS:
        try:
            task(task.__name__, sys.argv[1])
            print(f"passed  {task.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED  {task.__name__}")
            traceback.print_exc(limit=-3, file=sys.stdout)
    sys.exit(1 if failed else 0)


main()
