"""Where the database is, from the environment that Immich reads."""

import os
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import URL

from linked_asset.config import database_url, read_env_file, target
from linked_asset.errors import InvalidConfiguration, LinkedAssetError


def parts(url: URL) -> tuple[object, ...]:
    return url.username, url.password, url.host, url.port, url.database


def test_immichs_defaults() -> None:
    url = database_url({})
    assert url.drivername == "postgresql+psycopg"
    assert parts(url) == ("postgres", "postgres", "database", 5432, "immich")
    assert url.query["application_name"] == "linked-asset"


def test_single_variables_take_any_password() -> None:
    url = database_url(
        {
            "DB_HOSTNAME": "h",
            "DB_PORT": "5433",
            "DB_USERNAME": "u",
            "DB_PASSWORD": "a@b:c/d%e%41?",
            "DB_DATABASE_NAME": "d",
        }
    )
    assert parts(url) == ("u", "a@b:c/d%e%41?", "h", 5433, "d")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:p@h:5433/d", ("u", "p", "h", 5433, "d")),
        ("postgresql://u:p@h:5433/d", ("u", "p", "h", 5433, "d")),
        ("postgresql://u:p@h/d", ("u", "p", "h", None, "d")),
        ("postgresql://u@h/d", ("u", None, "h", None, "d")),
        ("postgresql://h/d", (None, None, "h", None, "d")),
        ("postgresql://u:a%40b%3Ac%2Fd%25@h/d", ("u", "a@b:c/d%", "h", None, "d")),
        ("postgresql://u:a@b:c/d%@h:1/d", ("u", "a@b:c/d%", "h", 1, "d")),
        ("postgresql://first%20last:p@h/my%20db", ("first last", "p", "h", None, "my db")),
        ("postgresql://u:p@[::1]:5433/d", ("u", "p", "::1", 5433, "d")),
        ("  postgres://u:p@h/d\n", ("u", "p", "h", None, "d")),
    ],
)
def test_urls(given: str, expected: tuple[object, ...]) -> None:
    assert parts(database_url({"DB_URL": given, "DB_HOSTNAME": "ignored"})) == expected


@pytest.mark.parametrize(
    ("environment", "socket"),
    [
        ({"DB_URL": "postgresql://u:p@/d?host=/var/run/postgresql"}, "/var/run/postgresql"),
        ({"DB_URL": "postgresql:///d?host=/tmp/a%20b"}, "/tmp/a b"),
        ({"DB_HOSTNAME": "/var/run/postgresql"}, "/var/run/postgresql"),
    ],
)
def test_unix_sockets(environment: dict[str, str], socket: str) -> None:
    url = database_url(environment)
    assert (url.host, url.query["host"]) == (None, socket)
    assert f"at {socket}" in target(url)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=require", "require"),
        ("sslmode=disable", "disable"),
        ("sslmode=no-verify", "require"),
        ("sslmode=verify-full&uselibpqcompat=true", "verify-full"),
        ("ssl=true", "require"),
        ("ssl=false", "disable"),
        ("schema=public", None),
    ],
)
def test_sslmode(query: str, expected: str | None) -> None:
    url = database_url({"DB_URL": f"postgresql://u:p@h/d?{query}"})
    assert url.query.get("sslmode") == expected
    assert set(url.query) <= {"sslmode", "application_name", "connect_timeout"}


def test_ssl_mode_variable() -> None:
    assert database_url({"DB_SSL_MODE": "no-verify"}).query["sslmode"] == "require"


@pytest.mark.parametrize(
    "environment",
    [
        {"DB_PORT": "secret"},
        {"DB_PORT": "70000"},
        {"DB_URL": "mysql://u:secret@h/d"},
        {"DB_URL": "u:secret@h/d"},
        {"DB_URL": "postgresql://u:secret@h:port/d"},
        {"DB_URL": "postgresql://u:secret@h/d?sslmode=sometimes"},
        {"DB_SSL_MODE": "sometimes"},
    ],
)
def test_nonsense_is_named_by_its_variable(environment: dict[str, str]) -> None:
    (variable,) = environment
    with pytest.raises(InvalidConfiguration, match=f"^{variable}: ") as raised:
        database_url(environment)
    assert raised.value.data["variable"] == variable
    assert "secret" not in str(raised.value) or variable == "DB_PORT"


def test_no_password_in_words() -> None:
    words = target(database_url({"DB_PASSWORD": "secret", "DB_HOSTNAME": "h"}))
    assert words == 'database "immich" at h:5432'


def test_an_error_is_its_docstring_filled_in() -> None:
    class OutOfCheese(LinkedAssetError):
        """there is no {what}
        left."""

    error = OutOfCheese(what="cheese")
    assert str(error) == "there is no cheese left."
    assert error.data == {"what": "cheese"}


def test_secrets_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a b@c\n")
    assert database_url({"DB_PASSWORD": "other", "DB_PASSWORD_FILE": str(secret)}).password == "a b@c"
    with pytest.raises(InvalidConfiguration, match=r"DB_URL_FILE: cannot be read: No such file .*nowhere"):
        database_url({"DB_URL_FILE": str(tmp_path / "nowhere")})


def test_immichs_own_env_file(tmp_path: Path) -> None:
    """Only what is about the database, and the environment wins."""
    file = tmp_path / ".env"
    file.write_text("# Immich\nUPLOAD_LOCATION=./library\nDB_PASSWORD='x y'\nDB_USERNAME=immich\n")
    with mock.patch.dict(os.environ, {"DB_USERNAME": "me"}, clear=True):
        read_env_file(str(file))
        assert "UPLOAD_LOCATION" not in os.environ
        assert parts(database_url()) == ("me", "x y", "database", 5432, "immich")
