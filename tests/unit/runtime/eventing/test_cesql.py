"""CESQL 1.0: values, errors and syntax as the specification and its conformance cases have them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.errors import InvalidRequest
from warmfront.runtime.eventing.cesql import ErrorKind, compile_expression

EVENT = {"id": "my-id", "source": "https://example.com", "type": "com.example.error", "hop": "3", "ttl": "20"}


def value(expression: str, **attributes: str):
    """What the expression comes to without an error."""
    result = compile_expression(expression).evaluate({**EVENT, **attributes})
    assert result.error is None, result.message
    return result.value


def exactly(found, wanted) -> bool:
    """Equal and of the same type: true is not 1."""
    return found == wanted and type(found) is type(wanted)


LITERALS = [
    ("0", 0),
    ("-5", -5),
    ("+5", 5),
    ("2147483647", 2147483647),
    ("-2147483648", -2147483648),
    ("true", True),
    ("False", False),
    ("'abc'", "abc"),
    ('"a\'c"', "a'c"),
    (r"'a\'c'", "a'c"),
    (r"'a\"c'", r"a\"c"),
    ("''", ""),
]
ARITHMETIC = [
    ("4 * 2 + 4 / 2", 10),
    ("4 * (2 + 4) / 2", 12),
    ("2 - 3 - 4", -5),
    ("4 -1", 3),
    ("-4 + -1", -5),
    ("5 / 3", 1),
    ("-5 / 3", -1),
    ("5 / -3", -1),
    ("-5 % 3", -2),
    ("5 % -3", 2),
    ("'5' + '3'", 8),
    ("5 + TRUE", 6),
    ("-hop", -3),
    ("- (1 + 1)", -2),
    ("2147483646 + 1", 2147483647),
]
COMPARISONS = [
    ("1 = 2", False),
    ("'abc' = 'abc'", True),
    ("'abc' = 'ABC'", False),
    ("'abc' != 'abc'", False),
    ("'abc' <> '123'", True),
    ("2 <= 2", True),
    ("3 <= 2", False),
    ("1 < 2", True),
    ("2 >= 3", False),
    ("2 > 1", True),
    ("hop < ttl", True),  # by number: as strings "3" comes after "20"
    ("hop = 3", True),
    ("true = 'TRUE'", False),  # the right side is a String, so the left one becomes 'true'
    ("'TRUE' = true", True),
    ("1 + 1 = 2", True),
    ("1 = TRUE", True),
    ("hop = '3' AND ttl > 19", True),
]
LOGIC = [
    ("FALSE AND TRUE", False),
    ("TRUE AND TRUE", True),
    ("FALSE OR TRUE", True),
    ("FALSE OR FALSE", False),
    ("TRUE XOR TRUE", False),
    ("FALSE XOR TRUE", True),
    ("NOT FALSE", True),
    ("NOT 'TRUE'", False),
    ("NOT 10", False),
    ("NOT NOT TRUE", True),
    ("TRUE OR FALSE AND FALSE", True),  # AND binds tighter
    ("(TRUE OR FALSE) AND FALSE", False),
    ("TRUE XOR TRUE OR TRUE", True),  # from left to right: (TRUE XOR TRUE) OR TRUE
    ("FALSE AND missing", False),  # the right side is not evaluated
    ("TRUE OR missing", True),
    ("not true or exists id", True),  # keywords in any case
]
MATCHES = [
    ("'abc' LIKE 'a%b%c'", True),
    ("'azzzbzzzc' LIKE 'a%b%c'", True),
    ("'ac' LIKE 'abc'", False),
    ("'' LIKE ''", True),
    ("'' LIKE '%'", True),
    ("'.ab.cde.' LIKE '.%.%.'", True),
    ("'ab.cde' LIKE '.%.%.'", False),
    ("'abc' LIKE 'a_b_c'", False),
    ("'azbzc' LIKE 'a_b_c'", True),
    (r"'a_b_c' LIKE 'a\_b\_c'", True),
    (r"'azbzc' LIKE 'a\_b\_c'", False),
    (r"'a%b' LIKE 'a\%b'", True),
    (r"'axb' LIKE 'a\%b'", False),
    (r"'ab\c' LIKE 'ab\c'", True),
    ("'abc' NOT LIKE 'abc'", False),
    ("'a.c' LIKE 'a.c' AND 'abc' NOT LIKE 'a.c'", True),  # no regular expression
    ("'ab' LIKE 'a%ab'", False),  # the run may not share characters with what follows
    ("2344 LIKE '23%'", True),
    ("TRUE LIKE 'tr%'", True),
    ("source LIKE 'https://%' AND type LIKE '%.error'", True),
]
SETS = [
    ("id IN ('a', 'my-id')", True),
    ("id NOT IN ('a', 'my-id')", False),
    ("hop IN (1, 2, 3)", True),  # the elements become Strings
    ("1 IN ('1')", True),
    ("TRUE IN ('false')", False),
    ("2 + 2 IN (4)", 2),  # IN binds tighter than +: 2 + (2 IN (4))
    ("EXISTS id", True),
    ("EXISTS missing", False),
    ("NOT EXISTS missing AND EXISTS hop", True),
]
FUNCTIONS = [
    ("LENGTH('abc')", 3),
    ("length(TRUE)", 4),
    ("CONCAT()", ""),
    ("CONCAT('a', 1, TRUE)", "a1true"),
    ("CONCAT_WS(',', 'a', 'b')", "a,b"),
    ("CONCAT_WS(',')", ""),
    ("LOWER('AbC')", "abc"),
    ("UPPER('AbC')", "ABC"),
    ("TRIM('  a b \t')", "a b"),
    ("LEFT('abc', 2)", "ab"),
    ("LEFT('abc', 10)", "abc"),
    ("RIGHT('abc', 2)", "bc"),
    ("RIGHT('abc', 0)", ""),
    ("RIGHT('abc', 10)", "abc"),
    ("SUBSTRING('abcdef', 2)", "bcdef"),
    ("SUBSTRING('Sakila', -3)", "ila"),
    ("SUBSTRING('abcdef', 2, 4)", "bcde"),
    ("SUBSTRING('Sakila', -5, 3)", "aki"),
    ("SUBSTRING('abcdef', 5, 100)", "ef"),
    ("SUBSTRING('abc', 0)", ""),
    ("SUBSTRING('abc', 0, 1)", ""),
    ("ABS(-10)", 10),
    ("INT('-1')", -1),
    ("INT(TRUE)", 1),
    ("BOOL('TRUE')", True),
    ("BOOL(0)", False),
    ("BOOL(-50)", True),
    ("STRING(FALSE)", "false"),
    ("STRING(-1)", "-1"),
    ("IS_INT('12')", True),
    ("IS_INT('12.5')", False),
    ("IS_BOOL('TRUE')", True),
    ("IS_BOOL('yes')", False),
    ("LENGTH(CONCAT(LOWER('A'), id)) + 1", 7),
]


@pytest.mark.parametrize(
    ("expression", "wanted"), LITERALS + ARITHMETIC + COMPARISONS + LOGIC + MATCHES + SETS + FUNCTIONS
)
def test_an_expression_has_the_value_of_the_specification(expression, wanted):
    """Value and type, for every operator and function."""
    assert exactly(value(expression), wanted)


@pytest.mark.parametrize(
    ("expression", "kind", "zero"),
    [
        ("5 / 0", ErrorKind.MATH, 0),
        ("5 % 0", ErrorKind.MATH, 0),
        ("2147483647 + 1", ErrorKind.MATH, 0),
        ("-(-2147483648)", ErrorKind.MATH, 0),
        ("ABS(-2147483648)", ErrorKind.MATH, 0),
        ("'5avc4' + 10", ErrorKind.CAST, 0),
        ("'4294967296' + 1", ErrorKind.CAST, 0),
        ("'٣' + 1", ErrorKind.CAST, 0),
        ("INT('ABC')", ErrorKind.CAST, 0),
        ("BOOL('ABC')", ErrorKind.CAST, False),
        ("'abc' AND TRUE", ErrorKind.CAST, False),
        ("id > 1", ErrorKind.CAST, False),
        ("1 IN ('a', 1)", ErrorKind.CAST, False),
        ("NOT type = 'x'", ErrorKind.CAST, False),  # (NOT type) = 'x', as the precedence table has it
        ("missing", ErrorKind.MISSING_ATTRIBUTE, False),
        ("NOT missing", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing = ''", ErrorKind.MISSING_ATTRIBUTE, False),
        ("TRUE AND missing = ''", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing != 'x'", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing NOT LIKE 'x'", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing * 5", ErrorKind.MISSING_ATTRIBUTE, 0),
        ("LOWER(missing)", ErrorKind.MISSING_ATTRIBUTE, ""),
        ("LENGTH(missing)", ErrorKind.MISSING_ATTRIBUTE, 0),
        ("LEFT('abc', -2)", ErrorKind.FUNCTION_EVALUATION, ""),
        ("RIGHT('abc', -2)", ErrorKind.FUNCTION_EVALUATION, ""),
        ("SUBSTRING('abcdef', 10)", ErrorKind.FUNCTION_EVALUATION, ""),
        ("SUBSTRING('abcdef', -10, 10)", ErrorKind.FUNCTION_EVALUATION, ""),
        ("SUBSTRING('abcdef', 1, -1)", ErrorKind.FUNCTION_EVALUATION, ""),
    ],
)
def test_a_failed_evaluation_is_the_zero_value_with_an_error(expression, kind, zero):
    """Fail-fast mode: error kind, and the zero value of the expression's own type; a filter lets nothing through."""
    result = compile_expression(expression).evaluate(EVENT)
    assert result.error is kind
    assert exactly(result.value, zero)
    assert result.message
    assert not result.passes


