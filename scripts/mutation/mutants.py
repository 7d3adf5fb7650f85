"""All mutants of a source text, each with a name that outlives moved lines. Runs nothing."""

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from scripts.mutation.operators import all_operators


@dataclass(frozen=True, order=True)
class Change:
    """What a mutant changes: this is how accepted survivors are named.

    ``was`` and ``now`` are the changed lines without indentation and comments, ``within`` is the
    function or class around them ("" at the top of the module). ``nth`` counts equal changes of
    equal lines there, from 1.
    """

    module: str
    within: str
    was: str
    now: str
    nth: int = 1


@dataclass(frozen=True)
class Mutant:
    """One changed source text of a module."""

    change: Change
    source: str
    diff: str


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant whose program differs from the original's and from each other's."""
    seen = {_program(source)}
    mutants: dict[Change, Mutant] = {}
    for text in _mutated(source):
        try:
            program = _program(text)
        except SyntaxError:
            continue
        if program in seen:
            continue
        seen.add(program)
        mutant = _mutant(module, source, text)
        while mutant.change in mutants:
            change = replace(mutant.change, nth=mutant.change.nth + 1)
            mutant = replace(mutant, change=change)
        mutants[mutant.change] = mutant
    return list(mutants.values())


def _mutated(source: str) -> Iterator[str]:
    nodes = list(ast_nodes(get_ast(source)))
    for operator in all_operators():
        places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        for occurrence in range(places):
            text = mutate_code(source, operator, occurrence)
            if text is not None:
                yield text


class _Bare(ast.NodeTransformer):
    """Removes what changes nothing that a test should look at.

    Annotations and type variables, the arguments of decorators (a dataclass is frozen or has
    slots), assertions (they narrow types).
    """

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.Pass()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "TypeVar":
            return node.func
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _program(source: str) -> str:
    return ast.dump(_Bare().visit(ast.parse(source)))


def _mutant(module: str, source: str, text: str) -> Mutant:
    old, new = source.splitlines(), text.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    edits = [edit for edit in matcher.get_opcodes() if edit[0] != "equal"]
    first, last = edits[0], edits[-1]
    change = Change(
        module,
        _within(source, first[1] + 1),
        _flat(old[first[1] : last[2]]),
        _flat(new[first[3] : last[4]]),
    )
    diff = difflib.unified_diff(old, new, module, module, lineterm="", n=2)
    return Mutant(change, text, "\n".join(diff))


def _flat(lines: list[str]) -> str:
    return re.sub(r"\s+", " ", " ".join(re.sub(r"  #.*", "", line) for line in lines)).strip()


def _within(source: str, line: int) -> str:
    names: list[str] = []
    body: list[ast.stmt] = ast.parse(source).body
    while inside := [
        node
        for node in body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or line)
    ]:
        names.append(inside[0].name)
        body = inside[0].body
    return ".".join(names)
