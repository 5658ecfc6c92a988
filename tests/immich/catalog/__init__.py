"""What the tables of each release of Immich's are: as a real server of that release made them.

Beside the tables of the model those that refer to one of them: a new one may hang on an asset.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from linked_asset import immich
from tests.database import Database

HERE = Path(__file__).parent

Catalog = dict[str, Any]

OTHERS = {"user"}
"""Tables that many refer to which are no concern of ours: sessions, keys, notifications."""
LEFT_OUT = {"video_stream_session"}
"""Tables that refer to ours, but hold for minutes what belongs to a session."""

TABLES = """
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname
"""
COLUMNS = """
    select relname, attname,
        -- How many dimensions depends on the machine-learning model.
        case when attname = 'embedding' then 'vector(512)' else format_type(atttypid, atttypmod) end,
        not attnotnull, pg_get_expr(adbin, adrelid)
    from pg_attribute
    join pg_class on attrelid = pg_class.oid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
    order by relname, attnum
"""
CONSTRAINTS = """
    select mine.relname, contype::text, conname, array(
            select attname::text from unnest(conkey) with ordinality as part (number, position)
            join pg_attribute on attrelid = conrelid and attnum = number order by position
        ) as columns, theirs.relname as other, array(
            select attname::text from unnest(confkey) with ordinality as part (number, position)
            join pg_attribute on attrelid = confrelid and attnum = number order by position
        ) as others,
        confdeltype::text, confupdtype::text
    from pg_constraint
    join pg_class mine on conrelid = mine.oid
    left join pg_class theirs on confrelid = theirs.oid
    where connamespace = 'public'::regnamespace
    order by mine.relname, conname
"""
INDEXES = """
    select relname, indexrelid::regclass::text, indisunique, pg_get_indexdef(indexrelid)
    from pg_index
    join pg_class on indrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and not exists (select from pg_constraint where conindid = indexrelid)
    order by relname, indexrelid::regclass::text collate "C"
"""
TRIGGERS = """
    select tgrelid::regclass::text, tgname, proname, tgtype::int, tgoldtable, tgnewtable,
        substring(pg_get_triggerdef(pg_trigger.oid) from 'WHEN \\((.*)\\) EXECUTE')
    from pg_trigger
    join pg_class on tgrelid = pg_class.oid
    join pg_proc on tgfoid = pg_proc.oid
    where not tgisinternal and relnamespace = 'public'::regnamespace and pronamespace = 'public'::regnamespace
    order by relname, tgname
"""
ENUMS = """
    select typname, array_agg(enumlabel::text order by enumsortorder)
    from pg_enum join pg_type on enumtypid = pg_type.oid
    where typname = any (%s)
    group by typname order by typname
"""
ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def path(release: str) -> Path:
    return HERE / f"{release}.json"


def load(release: str) -> Catalog:
    content: Catalog = json.loads(path(release).read_text())
    return content


def read(database: Database, release: str) -> Catalog:
    """The catalog of a live Immich (or of one that a test made), in the words of the files."""
    tables: dict[str, Any] = {
        name: {
            "columns": {}, "primary_key": [], "unique": {}, "check": [], "foreign_keys": {}, "indexes": {},
            "triggers": {},
        }
        for (name,) in database.fetch(TABLES)
    }  # fmt: skip
    for table, name, type_, nullable, default in database.fetch(COLUMNS):
        tables[table]["columns"][name] = [type_, nullable, default]
    for table, kind, name, columns, other, others, on_delete, on_update in database.fetch(CONSTRAINTS):
        match kind:
            case "p":
                tables[table]["primary_key"] = [name, *columns]
            case "u":
                tables[table]["unique"][name] = columns
            case "c":
                tables[table]["check"].append(name)
            case "f":
                actions = ACTIONS[on_delete], ACTIONS[on_update]
                tables[table]["foreign_keys"][name] = [columns, other, others, *actions]
    for table, name, is_unique, definition in database.fetch(INDEXES):
        how = definition.split(" USING ", 1)[1]
        tables[table]["indexes"][name.strip('"')] = f"unique {how}" if is_unique else how
    for table, name, *words in database.fetch(TRIGGERS):
        tables[table.strip('"')]["triggers"][name] = _in_words(*words)
    ours = _concern_us(tables)
    kept = {name: table for name, table in tables.items() if name in ours}
    types = {column[0] for table in kept.values() for column in table["columns"].values()}
    return {
        "release": release,
        "enums": {row[0]: row[1] for row in database.fetch(ENUMS, [list(types)])},
        "functions": sorted({words.split()[-1] for table in kept.values() for words in table["triggers"].values()}),
        "tables": kept,
    }


def _in_words(function: str, bits: int, old: str | None, new: str | None, when: str | None) -> str:
    words = [
        "BEFORE" if bits & 2 else "AFTER",
        "INSERT" if bits & 4 else "DELETE" if bits & 8 else "UPDATE",
        "ROW" if bits & 1 else "STATEMENT",
        *(["old", old] if old else []),
        *(["new", new] if new else []),
        *(["when", when.removeprefix("(").removesuffix(")")] if when else []),
        function,
    ]
    return " ".join(words)


def _concern_us(tables: dict[str, Any]) -> set[str]:
    known = {table.name for name in immich.RELEASES for table in immich.release(name).tables}
    referring = {
        name for name, table in tables.items() for key in table["foreign_keys"].values() if key[1] in known - OTHERS
    }
    return known | referring - LEFT_OUT
