"""Which mutations are made: a choice of cosmic-ray's operators, and those it lacks.

cosmic-ray replaces each operator by every other one. Most of these mutants die in any test that
runs the line (``a >> b`` of floats), which flatters the kill rate; here each operator has one or
two neighbours instead. What is added are the faults that tests miss most: a statement that is
not there, a condition that always or never holds, an operand or a slice bound that is forgotten,
``max`` for ``min``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import parso
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator

Node = Any  # parso ships no types
Position = tuple[tuple[int, int], tuple[int, int]]

NEIGHBOURS: Final = (
    *("Comparison:Lt_LtE", "Comparison:Lt_GtE", "Comparison:LtE_Lt", "Comparison:LtE_Gt"),
    *("Comparison:Gt_GtE", "Comparison:Gt_LtE", "Comparison:GtE_Gt", "Comparison:GtE_Lt"),
    *("Comparison:Eq_NotEq", "Comparison:NotEq_Eq", "Comparison:Is_IsNot", "Comparison:IsNot_Is"),
    *("Binary:Add_Sub", "Binary:Sub_Add", "Binary:Mul_Div", "Binary:Div_Mul"),
    *("Binary:FloorDiv_Mul", "Binary:Mod_FloorDiv", "Binary:Pow_Mul", "Binary:BitAnd_BitOr"),
    *("Binary:BitOr_BitAnd", "Binary:BitXor_BitAnd", "Binary:LShift_RShift"),
    *("Binary:RShift_LShift", "Unary:USub_UAdd", "Unary:Delete_Invert", "Unary:Delete_Not"),
)
OTHERS: Final = (
    *("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr"),
    *("ReplaceOrWithAnd", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ExceptionReplacer", "ZeroIterationForLoop"),
)


def all_operators() -> list[Operator]:
    """One of every operator, cosmic-ray's first."""
    names = [f"Replace{kind}Operator_{pair}" for kind, pair in (n.split(":") for n in NEIGHBOURS)]
    core = [get_operator(f"core/{name}")() for name in (*names, *OTHERS)]
    return [*core, *(kind() for kind in ADDED)]


class _Rewriting(Operator):
    """An operator whose mutants of a node are source texts."""

    def rewritten(self, node: Node) -> Sequence[str]:
        """The mutants of exactly this node, without what stands before it."""
        raise NotImplementedError

    def mutation_positions(self, node: Node) -> Iterator[Position]:
        for _ in self.rewritten(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Node, index: int) -> Node:
        before = node.get_first_leaf().prefix
        return parso.parse(before + self.rewritten(node)[index])


class DeleteStatement(_Rewriting):
    """A simple statement of a function becomes ``pass``."""

    KEPT: Final = ("pass_stmt", "string", "strings", "import_name", "import_from", "global_stmt")

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type != "simple_stmt" or parso.tree.search_ancestor(node, "funcdef") is None:
            return ()
        statement = node.children[0]
        if statement.type in self.KEPT or getattr(statement, "value", None) in ("pass", "..."):
            return ()
        return ("pass\n",)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("def f():\n    '''Doc.'''\n    g()\n", "def f():\n    '''Doc.'''\n    pass\n"),
        )


class ForceCondition(_Rewriting):
    """A condition always holds, or never does."""

    def rewritten(self, node: Node) -> Sequence[str]:
        parent, before = node.parent, node.get_previous_leaf()
        word = getattr(before, "value", "")
        if parent is None or node.type in ("operator", "keyword"):
            return ()
        if parent.type == "if_stmt" and word in ("if", "elif"):
            return ("True", "False")
        if parent.type in ("ternary", "test") and word == "if":
            return ("True", "False")
        if parent.type == "comp_if":
            return ("True", "False")
        return ("False",) if parent.type == "while_stmt" and word == "while" else ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("if a < b:\n    c\n", "if True:\n    c\n"),
            Example("if a < b:\n    c\n", "if False:\n    c\n", occurrence=1),
            Example("a if b else c\n", "a if True else c\n"),
            Example("[a for a in b if a]\n", "[a for a in b if True]\n"),
            Example("while a:\n    b\n", "while False:\n    b\n"),
        )


