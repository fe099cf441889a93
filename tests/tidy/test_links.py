"""A relative link in a tracked Markdown file leads to a file or folder that is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.tidy.tracked import tracked_texts

_CODE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[`~]*[ \t]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\]\(\s*<?([^\s<>()]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s<>]+)>?", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")


def relative_links(text: str) -> list[str]:
    """The paths that the links and images of a Markdown text lead to, without those on the web or in the page."""
    prose = _CODE.sub("", text)
    targets = [found[1] for pattern in (_INLINE, _REFERENCE) for found in pattern.finditer(prose)]
    paths = [unquote(target.partition("#")[0]) for target in targets if not _ELSEWHERE.match(target)]
    return [path for path in paths if path]


def broken(folder: Path, text: str) -> list[str]:
    """The relative links of a text in `folder` that lead nowhere."""
    return [path for path in relative_links(text) if not (folder / path).exists()]


def test_every_relative_link_leads_to_something_that_is_there(root: Path) -> None:
    pages = [(path, text) for path, text in tracked_texts(root) if path.endswith(".md")]
    assert sum(len(relative_links(text)) for _, text in pages) > 20, "hardly a link was found"
    found = [f"{path}: {link}" for path, text in pages for link in broken((root / path).parent, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "see [it](missing.md)",
        "see [it](missing.md#part)",
        "![a picture](images/missing.png)",
        '[it](missing.md "a title")',
        "[it](<missing.md>)",
        "[it]: missing.md",
        "```\n[fine](no.md)\n```\n[it](missing.md)\n```\n[fine](no.md)\n```",
    ],
)
def test_a_planted_link_is_caught(tmp_path: Path, planted: str) -> None:
    assert len(broken(tmp_path, planted)) == 1


@pytest.mark.parametrize(
    "allowed",
    [
        "[it](there.md) and [its part](there.md#part)",
        "[the folder](.)",
        "[the web](https://example.org/missing.md)",
        "[below](#below)",
        "`[code](missing.md)`",
        "```\n[code](missing.md)\n```",
        "[a mail](mailto:me@example.org)",
    ],
)
def test_a_link_that_leads_somewhere_is_let_through(tmp_path: Path, allowed: str) -> None:
    (tmp_path / "there.md").touch()
    assert broken(tmp_path, allowed) == []