def test_only_the_boolean_true_passes_a_filter():
    """An Integer or String result is no yes, not even 1 or 'true'."""
    passes = {text: compile_expression(text).evaluate(EVENT).passes for text in ("TRUE", "FALSE", "1", "'true'")}
    assert passes == {"TRUE": True, "FALSE": False, "1": False, "'true'": False}


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("", 1, "found the end"),
        ("1 +", 4, "found the end"),
        ("a b", 3, "found 'b'"),
        ("(1", 3, "wanted ')'"),
        ("1)", 2, "found ')'"),
        ("'abc", 1, "closed string"),
        ("a ! b", 3, "found '!'"),
        ("99999999999", 1, "32 bits"),
        ("2147483648", 1, "32 bits"),
        ("a LIKE b", 8, "string literal"),
        ("a NOT = 1", 7, "LIKE or IN"),
        ("a IN ()", 7, "found ')'"),
        ("a IN 'x'", 6, "wanted '('"),
        ("EXISTS 'x'", 8, "attribute name"),
        ("my_ext", 1, "attribute name"),
        ("+ a", 3, "digits"),
        ("AND", 1, "found 'AND'"),
        ("'1' + REVERSE('x')", 7, "unknown function REVERSE; the built-in ones are ABS"),
        ("LEFT('a')", 1, "LEFT takes 2 arguments, found 1"),
        ("SUBSTRING('a')", 1, "takes 2 or 3 arguments"),
        ("CONCAT_WS()", 1, "takes 1 or more arguments"),
        ("(" * 200 + "1" + ")" * 200, 151, "more than 150 operators"),
        ("1" + " + 1" * 200, 603, "more than 150 operators"),
    ],
)
def test_a_mistake_is_told_with_its_column(expression, column, message):
    """Where, what was found and what is wanted; unknown functions and nesting bombs included."""
    with pytest.raises(InvalidRequest) as caught:
        compile_expression(expression)
    assert f"column {column}: " in str(caught.value)
    assert message in str(caught.value)


