"""``pagi cert``."""

from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

import pytest

from pagi.cli.cert import make_certificate
from pagi.cli.main import main


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()}


def test_a_certificate_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert main(["cert", "dev.example", "127.0.0.1", "--out", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"--ssl-cert {folder}/cert.pem --ssl-key {folder}/key.pem" in said
    assert "dev.example, 127.0.0.1" in said
    assert sorted(modes(folder)) == ["ca-key.pem", "ca.pem", "cert.pem", "key.pem"]
    assert {name for name, mode in modes(folder).items() if not mode} == {"ca-key.pem", "key.pem"}
    ssl.create_default_context(cafile=folder / "ca.pem")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "cert.pem", folder / "key.pem")


def test_the_authority_stays(tmp_path: Path) -> None:
    first = make_certificate([], tmp_path)
    authority, certificate = (
        (tmp_path / "ca.pem").read_bytes(),
        (tmp_path / "cert.pem").read_bytes(),
    )
    second = make_certificate(["other.example"], tmp_path)
    assert "new authority" in first
    assert "as before" in second
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "cert.pem").read_bytes() != certificate


def test_without_trustme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert main(["cert", "--out", str(tmp_path)]) == 3
    assert "pip install 'pagi-web[cert]'" in capsys.readouterr().err


def test_a_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["cert", "--out", str(tmp_path / "file")]) == 3
    assert "cannot write" in capsys.readouterr().err
