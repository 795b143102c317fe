"""What a client is told of each kind of error in its message.

pydantic's own texts repeat some of what was sent, and whoever validates may be told what somebody else has sent. These
say what was declared, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_UNKNOWN: Final = "Value is not valid"

#: By pydantic's type of the error. What is in braces is of the declaration, and never of the message.
TEXTS: Final[Mapping[str, str]] = {
    # The message as a whole
    "json_invalid": "Message should be JSON",
    "json_type": "Value should be a string of JSON",
    "recursion_depth_exceeded": "Value is nested too deeply",
    "recursion_loop": "Value refers to itself",
    "union_tag_invalid": "Type should be one of {expected_tags}",
    "union_tag_not_found": "Field {discriminator} should say which message it is",
    # Fields
    "missing": "Field is required",
    "missing_argument": "Field is required",
    "missing_keyword_only_argument": "Field is required",
    "missing_positional_only_argument": "Field is required",
    "extra_forbidden": "Further fields are not allowed",
    "unexpected_keyword_argument": "Further fields are not allowed",
    "unexpected_positional_argument": "Further values are not allowed",
    "multiple_argument_values": "Field should be there once",
    "frozen_field": "Field cannot be set",
    "invalid_key": "Keys should be strings",
    # Kinds of values
    "model_type": "Value should be an object",
    "model_attributes_type": "Value should be an object",
    "dataclass_type": "Value should be an object",
    "dict_type": "Value should be an object",
    "frozen_dict_type": "Value should be an object",
    "ordered_dict_type": "Value should be an object",
    "counter_type": "Value should be an object",
    "mapping_type": "Value should be an object",
    "arguments_type": "Value should be an array or an object",
    "named_tuple_type": "Value should be an array or an object",
    "list_type": "Value should be an array",
    "deque_type": "Value should be an array",
    "tuple_type": "Value should be an array",
    "set_type": "Value should be an array",
    "frozen_set_type": "Value should be an array",
    "iterable_type": "Value should be an array",
    "set_item_not_hashable": "Items should be simple values",
    "string_type": "Value should be a string",
    "string_unicode": "Value should be a string of Unicode characters",
    "bytes_type": "Value should be a string",
    "bytes_invalid_encoding": "Value should be a string in the right encoding",
    "bool_type": "Value should be a boolean",
    "bool_parsing": "Value should be a boolean",
    "int_type": "Value should be an integer",
    "int_parsing": "Value should be an integer",
    "int_parsing_size": "Integer has too many digits",
    "int_from_float": "Value should be an integer",
    "float_type": "Value should be a number",
    "float_parsing": "Value should be a number",
    "decimal_type": "Value should be a number",
    "decimal_parsing": "Value should be a number",
    "fraction_type": "Value should be a number",
    "fraction_parsing": "Value should be a number",
    "complex_type": "Value should be a complex number",
    "complex_str_parsing": "Value should be a complex number",
    "none_required": "Value should be null",
    "literal_error": "Value should be {expected}",
    "enum": "Value should be {expected}",
    # Numbers
    "greater_than": "Value should be greater than {gt}",
    "greater_than_equal": "Value should be {ge} or greater",
    "less_than": "Value should be less than {lt}",
    "less_than_equal": "Value should be {le} or less",
    "multiple_of": "Value should be a multiple of {multiple_of}",
    "finite_number": "Value should be a finite number",
    "decimal_max_digits": "Number of digits should be {max_digits} or less",
    "decimal_max_places": "Number of decimal places should be {decimal_places} or less",
    "decimal_whole_digits": "Number of digits before the decimal point should be {whole_digits} or less",
    # Lengths and patterns
    "too_short": "Number of items should be {min_length} or more",
    "too_long": "Number of items should be {max_length} or less",
    "string_too_short": "Length of the string should be {min_length} or more",
    "string_too_long": "Length of the string should be {max_length} or less",
    "string_pattern_mismatch": "String should match the pattern {pattern}",
    "string_not_ascii": "String should have ASCII characters only",
    "bytes_too_short": "Number of bytes should be {min_length} or more",
    "bytes_too_long": "Number of bytes should be {max_length} or less",
    # Times
    "date_type": "Value should be a date",
    "date_parsing": "Value should be a date, as in 2026-12-31",
    "date_from_datetime_parsing": "Value should be a date, as in 2026-12-31",
    "date_from_datetime_inexact": "Value should be a date without a time",
    "date_past": "Date should be in the past",
    "date_future": "Date should be in the future",
    "time_type": "Value should be a time",
    "time_parsing": "Value should be a time, as in 12:30:00",
    "datetime_type": "Value should be a date and a time",
    "datetime_parsing": "Value should be a date and a time, as in 2026-12-31T12:30:00Z",
    "datetime_from_date_parsing": "Value should be a date and a time, as in 2026-12-31T12:30:00Z",
    "datetime_object_invalid": "Value should be a date and a time",
    "datetime_past": "Time should be in the past",
    "datetime_future": "Time should be in the future",
    "timezone_naive": "Time should have no time zone",
    "timezone_aware": "Time should have a time zone",
    "timezone_offset": "Time should have the right time zone",
    "time_delta_type": "Value should be a duration",
    "time_delta_parsing": "Value should be a duration",
    # Other strings
    "url_type": "Value should be a URL",
    "url_parsing": "Value should be a URL",
    "url_syntax_violation": "Value should be a URL",
    "url_too_long": "Length of the URL should be {max_length} or less",
    "url_scheme": "Scheme of the URL should be {expected_schemes}",
    "uuid_type": "Value should be a UUID",
    "uuid_parsing": "Value should be a UUID",
    "uuid_version": "Value should be a UUID of version {expected_version}",
}


def text_of(kind: str, context: Mapping[str, Any]) -> str:
    """What a client is told of an error.

    Args:
        kind: pydantic's type of the error. Errors of the application's own validators have texts that may repeat what
            was sent, so that they all have the same text here; their type, which the application has chosen, tells.
        context: What pydantic knows of it.
    """
    try:
        return TEXTS.get(kind, _UNKNOWN).format_map(context)
    except (KeyError, ValueError, IndexError, AttributeError):
        # An error of the application, of a type that is pydantic's, with a context of its own.
        return _UNKNOWN
