"""JSON schemas of extraction: read once, checked, and never fetched from elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem.errors import ConfigError

Json = dict[str, Any]


def read_schema(path: Path) -> Json:
    """The schema in a file, which has to describe an object with named properties.

    Raises ConfigError (`invalid_schema`) for what is no such schema (JSON Schema 2020-12).
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]

    try:
        schema = json.loads(path.read_bytes())
        Draft202012Validator.check_schema(schema)
    except OSError as error:
        raise _invalid(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(path, f"is not JSON ({error})") from error
    except SchemaError as error:
        raise _invalid(path, f"is no JSON schema ({error.message})") from error
    if not (isinstance(schema, dict) and schema.get("type") == "object" and schema.get("properties")):
        raise _invalid(path, 'has to describe an object: {"type": "object", "properties": {…}}')
    return schema


def violations(schema: Json, value: object) -> Iterator[str]:
    """What in a value does not keep the schema, one clause each."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An own registry: what a `$ref` names elsewhere is unknown, not downloaded.
    validator = Draft202012Validator(schema, registry=Registry())
    for error in validator.iter_errors(value):
        place = ".".join(map(str, error.absolute_path))
        yield f"`{place}` {error.message}" if place else error.message


def as_answer(schema: Json, value: Json) -> str:
    """An object as the engine writes it under the schema: one line, keys in the order of its properties."""
    order = [
        *(key for key in schema["properties"] if key in value),
        *(k for k in value if k not in schema["properties"]),
    ]
    return json.dumps({key: value[key] for key in order}, ensure_ascii=False)


def _invalid(path: Path, what: str) -> ConfigError:
    return ConfigError(f"The schema {path} {what}; correct the file that `json_schema` names.", code="invalid_schema")
