"""Writes belljar/methods.py from docs/rpc.json, which `belljar schema rpc` prints too, and belljar/shown.py from the code that
takes charts out of figures, which `belljar serve` has too.

    python3 sdk/python/generate.py            writes it
    python3 sdk/python/generate.py --check    says whether it is up to date

Every method becomes a method of a class, nouns become attributes (`client.fs.ls`), every object a TypedDict. Nothing but the
schema decides: a verb that is added to belljar is in the client when this was run.
"""

import json
import keyword
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent.parent / "docs" / "rpc.json"
TARGET = HERE / "belljar" / "methods.py"
SERVE = HERE.parent.parent / "src" / "serve"
CHARTS = [SERVE / "figures.py", SERVE / "daytona" / "charts.py"]
SHOWN = HERE / "belljar" / "shown.py"
SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Types:
    """The types of a document's schemas, as Python has them."""

    def __init__(self, schemas):
        self.schemas = schemas
        self.classes = {}  # name: lines, for objects that have no name in the schema
        self.needs_not_required = False

    def of(self, schema, name):
        """The annotation of a schema; an object without a name is called `name`."""
        if schema is True or not schema:
            return "Any"
        if "$ref" in schema:
            return schema["$ref"].rsplit("/", 1)[1]
        if "const" in schema:
            return f"Literal[{json.dumps(schema['const'])}]"
        if "enum" in schema:
            return f"Literal[{', '.join(json.dumps(one) for one in schema['enum'])}]"
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.union([self.of(one, f"{name}{at + 1}") for at, one in enumerate(schema[several])])
        if "allOf" in schema:
            return self.of(schema["allOf"][0], name)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self.union([self.of({**schema, "type": one}, name) for one in kind])
        if kind == "array":
            return f"List[{self.of(schema.get('items', {}), name)}]"
        if kind == "object" and "properties" in schema:
            self.classes.setdefault(name, self.lines(name, schema))
            return name
        if kind == "object":
            return f"Dict[str, {self.of(schema.get('additionalProperties', {}), name)}]"
        return SIMPLE.get(kind, "Any")

    @staticmethod
    def union(types):
        seen = list(dict.fromkeys(types))
        literals = [one[8:-1] for one in seen if one.startswith("Literal[")]
        rest = [one for one in seen if not one.startswith("Literal[") and one != "None"]
        if literals:
            rest.insert(0, f"Literal[{', '.join(literals)}]")
        union = rest[0] if len(rest) == 1 else f"Union[{', '.join(rest)}]"
        return f"Optional[{union}]" if "None" in seen else union

    def lines(self, name, schema):
        """A TypedDict, or an alias for what is no object."""
        if schema.get("type") != "object" or "properties" not in schema:
            alias = self.of(schema, f"{name}Value")
            # The client gives bytes their form in JSON.
            return [f"{name} = {alias if name != 'Word' else f'Union[bytes, {alias}]'}"]
        required = set(schema.get("required", []))
        out = [f"class {name}(TypedDict):"]
        out += docstring(schema.get("description"), "    ")
        for key, value in schema["properties"].items():
            if keyword.iskeyword(key):
                raise ValueError(f"{name}.{key}: is a keyword of Python, and cannot be a key of a TypedDict")
            kind = self.of(value, f"{name}{key.title().replace('_', '')}")
            if key not in required:
                kind = f"NotRequired[{kind}]"
            out += comment(value.get("description") if isinstance(value, dict) else None, "    ")
            out.append(f"    {key}: {kind}")
        return out


def docstring(text, indent):
    return [f'{indent}"""{" ".join((text or "").split())}"""'] if text else []


def comment(text, indent):
    return [f"{indent}# {' '.join(text.split())}"] if text else []