@given(st.text(alphabet="ab%_\\.", max_size=12), st.text(alphabet="ab%_\\.", max_size=8))
def test_like_agrees_with_the_definition(text, pattern):
    """The compiled pattern says what a direct, recursive reading of the definition says."""

    def matches(t: str, p: str) -> bool:
        if p[:2] in (r"\%", r"\_"):
            return t[:1] == p[1] and matches(t[1:], p[2:])
        if p[:1] == "%":
            return matches(t, p[1:]) or (t != "" and matches(t[1:], p))
        if p == "" or t == "":
            return p == t
        return p[0] in ("_", t[0]) and matches(t[1:], p[1:])

    assert value(f"text LIKE '{pattern}'" if not pattern.endswith("\\") else "FALSE", text=text) is (
        not pattern.endswith("\\") and matches(text, pattern)
    )


@given(st.text(max_size=40))
def test_no_text_breaks_the_compiler(text):
    """Whatever is written, it is refused as InvalidRequest or compiles; what compiles evaluates without raising."""
    with suppress(InvalidRequest):
        assert compile_expression(text).evaluate(EVENT).passes in (True, False)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_division_truncates(x, y):
    """x = (x / y) * y + x % y, and the remainder has the sign of x."""
    expression = compile_expression("x / y").evaluate({"x": str(x), "y": str(y)})
    remainder = compile_expression("x % y").evaluate({"x": str(x), "y": str(y)})
    if y == 0:
        assert expression.error is remainder.error is ErrorKind.MATH
    elif expression.error is None:
        assert expression.value * y + remainder.value == x
        assert remainder.value == 0 or (remainder.value < 0) == (x < 0)
    else:
        assert (x, y) == (-(2**31), -1)