class DropOperand(_Rewriting):
    """An operand is forgotten, and the operator beside it: ``a + b`` becomes ``a``, or ``b``."""

    CHAINS: Final = ("arith_expr", "term", "and_test", "or_test", "shift_expr", "and_expr", "expr")

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type not in self.CHAINS:
            return ()
        parts = node.children
        kept = [[*parts[: i - 1], *parts[i + 1 :]] for i in range(2, len(parts), 2)]
        return [_text(rest) for rest in (parts[2:], *kept)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("x = a - b + c\n", "x = b + c\n"),
            Example("x = a - b + c\n", "x = a + c\n", occurrence=1),
            Example("x = a and b\n", "x = a\n", occurrence=1),
        )


class ChangeSlice(_Rewriting):
    """A bound is forgotten, or the other end is taken: ``[a:]`` becomes ``[:a]``."""

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type != "subscript" or len(node.children) > 3:
            return ()
        first, *rest = node.children
        if not rest or first == ":":
            return [f"{_text(rest)}:"] if rest else ()
        start, stop = _text([first]), _text(rest[1:])
        return (f"{start}:", f":{stop}") if stop else (f":{start}",)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("a[b:]\n", "a[:b]\n"),
            Example("a[:b]\n", "a[b:]\n"),
            Example("a[b:c]\n", "a[b:]\n"),
            Example("a[b:c]\n", "a[:c]\n", occurrence=1),
        )


class SwapFunction(_Rewriting):
    """A function becomes its counterpart."""

    PAIRS: Final = (
        *(("min", "max"), ("any", "all"), ("argmin", "argmax"), ("minimum", "maximum")),
        *(("floor", "ceil"), ("cos", "sin"), ("startswith", "endswith"), ("lstrip", "rstrip")),
    )
    COUNTERPART: Final = {**dict(PAIRS), **{b: a for a, b in PAIRS}}

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type != "name" or getattr(node.get_next_leaf(), "value", "") != "(":
            return ()
        other = self.COUNTERPART.get(node.value)
        return (other,) if other else ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x = min(y)\n", "x = max(y)\n"), Example("x = y.any()\n", "x = y.all()\n"))


class DropKeyword(_Rewriting):
    """A keyword argument of a call is forgotten."""

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type != "arglist":
            return ()
        arguments = [part for part in node.children if part != ","]
        named = [a for a in arguments if a.type == "argument" and a.children[1] == "="]
        return [", ".join(_text([a]) for a in arguments if a is not gone) for gone in named]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("min(a, default=b)\n", "min(a)\n"),)


class ReplaceAugmented(_Rewriting):
    """``+=`` becomes ``-=``, and an assignment."""

    OTHERS: Final = {
        "+=": ("-=", "="),
        "-=": ("+=", "="),
        "*=": ("/=", "="),
        "/=": ("*=", "="),
        "|=": ("&=", "="),
        "&=": ("|=", "="),
        "//=": ("=",),
        "%=": ("=",),
    }

    def rewritten(self, node: Node) -> Sequence[str]:
        return self.OTHERS.get(node.value, ()) if node.type == "operator" else ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("a += b\n", "a -= b\n"),
            Example("a += b\n", "a = b\n", occurrence=1),
        )


class ChangeString(_Rewriting):
    """A string of the program, not of the documentation or an error, is another one."""

    def rewritten(self, node: Node) -> Sequence[str]:
        if node.type != "string" or node.parent.type in ("simple_stmt", "strings"):
            return ()
        if parso.tree.search_ancestor(node, "raise_stmt") is not None or '"""' in node.value:
            return ()
        return (f"{node.value[:-1]}?{node.value[-1]}",)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example('x = "y"\n', 'x = "y?"\n'),)


ADDED: Final[tuple[type[_Rewriting], ...]] = (
    *(DeleteStatement, ForceCondition, DropOperand, ChangeSlice, SwapFunction),
    *(DropKeyword, ReplaceAugmented, ChangeString),
)


def _text(nodes: Sequence[Node]) -> str:
    return "".join(node.get_code() for node in nodes).strip()
