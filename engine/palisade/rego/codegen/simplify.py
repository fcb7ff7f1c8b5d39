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
    done: list[Node] = []  # what follows, the last node first
    for node in reversed(nodes):
        match node:
            case Jump() | Return():
                done = [node]
            case Cond(test, then, orelse):
                folded = Cond(test, _fold(then), _fold(orelse))
                if ends([folded]):
                    done = []
                done.append(folded)
            case Loop(label, header, body):
                body = _fold(body)
                last = body[-1] if body else None
                if isinstance(last, Block):
                    # The end of the last block is the end of the round.
                    body = [*body[:-1], *_retarget(last.body, last.label, Jump(label))]
                done.append(Loop(label, header, _strip(body, frozenset((label,)))))
            case Block(label, body):
                done = _fold_block(label, body, done)
            case _:
                done.append(node)
    done.reverse()
    return done


def _fold_block(label: Label, body: list[Node], done: list[Node]) -> list[Node]:
    """The block and what follows it, which is `done`; both of them with the last node first."""
    if done and isinstance(done[-1], Jump | Return):
        # What comes behind the block is one jump: go there at once.
        return _fold([*_retarget(body, label, done[-1]), done[-1]])[::-1]
    body = _strip(_fold(body), frozenset((label,)))
    sites = sum(jump.label is label for jump in jumps(body))
    if not sites:
        done = [] if ends(body) else done
        done.extend(reversed(body))
        return done
    sunk = _sink(label, body, done[::-1]) if sites == 1 and ends(body) else None
    if sunk is not None:
        return sunk[::-1]
    done.append(Block(label, body))
    return done


def _sink(label: Label, body: list[Node], rest: list[Node]) -> list[Node] | None:
    """`{ a; if x leave; b; elsewhere } rest` as `a; if x { rest } else { b; elsewhere }`.

    Where b ends in a return, `rest` can follow instead of nesting, so that a thousand rules do not nest.
    """
    for at, node in enumerate(body):
        match node:
            case Cond(test, [*before, Jump(target)], []) if target is label:
                after = body[at + 1 :]
                if isinstance(after[-1], Return):
                    return [*body[:at], Cond(test, before, after), *rest]
                if _nesting(rest) < _DEEP:
                    return [*body[:at], Cond(test, [*before, *rest], after)]
                return None
    return None


_DEEP = 12


def _nesting(nodes: list[Node]) -> int:
    """How deep the conditions at the end of the nodes nest."""
    depth = 0
    while nodes and isinstance(last := nodes[-1], Cond):
        nodes = last.then or last.orelse
        depth += 1
    return depth


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
