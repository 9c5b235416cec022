"""Every command line of the README and the documents is one that exists."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest

from denram.cli._options import pairs
from denram.cli.analyze import command as analyze
from denram.cli.map import command as map_
from denram.cli.train import command as train
from denram.train.run_config import nested

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS = {"denram-map": map_, "denram-train": train, "denram-analyze": analyze}


def words_of(line):
    """The words of each denram command in a line of a shell."""
    found = [[]]
    for word in shlex.split(line, comments=True):
        found[-1].append(word)
        if word == "&&":
            found.append([])
    return [[w for w in f if w != "&&"] for f in found if f and f[0] in COMMANDS]


def command_lines():
    """Whole lines of the code blocks, those continued by a backslash joined."""
    for page in PAGES:
        blocks = page.read_text(encoding="utf-8").split("```")[1::2]
        for block in blocks:
            if block.startswith("python"):
                continue
            for line in block.replace("\\\n", " ").splitlines():
                yield from words_of(line)


def mentions():
    """Commands that stand in the text, perhaps without their arguments."""
    for page in PAGES:
        text = "".join(page.read_text(encoding="utf-8").split("```")[::2])
        for code in re.findall(r"`(denram-[^`]+)`", text):
            yield from words_of(code.replace("\n", " "))


def named(words):
    """The command that is meant, and its arguments."""
    command = COMMANDS[words[0]]
    if isinstance(command, click.Group) and words[1:] and words[1][0] != "-":
        assert words[1] in command.commands
        return command.commands[words[1]], words[2:]
    return command, words[1:]


def parse(words):
    """Click's own reading of a command line; nothing is run."""
    command, arguments = named(words)
    return command.make_context(words[0], list(arguments))


def options(command):
    return {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}


def settings_of(words):
    return [b for a, b in pairwise(words) if a == "--set"]


def test_there_are_command_lines_to_check():
    lines = list(command_lines())
    assert {line[0] for line in lines} == set(COMMANDS)
    assert len(lines) > 20


@pytest.mark.parametrize("words", list(command_lines()), ids=" ".join)
def test_a_command_line_of_the_documents_is_accepted(words, capsys):
    if words[-1] == "--support":  # says its table while it is parsed
        assert "--support" in options(COMMANDS[words[0]])
        return
    assert parse(words).params
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", list(mentions()), ids=" ".join)
def test_a_command_that_the_text_mentions_exists(words):
    command, arguments = named(words)
    flags = {word for word in arguments if word.startswith("--")}
    assert flags <= options(command)


@pytest.mark.parametrize("words", list(command_lines()), ids=" ".join)
def test_the_settings_of_a_command_line_are_keys(words):
    for key in pairs(settings_of(words)):
        assert nested({key: None})


def test_a_flag_or_a_command_that_does_not_exist_is_found():
    with pytest.raises(click.UsageError, match="No such option"):
        parse(["denram-map", "--resistence", "1e9"])
    with pytest.raises(click.UsageError, match="No such option"):
        parse(["denram-analyze", "drift", "--time", "1"])
    with pytest.raises(click.UsageError):
        parse(["denram-map", "fit", "measured.csv", "--unit", "kohm"])


def test_the_pages_are_short():
    lengths = [len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES]
    assert lengths[0] < 120
    assert max(lengths) <= 240