def in_order(aliases):
    """Each behind those that it names."""
    left, out = {line.split(" = ")[0]: line for line in aliases}, []
    while left:
        for name, line in sorted(left.items()):
            named = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", re.sub(r'"[^"]*"', "", line.split(" = ", 1)[1])))
            if not named & (set(left) - {name}):
                out.append(left.pop(name))
                break
        else:
            raise ValueError(f"these name each other: {', '.join(left)}")
    return out


def argument(name):
    return f"{name}_" if keyword.iskeyword(name) else name


def method(types, one):
    """The lines of a method."""
    noun, _, verb = one["name"].rpartition(".")
    camel = "".join(part.title() for part in one["name"].replace("_", ".").split("."))
    params = [p for p in one["params"] if p["name"] not in ("stream",)]
    signature, given = ["self", "*"], []
    for parameter in sorted(params, key=lambda p: not p.get("required")):
        name = argument(parameter["name"])
        kind = types.of(parameter["schema"], camel + parameter["name"].title().replace("_", ""))
        if parameter["name"] == "input":
            # A method waits for its result, and nobody could give the input meanwhile: `begin` does not.
            kind = "Word"
        if parameter.get("required"):
            signature.append(f"{name}: {kind}")
        else:
            kind = kind if kind.startswith("Optional[") else f"Optional[{kind}]"
            signature.append(f"{name}: {kind} = None")
        given.append(f'"{parameter["name"]}": {name}')
    signature.append("on_output: Optional[OnOutput] = None")
    if not params:
        signature.remove("*") if signature[2:3] == [] else None
    result = types.of(one["result"]["schema"], camel + "Result")
    lines = [f"    def {argument(verb)}({', '.join(signature)}) -> {result}:"]
    lines += docstring(one.get("summary"), "        ")
    lines.append(f'        return self._call("{one["name"]}", {{{", ".join(given)}}}, on_output)')
    return noun, lines


def main():
    document = json.loads(SCHEMA.read_text())
    types = Types(document["components"]["schemas"])
    nouns = {}
    for one in document["methods"]:
        if one["name"] in ("cancel", "input"):
            continue
        noun, lines = method(types, one)
        nouns.setdefault(noun, []).append(lines)
    objects, aliases = [], []
    for name, schema in types.schemas.items():
        lines = types.lines(name, schema)
        (objects if lines[0].startswith("class") else aliases).append(lines)
    out = [
        '"""The methods of `belljar rpc`, typed. Written by generate.py from docs/rpc.json: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "import sys",
        "from typing import Any, Callable, Dict, List, Literal, Optional, Union",
        "",
        "if sys.version_info >= (3, 11):",
        "    from typing import NotRequired, TypedDict",
        "else:",
        "    from typing_extensions import NotRequired, TypedDict",
        "",
        "# What a command prints, as it comes: `stdout` or `stderr`, and the bytes.",
        "OnOutput = Callable[[str, bytes], None]",
        "",
    ]
    for lines in objects + list(types.classes.values()):
        out += ["", *lines, ""]
    out += ["", *in_order([lines[0] for lines in aliases]), ""]
    for noun, methods in sorted(nouns.items()):
        if not noun:
            continue
        out += ["", f"class {noun.title()}Methods:", f'    """`belljar {noun}`."""', "", "    def __init__(self, call: Any) -> None:",
                "        self._call = call", ""]
        for lines in methods:
            out += [*lines, ""]
    out += ["", "class Methods:", '    """Every verb of belljar."""', "", "    def __init__(self, call: Any) -> None:",
            "        self._call = call"]
    out += [f"        self.{argument(noun)} = {noun.title()}Methods(call)" for noun in sorted(nouns) if noun] + [""]
    for lines in nouns[""]:
        out += [*lines, ""]
    text = "\n".join(out).rstrip("\n") + "\n"
    quoted = "".join(part.read_text() for part in CHARTS).replace("\\", "\\\\")
    shown = f'"""Code that runs before code that shows charts. Written by generate.py: do not edit."""\n\nSHOWN = \'\'\'{quoted}\'\'\'\n'
    for target, whole in ((TARGET, text), (SHOWN, shown)):
        if "--check" not in sys.argv[1:]:
            target.write_text(whole)
        elif not target.exists() or target.read_text() != whole:
            sys.exit(f"{target.name} is out of date: run `python3 sdk/python/generate.py`")


if __name__ == "__main__":
    main()
