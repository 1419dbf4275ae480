"""CESQL text to a tree: a lexer of one regular expression and a parser by precedence climbing (CESQL 1.0, 2).

Precedence, tightest first: unary NOT and -, then LIKE and IN, then * / %, + -, comparisons, AND, then OR and XOR; equal
ones from left to right. So `NOT a = b` is `(NOT a) = b`, as in the reference grammar; write `NOT (a = b)`.
"""

import re
from dataclasses import dataclass

from warmfront.errors import InvalidRequest
from warmfront.runtime.eventing.cesql import functions, nodes
from warmfront.runtime.eventing.cesql.nodes import ARITHMETIC, LOGIC, ORDER, Node
from warmfront.runtime.eventing.cesql.values import INT_MAX, INT_MIN

# Every operator and bracket is at most four frames of Python's stack of 1,000, here and in evaluation.
MAX_OPERATORS = 150

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
      | (?P<word>[A-Za-z0-9_]+)
      | (?P<symbol><=|>=|<>|!=|[-=<>+*/%(),])
      | (?P<end>\Z)
      | (?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = {"AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"}
_UNARY, _MATCH = 70, 60
_PRECEDENCE = (
    {"LIKE": _MATCH, "IN": _MATCH, "NOT": _MATCH, "*": 50, "/": 50, "%": 50, "+": 40, "-": 40}
    | dict.fromkeys(("=", "!=", "<>", *ORDER), 30)
    | {"AND": 20, "OR": 10, "XOR": 10}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    kind: str  # string, word, symbol, keyword, end
    text: str
    column: int


def parse(text: str) -> Node:
    """The tree of an expression; InvalidRequest names column, found and wanted."""
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, position)
        assert match is not None, "the last alternative takes any character"
        kind = match.lastgroup or ""
        token = _Token(kind=kind, text=match[kind], column=match.start(kind) + 1)
        if kind == "other":
            raise _fault(token, "an operator, attribute, literal or a closed string")
        if kind == "word" and token.text.upper() in _KEYWORDS:
            token = _Token(kind="keyword", text=token.text.upper(), column=token.column)
        tokens.append(token)
        position = match.end()
    return tokens


def _fault(token: _Token, wanted: str) -> InvalidRequest:
    found = "the end" if token.kind == "end" else repr(token.text)
    return InvalidRequest(f"CESQL column {token.column}: found {found}, wanted {wanted}")


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._operators = 0

    def whole(self) -> Node:
        node = self._expression(0)
        if self._peek.kind != "end":
            raise _fault(self._peek, "an operator or the end")
        return node

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next += 1
        return token

    def _is(self, text: str) -> bool:
        return self._peek.text == text and self._peek.kind in ("symbol", "keyword")

    def _accept(self, text: str) -> bool:
        found = self._is(text)
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise _fault(self._peek, repr(text))

    def _count(self, token: _Token) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise InvalidRequest(
                f"CESQL column {token.column}: more than {MAX_OPERATORS} operators and brackets; use several filters"
            )

    def _expression(self, floor: int) -> Node:
        """The longest expression whose operators all bind tighter than `floor`."""
        left = self._prefix()
        while self._peek.kind in ("symbol", "keyword") and _PRECEDENCE.get(self._peek.text, 0) > floor:
            token = self._take()
            self._count(token)
            left = self._infix(left, token)
        return left

    def _infix(self, left: Node, token: _Token) -> Node:
        symbol = token.text
        if symbol == "NOT":
            if not (self._is("LIKE") or self._is("IN")):
                raise _fault(self._peek, "LIKE or IN after NOT")
            return nodes.negation(self._infix(left, self._take()))
        if symbol == "LIKE":
            return nodes.like(left, self._string())
        if symbol == "IN":
            self._expect("(")
            return nodes.membership(left, self._list(at_least=1))
        right = self._expression(_PRECEDENCE[symbol])
        if symbol in ("=", "!=", "<>"):
            equal = nodes.equality(left, right)
            return equal if symbol == "=" else nodes.negation(equal)
        if symbol in ORDER:
            return nodes.ordering(symbol, left, right)
        return nodes.arithmetic(symbol, left, right) if symbol in ARITHMETIC else LOGIC[symbol](left, right)

    def _prefix(self) -> Node:
        token = self._take()
        if token.kind == "word":
            return self._word(token)
        if token.kind == "string":
            return nodes.literal(_unquoted(token.text))
        if token.text in ("TRUE", "FALSE"):
            return nodes.literal(token.text == "TRUE")
        if token.text == "EXISTS":
            return nodes.exists(self._name(self._take()))
        if token.text in ("NOT", "-", "+", "("):
            return self._nested(token)
        raise _fault(token, "an attribute, literal, function or '('")

    def _nested(self, token: _Token) -> Node:
        self._count(token)
        if token.text == "NOT":
            return nodes.negation(self._expression(_UNARY))
        if token.text == "(":
            node = self._expression(0)
            self._expect(")")
            return node
        if self._peek.text.isdigit() and self._peek.kind == "word":  # a sign is part of the literal
            return _integer(self._take(), -1 if token.text == "-" else 1)
        if token.text == "+":
            raise _fault(self._peek, "digits after '+'")
        return nodes.minus(self._expression(_UNARY))

    def _word(self, token: _Token) -> Node:
        if self._accept("("):
            self._count(token)
            arguments = self._list(at_least=0)
            try:
                return nodes.call(functions.find(token.text, len(arguments)), arguments)
            except InvalidRequest as error:
                raise InvalidRequest(f"CESQL column {token.column}: {error}") from None
        return _integer(token, 1) if token.text.isdigit() else nodes.attribute(self._name(token))

    def _list(self, *, at_least: int) -> tuple[Node, ...]:
        """Expressions up to the closing bracket; the opening one is taken already."""
        if at_least == 0 and self._accept(")"):
            return ()
        elements = [self._expression(0)]
        while self._accept(","):
            elements.append(self._expression(0))
        self._expect(")")
        return tuple(elements)

    def _string(self) -> str:
        token = self._take()
        if token.kind != "string":
            raise _fault(token, "a string literal as pattern")
        return _unquoted(token.text)

    @staticmethod
    def _name(token: _Token) -> str:
        if token.kind != "word" or "_" in token.text:
            raise _fault(token, "an attribute name of letters and digits")
        return token.text.lower()


def _unquoted(text: str) -> str:
    """The inside of a literal; only its own quote can be escaped, a LIKE pattern keeps its other backslashes."""
    return text[1:-1].replace("\\" + text[0], text[0])


def _integer(token: _Token, sign: int) -> Node:
    if len(token.text) > 10 or not INT_MIN <= sign * int(token.text) <= INT_MAX:
        raise _fault(token, "an integer of 32 bits")
    return nodes.literal(sign * int(token.text))
