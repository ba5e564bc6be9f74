import os
import sys
import warnings

import pytest


@pytest.fixture
def five():
    yield 5


def test_fixture(five, tmp_path):
    (tmp_path / "file").write_text("x" * five)
    assert os.path.getsize(tmp_path / "file") == 5


def test_capture(capsys):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    assert capsys.readouterr() == ("to stdout\n", "to stderr\n")


def test_monkeypatch(monkeypatch):
    monkeypatch.setenv("OF_THE_SUITE", "1")
    monkeypatch.setattr(sys, "argv", ["x"])
    assert os.environ["OF_THE_SUITE"] == "1" and sys.argv == ["x"]


def test_warns():
    with pytest.warns(UserWarning, match="expected"):
        warnings.warn("expected")


def test_fails(five):
    assert five == 6


@pytest.mark.skip
def test_skipped():
    pass
