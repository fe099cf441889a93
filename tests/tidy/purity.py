"""What `twin.core` may not contain, read from the syntax tree, where an import contract cannot see it.

The core must decide alike on any machine and under any hash seed. Sets iterate in an order that depends on
the seed, `hash` and `id` differ between processes, a float rounds, a bare `assert` vanishes under `-O`. Sets
are refused wherever they are made or declared: the tree cannot tell what a name holds when it is iterated.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

__all__ = ["FORBIDDEN_LIBRARY", "impurities"]

FORBIDDEN_LIBRARY = (
    "asyncio",
    "concurrent",
    "datetime",
    "importlib",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
    "zoneinfo",
)
"""Modules of the standard library that read a clock, a disk, a network, or luck."""

_THIRD_PARTY = ("msgspec",)
_SET_TYPES = ("set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet")
_EXACT_MATH = ("comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod")
_CALLS = {
    "hash": "hash() differs between processes",
    "id": "id() differs between processes",
    "print": "print() in the core",
    "open": "open() in the core",
    "input": "input() in the core",
    "eval": "eval() in the core",
    "exec": "exec() in the core",
    "__import__": "an import that no contract sees",
}


def impurities(source: str, *, package: str = "twin.core") -> list[str]:
    """Every impurity of a module's source as `line: what`, in the order of lines; empty when it is pure.

    `package` is the one whose modules may be imported besides the library. Raises `SyntaxError`.
    """
    tree = ast.parse(source)
    spared = _spared(tree)
    found = [
        (node.lineno, what)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.stmt) and node not in spared
        for what in _complaints(node, package)
    ]
    return [f"{line}: {what}" for line, what in sorted(found)]


def _spared(tree: ast.AST) -> list[ast.AST]:
    """Nodes that are harmless where they stand.

    A set display right of `in` is never iterated. `isinstance(x, float)` is how a float is refused.
    """
    spared: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            pairs = zip(node.ops, node.comparators, strict=True)
            spared += [
                right for op, right in pairs if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Set)
            ]
        elif isinstance(node, ast.Call) and _name(node.func) == "isinstance" and len(node.args) == 2:
            spared += ast.walk(node.args[1])
    return spared


def _complaints(node: ast.expr | ast.stmt, package: str) -> Iterator[str]:
    match node:
        case ast.Set() | ast.SetComp():
            yield "a set: its order depends on the hash seed"
        case ast.Assert():
            yield "a bare assert vanishes under -O: raise CorruptLog"
        case ast.Constant(value=float() | complex()):
            yield "a float"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield "true division makes a float: use //"
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub())):
            yield "a negative power makes a float"
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.BitXor() | ast.Sub(), left=left, right=right):
            if _is_view(left) or _is_view(right):
                yield "an operation on dict views makes a set"
        case ast.Call():
            yield from _call_complaints(node)
        case ast.Import() | ast.ImportFrom():
            yield from _import_complaints(node, package)
        case ast.Name(id="float"):
            yield "float in the core"
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _SET_TYPES:
            yield f"{name}: the core holds no sets"
        case ast.Attribute(value=ast.Name(id="math"), attr=attribute) if attribute not in _EXACT_MATH:
            yield f"math.{attribute} makes a float"


def _call_complaints(call: ast.Call) -> Iterator[str]:
    if (name := _name(call.func)) in _CALLS:
        yield _CALLS[name]
    # hash and id are as harmful when handed on: sorted(xs, key=id), map(hash, xs).
    handed = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "key")]
    if name in ("map", "sorted", "min", "max", "sort") or any(keyword.arg == "key" for keyword in call.keywords):
        for argument in handed:
            if _name(argument) in ("hash", "id"):
                yield f"{_name(argument)} handed to a function"


def _import_complaints(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        if node.level:
            yield "a relative import: write the full name"
            return
        modules = [node.module or ""]
        if node.module == "math":
            for alias in node.names:
                if alias.name not in _EXACT_MATH:
                    yield f"math.{alias.name} makes a float"
    else:
        modules = [alias.name for alias in node.names]
        if any(alias.name == "math" and alias.asname for alias in node.names):
            yield "math under another name: its float functions would not be seen"
    for module in modules:
        top = module.partition(".")[0]
        if module == package or module.startswith(package + ".") or top in _THIRD_PARTY:
            continue
        if top in FORBIDDEN_LIBRARY:
            yield f"import of {module}: it reads a clock, a disk, a network, or luck"
        elif top not in sys.stdlib_module_names:
            yield f"import of {module}: the core imports the standard library, msgspec and itself"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and node.attr == "sort":
        return "sort"
    return ""


def _is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "items")
