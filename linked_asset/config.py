"""Where Immich's database is: the environment variables that Immich itself reads, with its defaults."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from dotenv import dotenv_values
from sqlalchemy import URL

from linked_asset.errors import InvalidConfiguration

APPLICATION_NAME = "linked-asset"
DRIVER = "postgresql+psycopg"

# Immich hands the rest to a JavaScript driver; libpq refuses options that it does not know.
LIBPQ_OPTIONS = frozenset(
    {"host", "hostaddr", "port", "user", "password", "dbname", "connect_timeout", "options", "target_session_attrs"}
    | {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
    | {"sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "ssl_min_protocol_version"}
    | {"channel_binding", "gssencmode", "krbsrvname", "passfile", "requirepeer", "service"}
)
FROM_FILES = ("DB_URL", "DB_HOSTNAME", "DB_DATABASE_NAME", "DB_USERNAME", "DB_PASSWORD")
"""What Immich's container takes from the file that NAME_FILE names, as Docker's secrets are given."""
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})

_FORM = "postgresql://user:password@host:port/database"
_DB_URL = re.compile(
    r"""postgres(?:ql)?://
    (?:(?P<user>[^:@/]*)(?::(?P<password>.*))?@)?          # greedy: the last @ ends a password that was not encoded
    (?P<host>\[[^]]*\]|[^:/@]*)(?::(?P<port>[^/]*))?
    (?:/(?P<database>[^/]*))?""",
    re.VERBOSE | re.DOTALL,
)


def database_url(environment: Mapping[str, str] = os.environ) -> URL:
    """The database as SQLAlchemy wants it. DB_URL wins over the single variables, as in Immich."""
    environment = {**environment, **_secrets(environment)}
    if environment.get("DB_URL"):
        return _from_url(environment["DB_URL"])
    return _from_variables(environment)


def read_env_file(path: str) -> None:
    """Immich's own .env file: what the environment says itself wins."""
    for name, value in dotenv_values(path).items():
        if name.startswith("DB_") and value is not None:
            os.environ.setdefault(name, value)


def target(url: URL) -> str:
    """The database in words, for messages: never with a password."""
    options = dict(url.query)
    host = str(options.get("host") or url.host or "localhost")
    where = host if host.startswith("/") else f"{host}:{options.get('port') or url.port or 5432}"
    return f'database "{url.database or url.username or ""}" at {where}'


def _secrets(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in FROM_FILES:
        if file := environment.get(f"{name}_FILE"):
            try:
                found[name] = Path(file).read_text("utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError) as error:
                problem = f"cannot be read: {getattr(error, 'strerror', None) or 'it is no text'} ({file})"
                raise InvalidConfiguration(variable=f"{name}_FILE", problem=problem) from error
    return found


def _from_variables(environment: Mapping[str, str]) -> URL:
    def value(name: str, default: str) -> str:
        return environment.get(name) or default

    options = {"sslmode": _sslmode(environment["DB_SSL_MODE"], "DB_SSL_MODE")} if environment.get("DB_SSL_MODE") else {}
    return _url(
        user=value("DB_USERNAME", "postgres"),
        password=value("DB_PASSWORD", "postgres"),
        host=value("DB_HOSTNAME", "database"),
        port=_port(value("DB_PORT", "5432"), "DB_PORT"),
        database=value("DB_DATABASE_NAME", "immich"),
        options=options,
    )


def _from_url(text: str) -> URL:
    base, _, query = text.strip().partition("?")
    found = _DB_URL.fullmatch(base)
    if not found:
        raise InvalidConfiguration(variable="DB_URL", problem=f"is not of the form {_FORM}")
    part = {name: unquote(value) if value else None for name, value in found.groupdict().items()}
    return _url(
        user=part["user"],
        password=part["password"],
        host=(part["host"] or "").strip("[]") or None,
        port=_port(part["port"], "DB_URL") if part["port"] else None,
        database=part["database"],
        options=_options(query),
    )


def _url(
    user: str | None,
    password: str | None,
    host: str | None,
    port: int | None,
    database: str | None,
    options: Mapping[str, str],
) -> URL:
    query = {"connect_timeout": "10", **options, "application_name": APPLICATION_NAME}
    if host and host.startswith("/"):
        query["host"], host = host, None
    return URL.create(DRIVER, user, password, host, port, database, query)


def _options(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=False))
    options = {name: value for name, value in given.items() if name in LIBPQ_OPTIONS}
    if "sslmode" in options:
        options["sslmode"] = _sslmode(options["sslmode"], "DB_URL")
    elif "ssl" in given:
        options["sslmode"] = "disable" if given["ssl"] in ("0", "false") else "require"
    return options


def _sslmode(mode: str, variable: str) -> str:
    if mode == "no-verify":  # of Immich's driver: encrypted, whoever answers
        return "require"
    if mode not in SSL_MODES:
        raise InvalidConfiguration(variable=variable, problem=f'there is no sslmode "{mode}"')
    return mode


def _port(text: str, variable: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise InvalidConfiguration(variable=variable, problem=f'"{text}" is not a port number')
    return int(text)
