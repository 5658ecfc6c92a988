"""What the addon may and may not be made of (SPEC section 12, DESIGN "Triggers")."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pglast
import pytest
from pglast.visitors import Visitor

from linked_asset import immich, render
from tests.database import Database, Databases
from tests.release import RELEASE

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
STEPS = sorted(path.stem.replace("_", ".") for path in VERSIONS.glob("v*.py"))
"""Releases that a revision stands for."""


@pytest.fixture(scope="module")
def installed(databases: Databases, linked_template: str) -> Iterator[Database]:
    """Only read by the tests of this module."""
    with databases.copy(linked_template) as database:
        yield database


def names(rows: list[Any]) -> list[str]:
    return [str(row[0]) for row in rows]


# --- in the database ----------------------------------------------------------------------------------


def test_nothing_in_linked_depends_on_immichs_objects(installed: Database) -> None:
    rows = installed.fetch(
        """select mine.identity || ' on ' || theirs.identity
           from (select * from pg_depend where classid <> 0 offset 0) as known,
                pg_identify_object(classid, objid, objsubid) as mine,
                pg_identify_object(refclassid, refobjid, refobjsubid) as theirs
           where mine.schema = 'linked' and theirs.schema = 'public' and mine.type <> 'trigger'"""
    )
    assert names(rows) == []


def test_only_triggers_of_immichs_tables_depend_on_linked(installed: Database) -> None:
    rows = installed.fetch(
        """select distinct mine.type
           from (select * from pg_depend where classid <> 0 offset 0) as known,
                pg_identify_object(classid, objid, objsubid) as mine,
                pg_identify_object(refclassid, refobjid, refobjsubid) as theirs
           where theirs.schema = 'linked' and coalesce(mine.schema, '') <> 'linked'
             and (mine.identity like '%% on public.%%' or mine.schema = 'public')"""
    )
    assert names(rows) == ["trigger"]


def test_schema_public_is_as_before_but_for_triggers(
    databases: Databases, immich_template: str, installed: Database, pg_dump: Callable[..., str]
) -> None:
    with databases.copy(immich_template) as without:
        before = pg_dump(without, "--schema-only", "--schema=public")
    after = pg_dump(installed, "--schema-only", "--schema=public")
    assert "linked" not in before
    after = re.sub(r"--\n-- Name: [^\n]* linked_\w+[^\n]*; Type: (?:TRIGGER|COMMENT);[^\n]*\n--\n", "", after)
    after = re.sub(r"CREATE TRIGGER linked_[^;]*;\n", "", after)
    after = re.sub(r"COMMENT ON TRIGGER linked_\w+ ON public\.\"?\w+\"? IS '(?:[^']|'')*';\n", "", after)
    assert re.sub(r"\n+", "\n", after) == re.sub(r"\n+", "\n", before)


def test_no_trigger_names_columns_has_a_condition_or_is_deferred(installed: Database) -> None:
    rows = installed.fetch(
        """select tgname from pg_trigger join pg_proc on pg_proc.oid = tgfoid
           where pronamespace = 'linked'::regnamespace
             and (tgattr::text <> '' or tgqual is not null or tgdeferrable or tginitdeferred or tgconstraint <> 0)"""
    )
    assert names(rows) == []


def test_triggers_are_ours_by_name_and_enabled(installed: Database) -> None:
    rows = installed.fetch(
        """select tgname, tgenabled from pg_trigger join pg_proc on pg_proc.oid = tgfoid
           where pronamespace = 'linked'::regnamespace"""
    )
    assert len(rows) > 30
    assert [
        row.tgname for row in rows if not row.tgname.startswith("linked_") or row.tgenabled not in ("O", b"O")
    ] == []


LOOK_AT_ONE_ROW = {
    "linked_album_asset_skip_known",
    "linked_tag_asset_skip_known",
    "linked_album_drop_gone_cover",
    "linked_stack_replace",
    "linked_user_hold_albums",
}
"""They spare Immich an error over the row that comes or goes. Only those of stacks and edits, which are few, write."""


def test_work_is_done_once_per_statement(installed: Database) -> None:
    rows = installed.fetch(
        """select tgname, tgtype & 2 = 2 as before from pg_trigger join pg_proc on pg_proc.oid = tgfoid
           where pronamespace = 'linked'::regnamespace and tgtype & 1 = 1"""
    )
    later = {"integrity_report": "linked_integrity_report_once", "asset_edit": "linked_asset_edit_replace"}
    expected = {name for table, name in later.items() if immich.release(RELEASE).has(table)}
    assert {row.tgname for row in rows} == LOOK_AT_ONE_ROW | expected
    assert all(row.before for row in rows)


@pytest.mark.parametrize(
    ("kind", "uncommented"),
    [
        ("schema", "select nspname from pg_namespace where nspname = 'linked' and obj_description(oid) is null"),
        (
            "tables",
            """select relname from pg_class where relnamespace = 'linked'::regnamespace
               and relkind in ('r', 'v', 'm', 'p', 'f') and obj_description(oid, 'pg_class') is null
               and relname <> 'alembic_version'""",
        ),
        (
            "functions",
            """select oid::regprocedure from pg_proc where pronamespace = 'linked'::regnamespace
               and obj_description(oid, 'pg_proc') is null""",
        ),
        (
            "triggers",
            """select tgname from pg_trigger join pg_proc on pg_proc.oid = tgfoid
               where pronamespace = 'linked'::regnamespace and obj_description(pg_trigger.oid, 'pg_trigger') is null""",
        ),
    ],
)
def test_everything_says_what_it_is_for(installed: Database, kind: str, uncommented: str) -> None:
    assert names(installed.fetch(uncommented)) == [], kind


def test_no_table_or_index_is_named_like_one_of_immichs(installed: Database) -> None:
    """Immich looks some of them up by name without schema."""
    ours = set(names(installed.fetch("select relname from pg_class where relnamespace = 'linked'::regnamespace")))
    live = set(names(installed.fetch("select relname from pg_class where relnamespace = 'public'::regnamespace")))
    known = {table.name for release in immich.RELEASES for table in immich.release(release)}
    assert ours & (live | known | {"clip_index", "face_index"}) == set()


def test_no_column_has_a_type_or_default_of_schema_public(installed: Database) -> None:
    rows = installed.fetch(
        """select attrelid::regclass || '.' || attname
           from pg_attribute
           join pg_class on pg_class.oid = attrelid and relnamespace = 'linked'::regnamespace
           join pg_type on pg_type.oid = atttypid
           left join pg_attrdef on adrelid = attrelid and adnum = attnum
           where attnum > 0 and (
             typnamespace <> 'pg_catalog'::regnamespace
             or pg_get_expr(adbin, adrelid) ~ 'immich_|uuid_generate|public\\.')"""
    )
    assert names(rows) == []


def test_trigger_functions_run_as_whoever_installed_them_with_a_path_of_their_own(installed: Database) -> None:
    rows = installed.fetch(
        """select proname, prosecdef, proconfig, prosrc from pg_proc
           where pronamespace = 'linked'::regnamespace and prorettype = 'trigger'::regtype"""
    )
    assert len(rows) > 20
    for row in rows:
        assert row.prosecdef, row.proname
        # Those that are called most set it when they know that there is something to do (test_owner.py). The shortest
        # have none: they name the schema of whatever they ask.
        paths = [setting for setting in row.proconfig or [] if setting.startswith("search_path=")] or re.findall(
            r"set_config\('search_path', '([^']*)'", row.prosrc
        )
        if not paths:
            assert not re.search(
                r"(?<=\s)(=|<>|\|\|)(?=\s)|(?<![.\w])(?!exists|operator)\w+\(|::(?!pg_catalog)", row.prosrc
            ), row.proname
            continue
        path = paths[0]
        schemas = [name.strip() for name in path.removeprefix("search_path=").split(",")]
        assert schemas[0] == "pg_catalog", row.proname
        assert schemas[-1] == "pg_temp", row.proname
        assert "public" in schemas, row.proname


def test_only_trigger_functions_run_with_the_rights_of_whoever_installed_them(installed: Database) -> None:
    rows = installed.fetch(
        """select proname from pg_proc where pronamespace = 'linked'::regnamespace
           and prosecdef and prorettype <> 'trigger'::regtype"""
    )
    assert names(rows) == []


def test_no_function_body_is_bound_to_immichs_columns(installed: Database) -> None:
    """`begin atomic` would be."""
    rows = installed.fetch(
        """select proname from pg_proc
           where pronamespace = 'linked'::regnamespace and to_jsonb(pg_proc) ->> 'prosqlbody' is not null"""
    )
    assert names(rows) == []


def test_every_trigger_function_lets_immichs_write_through(installed: Database) -> None:
    rows = installed.fetch(
        """select proname, prosrc from pg_proc
           where pronamespace = 'linked'::regnamespace and prorettype = 'trigger'::regtype"""
    )
    assert [row.proname for row in rows if "exception when others then" not in row.prosrc] == []


def test_work_of_a_trigger_never_returns_before_it_is_finished(installed: Database) -> None:
    rows = installed.fetch(
        "select proname, prosrc from pg_proc where pronamespace = 'linked'::regnamespace and proname like 'on\\_%%'"
    )
    assert len(rows) > 20
    for row in rows:
        begun = row.prosrc.partition("linked.take_turn(")[2]
        work, stop, _ = begun.partition("linked.stop_writing()")
        assert stop, row.proname
        assert not re.search(r"\breturn\b", work), row.proname


def test_nothing_of_ours_runs_before_a_statement(installed: Database) -> None:
    """It could not know yet whether the statement concerns us, and could only make everybody wait."""
    rows = installed.fetch(
        """select tgrelid::regclass::text as table_name, tgname
           from pg_trigger join pg_proc on pg_proc.oid = tgfoid
           where pronamespace = 'linked'::regnamespace and tgtype & 1 = 0 and tgtype & 2 = 2"""
    )
    assert rows == []


# --- in the scripts -------------------------------------------------------------------------------------


class Uses(Visitor):  # type: ignore[misc]
    """Functions that are called, and syntax that PostgreSQL 14 does not know."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.too_new: set[str] = set()

    def visit(self, _: Any, node: Any) -> None:
        kind = type(node).__name__
        if kind == "FuncCall":
            self.functions.add(node.funcname[-1].sval)
        elif kind in TOO_NEW_NODES:
            self.too_new.add(kind)
        for attribute in ("nulls_not_distinct", "ignore_nulls", "isall_without_overlaps"):
            if getattr(node, attribute, None) is True:
                self.too_new.add(attribute)


