"""Fewer jumps: what ifs can express needs no label.

A label that no jump names any more costs nothing; one that is left becomes a loop that runs once, left by
`break`. So every jump that goes away here makes the Python flatter.
"""

from __future__ import annotations

from palisade.rego.codegen.tree import Block, Cond, Jump, Label, Loop, Node, Return, ends, jumps


def simplify(nodes: list[Node]) -> list[Node]:
    """The nodes of a function's body with the same meaning and fewer jumps."""
    return _strip(_fold(nodes), frozenset())


def _fold(nodes: list[Node]) -> list[Node]:
    """Right to left, so that what follows a block is known when the block is looked at."""
    rest: list[Node] = []
    for node in reversed(nodes):
        match node:
            case Jump() | Return():
                rest = [node]
            case Cond(test, then, orelse):
                rest = [Cond(test, _fold(then), _fold(orelse)), *rest]
                if ends(rest[:1]):
                    rest = rest[:1]
            case Loop(label, header, body):
                body = _fold(body)
                last = body[-1] if body else None
                if isinstance(last, Block):
                    # The end of the last block is the end of the round.
                    body = [*body[:-1], *_retarget(last.body, last.label, Jump(label))]
                rest = [Loop(label, header, _strip(body, frozenset((label,)))), *rest]
            case Block(label, body):
                rest = _fold_block(label, body, rest)
            case _:
                rest = [node, *rest]
    return rest


def _fold_block(label: Label, body: list[Node], rest: list[Node]) -> list[Node]:
    if rest and isinstance(rest[0], Jump | Return):
        # What comes behind the block is one jump: go there at once.
        return _fold([*_retarget(body, label, rest[0]), rest[0]])
    body = _strip(_fold(body), frozenset((label,)))
    sites = sum(jump.label is label for jump in jumps(body))
    if not sites:
        return body if ends(body) else [*body, *rest]
    sunk = _sink(label, body, rest) if sites == 1 and ends(body) else None
    return sunk if sunk is not None else [Block(label, body), *rest]


def _sink(label: Label, body: list[Node], rest: list[Node]) -> list[Node] | None:
    """`{ a; if x leave; b; elsewhere } rest` as `a; if x { rest } else { b; elsewhere }`."""
    for at, node in enumerate(body):
        if (
            isinstance(node, Cond)
            and not node.orelse
            and isinstance(node.then[-1], Jump)
            and node.then[-1].label is label
        ):
            return [*body[:at], Cond(node.test, [*node.then[:-1], *rest], body[at + 1 :])]
    return None


def _retarget(nodes: list[Node], old: Label, new: Jump | Return) -> list[Node]:
    result: list[Node] = []
    for node in nodes:
        match node:
            case Jump(label) if label is old:
                result.append(new)
            case Cond(test, then, orelse):
                result.append(Cond(test, _retarget(then, old, new), _retarget(orelse, old, new)))
            case Block(label, body):
                result.append(Block(label, _retarget(body, old, new)))
            case Loop(label, header, body):
                result.append(Loop(label, header, _retarget(body, old, new)))
            case _:
                result.append(node)
    return result


def _strip(nodes: list[Node], natural: frozenset[Label]) -> list[Node]:
    """Drops the jumps at the end of the nodes to labels that control comes to there anyway."""
    if not nodes:
        return nodes
    head, last = nodes[:-1], nodes[-1]
    match last:
        case Jump(label) if label in natural:
            return _strip(head, natural)
        case Cond(test, then, orelse):
            then, orelse = _strip(then, natural), _strip(orelse, natural)
            if then or orelse:
                return [*head, Cond(test, then, orelse)]
            return [*head, Cond(test)]
        case Block(label, body):
            body = _strip(body, natural | {label})
            if any(jump.label is label for jump in jumps(body)):
                return [*head, Block(label, body)]
            return [*head, *body]
    return nodes
