"""The schemas that the official clients send for given ones, to be compared with ours.

Reads a JSON object of schemas by name on standard input; prints one of `{input, openai, anthropic, gemini}` by name, where
`error` stands for a schema that the client refuses. Needs PyPI openai, anthropic and google-genai; the versions are printed
under `versions`.
"""

import copy
import importlib.metadata
import json
import sys

from anthropic.lib._parse._transform import transform_schema
from google.genai._transformers import t_json_schema
from openai.lib._pydantic import _ensure_strict_json_schema


def openai(schema):
    return _ensure_strict_json_schema(schema, path=(), root=schema)


def pydantic(schema):
    """Writes several types as alternatives, as pydantic does; the client of Anthropic knows no other form."""
    if isinstance(schema, list):
        return [pydantic(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: pydantic(each) for key, each in schema.items()}
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return schema
    outer = {key: schema[key] for key in ("default", "description", "title") if key in schema}
    inner = {key: each for key, each in schema.items() if key not in outer}
    branches = [{"type": kind} if kind == "null" else inner | {"type": kind} for kind in kinds]
    return {"anyOf": branches} | outer


def anthropic(schema):
    return transform_schema(pydantic(schema))


CLIENTS = {"openai": openai, "anthropic": anthropic, "gemini": t_json_schema}
PACKAGES = ["openai", "anthropic", "google-genai"]


def sent(client, schema):
    try:
        return client(copy.deepcopy(schema))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    schemas = json.load(sys.stdin)
    document = {"versions": {name: importlib.metadata.version(name) for name in PACKAGES}}
    for name, schema in schemas.items():
        document[name] = {"input": schema} | {key: sent(client, schema) for key, client in CLIENTS.items()}
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