TOO_NEW_NODES = {
    "MergeStmt", "MergeWhenClause", "JsonTable", "JsonFuncExpr", "JsonObjectConstructor", "JsonArrayConstructor",
    "JsonArrayQueryConstructor", "JsonObjectAgg", "JsonArrayAgg", "JsonIsPredicate", "JsonParseExpr",
    "JsonScalarExpr", "JsonSerializeExpr", "ReturningOption",
}  # fmt: skip
TOO_NEW_FUNCTIONS = {
    # 15
    "regexp_count", "regexp_instr", "regexp_like", "regexp_substr", "range_intersect_agg", "has_parameter_privilege",
    # 16
    "any_value", "array_sample", "array_shuffle", "date_add", "date_subtract", "erf", "erfc", "pg_input_is_valid",
    "pg_input_error_info", "random_normal", "system_user", "json_array_strict",
    # 17
    "to_bin", "to_oct", "unicode_assigned", "uuid_extract_timestamp", "uuid_extract_version", "xmltext",
    "pg_basetype", "to_regtypemod",
    # 18
    "array_sort", "array_reverse", "casefold", "crc32", "crc32c", "gamma", "lgamma", "json_strip_nulls_in_arrays",
    "reverse_bytea", "uuidv4", "uuidv7",
}  # fmt: skip


