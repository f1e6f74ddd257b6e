"""Evaluates one expression a line, given as JSON, and prints what came out with the types of the values."""

import json
import sys
import types

sys.set_int_max_str_digits(4300)
NAMES = """len any all sum min max sorted enumerate zip map filter range str int float bool list dict set tuple abs
round divmod pow reversed repr chr ord next isinstance format bin hex oct""".split()
BUILTINS = __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__)
ITERATORS = (map, filter, zip, enumerate, reversed, range, types.GeneratorType, type({}.keys()), type({}.values()),
             type({}.items()), type(reversed([])), type(reversed({})), type(reversed(range(1))), type(reversed(())))


def tagged(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, ITERATORS):
        return {"list": [tagged(item) for item in value]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [tagged(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[tagged(key), tagged(item)] for key, item in value.items()]}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted((json.dumps(tagged(item)) for item in value))}
    raise TypeError("no such value: " + type(value).__name__)


variables = json.loads(sys.stdin.readline())
scope = {name: BUILTINS[name] for name in NAMES} | {"json": json} | variables
lines = sys.stdin.read().splitlines()
for line in lines:
    try:
        # Names of the scope must be global to be seen inside comprehensions.
        result = {"value": tagged(eval(json.loads(line), {"__builtins__": {}} | scope))}
        json.dumps(result, ensure_ascii=False).encode()
    except Exception as error:
        result = {"error": type(error).__name__ + ": " + str(error)[:100]}
    print(json.dumps(result))
