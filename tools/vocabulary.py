"""Check that no retired word of the glossary in ARCHITECTURE.md names anything in `orm`.

One word has one meaning. The tables have the names that meant several things, or that said a mood instead of a job,
and what each is called now. Checked are the names of modules, classes, functions, parameters, variables and
attributes, wherever they are defined.

    python -m tools.vocabulary
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

NOUN = "the noun of what it holds"

MODULES = {
    "garbage": "gc_control",
    "pace": "quick_statements",
    "pieces": "row_batches",
    "once": "memoized",
    "spread": "composite_keys",
    "belonging": "related_rows",
    "over_rows": "aggregates",
    "moments": "date_arithmetic",
    "kinds": "dialect_registry",
    "calculated": "computed",
    "nested": "subqueries",
    "names": "resolver",
    "order_names": "order_by",
    "matching": "comparing",
    "linked": "related_to",
    "direct": "lookup_memo",
    "hops": "base",
    "loaded": "instance_state",
    "forward": "to_one",
    "calls": "functions",
    "constructs": "operators",
    "spellings": "sql_functions",
    "hooks": "events",
    "sources": "call_sites",
    "shapes": "normalized_sql",
    "repeats": "repeated_queries",
    "queueing": "writer_lock",
    "selection": "chaining",
    "objects": "descriptors",
    "periods": "dates",
    "plain": "Field.to_json",
    "tree": "prefetch_tree",
    "related_writes": "through_rows",
    "generating": "codegen",
    "collect_delete": "delete_preview",
    "combination": "set_operations",
    "clauses": "sqlalchemy_clauses",
    "zones": "time_zones",
    "commit_callbacks": "on_commit",
    "dialects": "server_dialect",
    "drivers": "driver",
    "prefetching": "prefetch_paths",
    "graphs": "graph",
    "planning": "query",
}

NAMES = {
    # Participles and adverbs that held anything.
    "found": NOUN,
    "made": NOUN,
    "given": NOUN,
    "there": NOUN,
    "own": NOUN,
    # Words with several meanings.
    "settle": "promote_to_oldest_generation, reserve_attribute_keys, drain",
    "settled": "rebound",
    "_settled": "_deterministic_slice",
    "has_settled": "cached_dialect",
    "spread": "composite_keys, field_values",
    "_spread": "_expand_list",
    "Spread": "Dispersion, CompositeKeyLookup",
    "place": "path, position, display_name, key_part",
    "places": "rows_by_owner",
    "_place_of": "_direct_runner",
    "Place": "InputPath, JSONPathSegment, Position",
    "database_kind": "server",
    "server_kind": "server",
    "KINDS": "CODECS",
    "linked": "related, attached",
    "near": "local",
    "far": "remote",
    "Forward": "ToOneRelation, ForwardRelation",
    # Names that said a mood.
    "tidy": "collect_if_grown",
    "undisturbed": "call_with_gc_paused",
    "paused": "gc_paused",
    "FEW": "MIN_OBJECTS",
    "Arrivals": "PendingResultGCGuard",
    "LOOK_SECONDS": "POLL_SECONDS",
    "MOST_LOOKS": "MAX_POLLS",
    "LEAST_GROWTH": "MIN_GROWTH_BLOCKS",
    "Found": "BatchedObjects",
    "PIECE": "BATCH_ROWS",
    "Read": "RowReader",
    "_noting": "_with_callback",
    "ready_update": "bind_update",
    "unstorable": "unstorable_value_error",
    "filled_in": "database_generated_fields",
    "restricted": "with_where",
    "probed": "exists_query",
    "Direct": "LookupTemplate",
    "Asked": "LookupMemo",
    "using_names": "with_scope",
    "selecting_one": "as_single_column",
    "probing": "as_exists",
    "stands_alone": "needs_no_loading",
    "starts_at_own_rows": "limits_before_joins",
    "WORKED_OUT": "DERIVED",
    "Names": "Scope",
    "scope_of": "join_number",
    "Captured": "SubqueryRendering",
    "OutsideRendering": "StandaloneRendering",
    "Literals": "LiteralBinds",
    "Binds": "BindNumbering",
    "about_rows": "without_group_terms",
    "Junction": "BooleanPredicate",
    "Match": "LookupPredicate",
    "TermMatch": "TermPredicate",
    "Certain": "NullAsFalse",
    "AboutRows": "RelationPredicate",
    "RowMissing": "RelatedNull",
    "Truth": "KnownResult",
    "NOT_NULL": "WHEN_NOT_NULL",
    "Linked": "WithOwnerKey",
    "Beside": "WithExtraColumns",
    "Placed": "WithPosition",
    "FirstOfEach": "LimitedPerOwner",
    "belonging": "rows_of_owners",
    "is_whole": "selects_whole_table",
    "needs_keys": "must_filter_by_owner",
    "Layout": "ColumnLayout",
    "Listed": "GroupBy",
    "Places": "RowsByOwner",
    "Owner": "WeakParent",
    "Owners": "WeakParents",
    "_made_again": "_rebuild",
    "Withheld": "SuppressedRelation",
    "withheld": "suppressed",
    "withhold": "suppress_relations",
    "near_fields": "local_fields",
    "far_fields": "remote_fields",
    "beside": "extra_columns",
    "listed_by": "group_by",
    "Parents": "PrefetchParents",
    "way_back": "reverse_attribute",
    "SPARSE": "KEY_ONLY",
    "Entry": "PendingRow",
    "Move": "Repoint",
    "NewRows": "NestedInput",
    "_say": "_add_message",
    "_lead": "_connect",
    "_point": "_set_parent",
    "_twice": "_conflict_error",
    "_pair": "_add_pair",
    "_list": "_append_related",
    "_Table": "DeletedRows",
    "_Collector": "DeletePreview",
    "Pull": "ForeignKeyEffect",
    "deepest": "max_cascade_depth",
    "waits": "checks_at_end",
    "counts_itself": "self_reference_blocks",
    "Call": "SQLFunction",
    "Gathering": "CollectionAggregate",
    "NeighbourOr": "LagLeadWithDefault",
    "Conversion": "CastTo",
    "excluding": "with_frame_exclusion",
    "Unstorable": "UnstorableValue",
    "Stored": "ORMType",
    "Types": "StorageTypes",
    "Computed": "ComputedResult",
    "lookup_type": "comparison_type",
    "_Adopted": "_DatabaseState",
    "known_kind": "known_server",
    "fetch_alone": "fetch_autocommit",
    "execute_alone": "execute_autocommit",
    "run_alone": "run_autocommit",
    "take_back": "check_in",
    "patience": "acquire_timeout",
    "equip": "register_functions",
    "EquippedConnection": "ORMConnection",
    "WriterTurn": "WriterLock",
    "QueueingDriver": "SerializedWriterDriver",
    "is_turn_over": "should_yield",
    "calling": "count_round_trip",
    "Watch": "StatementTimer",
    "unwatched": "null_timer",
    "make_visible": "configure_logging",
    "_in_the_way": "_blocking_transaction",
    "_open_here": "_visible_transactions",
    "stamps": "sets_on_save",
    "plain_check": "fast_check",
    "own_type": "exact_type",
    "Inconvertible": "ConversionError",
    "AutoField": "AutoNowField",
    "Guarded": "SafeValidator",
    "OfMoment": "DateFunc",
    "OfOne": "UnaryFunc",
    "OfTwo": "BinaryFunc",
    "OfNone": "NullaryFunc",
    "SameNumber": "NumberFunc",
    "Several": "VariadicFunc",
    "Counting": "RankingFunc",
    "Share": "RatioFunc",
    "Neighbour": "OffsetFunc",
    "adopting": "copy_saved_keys",
    "adopt_related_keys": "copy_related_keys",
    "unmake": "reset",
    "_let_wait": "_detach_referrers",
    "_take_tables": "_drop_referring_tables",
    "kept_in": "fields_for",
    "unset": "fallback_descriptors",
    "forget_resolved": "clear_caches",
    "ManyToManyEnd": "ManyToManySide",
    "related_key": "key_value",
    "related_keys": "key_values",
    "Selection": "ChainMethods",
    "Reading": "ReadMethods",
    "_with": "_clone",
    "_on": "_clone_on",
    "_changed": "_replace",
    "_marked": "_remember_database",
    "_extreme": "_first_by",
    "LinkedTo": "RelatedTo",
    "LinkedIn": "RelatedIn",
    "LinkTerm": "JoinKeyTerm",
    "link_paths": "owner_key_paths",
    "link_many_to_many": "install_many_to_many",
    "settled_dialect": "cached_dialect",
    "Node": "Predicate",
    "narrowings": "filter_memo",
    "gets": "get_memo",
    "Described": "Section",
    "_let_go": "_on_parent_collected",
    "hop": "run_in_thread",
    "Gathered": "CollectionAggregate",
    "spelled_by_kind": "Dialect",
    "unless_spelled": "Dialect",
    "adopt": "configure, copy_saved_key",
    "NO_NUMBERS": "Field.is_number",
    "TEXT_LIKE": "Field.is_text_like",
    "wait_for_target": "reset_target",
}


def defined_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that a module defines, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def violations(package: Path) -> Iterator[str]:
    """A line for each retired name that the package still defines."""
    for path in sorted(package.rglob("*.py")):
        for folder_or_file in (path.stem, path.parent.name):
            if folder_or_file in MODULES:
                yield f"{path}: the module {folder_or_file} is called {MODULES[folder_or_file]} now"
        for line, name in sorted(set(defined_names(ast.parse(path.read_text())))):
            if name in NAMES:
                yield f"{path}:{line}: {name} is called {NAMES[name]} now"


def main() -> int:
    """Print the violations. The exit code is 1 if there are any."""
    lines = list(violations(Path("orm")))
    for line in lines:
        print(line)
    print(f"Retired names: {len(lines)}.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