def queries(node: Any) -> Iterator[str]:
    """The SQL in a function of PL/pgSQL."""
    if isinstance(node, dict):
        if "PLpgSQL_expr" in node:
            yield node["PLpgSQL_expr"]["query"]
        for value in node.values():
            yield from queries(value)
    elif isinstance(node, list):
        for value in node:
            yield from queries(value)


def parse_part(query: str) -> Any:
    """A statement, an expression or an assignment."""
    for form in (query, f"select {query}", "select " + query.partition(":=")[2]):
        try:
            return pglast.parse_sql(form)
        except pglast.parser.ParseError:
            continue
    raise AssertionError(f"cannot be parsed: {query}")


def uses_of(script: str) -> Uses:
    uses = Uses()
    statements = pglast.parse_sql(script)
    uses(statements)
    for statement in statements:
        function = statement.stmt
        if type(function).__name__ != "CreateFunctionStmt":
            continue
        options = {option.defname: option.arg for option in function.options}
        if options["language"].sval == "sql":
            uses(pglast.parse_sql(options["as"][0].sval))
    for query in queries(json.loads(json.dumps(pglast.parse_plpgsql(script)))):
        uses(parse_part(query))
    return uses


@pytest.mark.parametrize("release", STEPS)
def test_script_is_sql_that_postgresql_14_knows(release: str) -> None:
    uses = uses_of(render.install_script(release))
    assert {"unnest", "array_agg", "starts_with", "propagate_asset"} <= uses.functions
    assert uses.too_new == set()
    assert uses.functions & TOO_NEW_FUNCTIONS == set()


@pytest.mark.parametrize(
    "statement",
    [
        "merge into a using b on a.x = b.x when matched then delete",
        "create unique index on a (x) nulls not distinct",
        "select any_value(x) from a",
        "create function f() returns void language plpgsql as $$ declare x int; begin x := erf(1); end $$",
        "create function f() returns int language sql as $$ select array_sort(x) from a $$",
    ],
)
def test_newer_sql_would_be_noticed(statement: str) -> None:
    """Or the test above could not fail."""
    uses = uses_of(statement)
    assert uses.too_new or uses.functions & TOO_NEW_FUNCTIONS


def test_script_that_removes_is_sql() -> None:
    (statement,) = pglast.parse_sql(render.remove_script())
    assert type(statement.stmt).__name__ == "DoStmt"
    assert pglast.parse_plpgsql(render.remove_script())


@pytest.mark.parametrize("release", STEPS)
def test_vector_type_is_never_mentioned(release: str) -> None:
    script = re.sub(r"--[^\n]*|comment on [^;]*;", "", render.install_script(release))
    assert re.findall(r"\bvector\b|halfvec|\bvchord", script) == []


@pytest.mark.parametrize("release", STEPS)
def test_installing_again_changes_nothing(release: str) -> None:
    """Everything is created in a way that may be repeated."""
    for statement in pglast.parse_sql(render.install_script(release)):
        node = statement.stmt
        kind = type(node).__name__
        if kind in {"CreateFunctionStmt", "CreateTrigStmt"}:
            assert node.replace, node
        elif kind in {"CreateStmt", "IndexStmt", "CreateSchemaStmt"}:
            assert node.if_not_exists, node
        elif kind == "AlterTableStmt":
            assert all(command.missing_ok for command in node.cmds), node
        else:
            assert kind in {"CommentStmt", "DropStmt"}, kind


def test_every_file_of_the_installation_is_used() -> None:
    folder = Path(render.__file__).parent / "sql"
    assert {path.stem for path in folder.glob("*.sql")} == {*render.CONCERNS, "remove"}
