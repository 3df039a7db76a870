"""What is fuzzed: every reader of what users send, up to the shards; rows to decide on; and whole requests.

A target makes its input from (seed, index) alone, so that one number replays it, and `run`s it. Refusals are errors of
`whisktrain.errors` that name what was wrong; anything else that `run` raises is a fault.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import corpus
import numpy as np
import structured
from mutations import mutate, mutate_value, nested

from whisktrain import tensors
from whisktrain.data.preprocessing import preprocessor
from whisktrain.data.preprocessing.prepare import prepare
from whisktrain.data.report import dataset_body, shorten
from whisktrain.data.shards.sharding import ShardingPlan, shard_rows
from whisktrain.data.sources.formats import read_file
from whisktrain.data.sources.source import Source, read_stored_rows
from whisktrain.data.table import Table
from whisktrain.errors import Damaged, DataError, RequestError, WhisktrainError
from whisktrain.request import Request, parse
from whisktrain.request.rows import parse_predict

MOST_SENTENCE = 2_000
"""Characters of a message: a person has to read it."""


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        name: A word for it.
        share: Its share of all inputs, relative to the others'.
        make: The input, from the random draws.
        run: Uses the input; raises an error of ours, or nothing.
        expected: What `run` may raise.
    """

    name: str
    share: int
    make: Callable[[random.Random], Any]
    run: Callable[[Any], None]
    expected: tuple[type[WhisktrainError], ...] = (RequestError,)

    def input(self, seed: int, index: int) -> Any:
        """The input of a number."""
        return self.make(random.Random(f"{seed}:{self.name}:{index}"))

    def check(self, value: Any) -> None:
        """Use an input, and check the refusal that it may lead to.

        Raises:
            Exception: Something that is no proper refusal.
        """
        try:
            self.run(value)
        except self.expected as error:
            _check_sentence(error)


def _check_sentence(error: WhisktrainError) -> None:
    record = error.to_record()
    json.dumps(record, allow_nan=False).encode()
    sentence = error.message
    sentence.encode()  # half of a surrogate pair would end the action that prints it
    assert sentence and len(str(error)) <= MOST_SENTENCE, (
        f"a message of {len(str(error))} characters"
    )
    assert " object at 0x" not in sentence, f"a memory address in the message: {sentence}"


SUFFIXES = {
    "csv": ("x.csv", "x.csv", "x.tsv", "x.txt", "x.csv.gz", "x"),
    "json": ("x.json", "x"),
    "jsonl": ("x.jsonl", "x.ndjson", "x"),
    "npy": ("x.npy", "x"),
    "npz": ("x.npz", "x"),
    "archives": ("x.zip", "x.tar", "x.tgz"),
    "parquet": ("x.parquet", "x"),
}
ENCODINGS = ("utf-8", "latin-1", "utf-16", "utf-7", "rot13", "zlib", "hex", "idna", "undefined", "punycode", "a\0b", "",
             "unicode_escape", "raw_unicode_escape", "mbcs", "cp037", "utf-32-be", "x" * 300, "ut\ud83d")  # fmt: skip
OPTIONS: dict[str, tuple[Any, ...]] = {
    "encoding": ENCODINGS,
    "delimiter": (
        ",",
        ";",
        "\t",
        "|",
        " ",
        "tab",
        "\\t",
        '"',
        "\n",
        "é",
        "a",
        ".",
        "5",
        "-",
        "::",
        "\\",
        "'",
        "#",
    ),
    "decimal": (".", ","),
    "format": ("csv", "tsv", "json", "jsonl", "parquet", "npz", "npy", "images"),
    "target": ("left", "t", "y", "age", "column_1", "x0", "nothing", "target"),
    "task": ("classification", "regression"),
    "scale": ("standard", "minmax", "none"),
    "validation": (0.0, 0.5, 0.9),
    "image_size": ((1, 1), (4, 9), (400, 300)),
    "drop": (["age"], ["note", "paid"], ["nothing"]),
    "keep": (["note"], ["since", "fee"]),
    "types": (
        {"age": "categorical"},
        {"plan": "numeric"},
        {"since": "date"},
        {"paid": "boolean"},
        {"fee": "date"},
    ),
    "shards": ({"by": "plan"}, "contiguous", {"by": "nothing"}),
}


def file_target(name: str, share: int, seeds: Callable[[], list[bytes]]) -> Target:
    def make(draw: random.Random) -> Any:
        if draw.random() < 0.5:
            data = getattr(structured, seeds.__name__)(draw)
        else:
            known = seeds()
            data = mutate(draw.choice(known), known, draw)
        options = {}
        if draw.random() < 0.4:
            for option in draw.sample(sorted(OPTIONS), draw.choice((1, 1, 2, 3))):
                options[option] = draw.choice(OPTIONS[option])
        return data, draw.choice(SUFFIXES[name]), options

    return Target(name, share, make, _preprocess)


def _preprocess(value: Any) -> None:
    """Stage 1 without its store: read, prepare, shard, report; then decide on the file's own rows."""
    data, name, options = value
    request = parse(Request, {"data": {"source": "upload:x", **options}}).data
    rows = read_file(data, name, request)
    prepared = prepare(rows, request, 0)
    plan = ShardingPlan(prepared.target.task, request.shards, 2, True, 0)
    sharded = shard_rows(prepared.rows, plan)
    source = Source(name, "x", "digest")
    report = shorten(dataset_body(prepared, sharded, request, source))
    json.dumps(report, allow_nan=False).encode()
    "".join(report["warnings"]).encode()
    assert np.isfinite(prepared.rows.x).all(), "features that are not finite"
    assert np.isfinite(prepared.rows.y).all(), "targets that are not finite"
    again = preprocessor.load(prepared.preprocessor.to_bytes())
    if isinstance(rows, Table):
        first = rows.frame.iloc[[int(n) for n in prepared.rows.numbers[:3]]]
        assert np.array_equal(again.transform(first).x, prepared.rows.x[: len(first)]), (
            "rows change when they are predicted"
        )
    else:
        pixels = rows.pixels[prepared.rows.numbers[:3]]
        assert np.array_equal(again.transform(pixels).x, prepared.rows.x[: len(pixels)]), (
            "images change when they are predicted"
        )


def make_image(draw: random.Random) -> Any:
    seeds = corpus.images()
    return mutate(draw.choice(seeds), seeds, draw), draw.choice(
        ("uint8", "uint16", "int32", "float32")
    )


def run_image(value: Any) -> None:
    from whisktrain.data.preprocessing.image_scaler import ImageScaler

    data, samples = value
    x = ImageScaler((6, 7, 1), 255.0, (), np.dtype(samples)).transform(data)
    assert x.shape[1:] == (6, 7, 1) and np.isfinite(x).all()


def make_stored_rows(draw: random.Random) -> Any:
    """A file of rows to decide on."""
    kind = draw.choice(("csv", "json", "jsonl", "npy", "npz", "archives", "parquet"))
    known = {"json": corpus.json_}.get(kind, getattr(corpus, kind, None))()
    return mutate(draw.choice(known), known, draw), draw.choice(SUFFIXES[kind])


def run_stored_rows(value: Any) -> None:
    data, name = value
    rows = read_stored_rows(data, name)
    for seed in (corpus.csv()[0], corpus.npz()[3]):
        _decide(seed, rows)


def make_rows(draw: random.Random) -> Any:
    return {
        "rows": mutate_value(draw.choice(corpus.rows()), draw),
        "missing": draw.choice(("error", "fill")),
    }


def run_rows(value: Any) -> None:
    section = parse_predict({"model": "m", **value})
    for seed in (corpus.csv()[0], corpus.npz()[3]):
        _decide(seed, section.rows, section.missing)


def _decide(seed: bytes, rows: Any, missing: Any = "fill") -> None:
    """Turn rows into features by fitted preprocessing; they may be refused."""
    try:
        found = corpus.fitted(seed).transform(rows, missing=missing)
    except DataError as error:
        _check_sentence(error)
        return
    assert np.isfinite(found.x).all(), "features that are not finite"
    json.dumps(found.notices).encode()


def make_request(draw: random.Random) -> Any:
    if draw.random() < 0.02:
        return nested(draw.choice((5, 150, 900, 5000)), draw.choice(("[", "{")))
    return mutate_value(draw.choice(corpus.requests()), draw)


def run_request(value: Any) -> None:
    request = parse(Request, value)
    dumped = request.model_dump(mode="json", exclude_unset=True)
    json.dumps(dumped).encode()
    if request.data.records is not None:
        from whisktrain.data.sources.source import open_source

        rows = open_source(request.data, None).read(request.data)  # type: ignore[arg-type]
        prepare(rows, request.data, request.train.seed)
    if request.model.config is not None:
        from whisktrain.learning.checks import check_config

        check_config(request.model.config, (3,))


def make_tensors(draw: random.Random) -> Any:
    seeds = corpus.safetensors()
    return mutate(draw.choice(seeds), seeds, draw)


def run_tensors(value: Any) -> None:
    tensors.encode(tensors.decode(value))


def make_preprocessor(draw: random.Random) -> Any:
    seeds = corpus.preprocessors()
    return mutate(draw.choice(seeds), seeds, draw)


def run_preprocessor(value: Any) -> None:
    preprocessor.load(value)


TARGETS = {
    target.name: target
    for target in (
        file_target("csv", 16, corpus.csv),
        file_target("json", 10, corpus.json_),
        file_target("jsonl", 6, corpus.jsonl),
        file_target("npy", 8, corpus.npy),
        file_target("npz", 10, corpus.npz),
        file_target("archives", 10, corpus.archives),
        file_target("parquet", 6, corpus.parquet),
        Target("images", 14, make_image, run_image),
        Target("stored-rows", 8, make_stored_rows, run_stored_rows),
        Target("rows", 8, make_rows, run_rows),
        Target("requests", 30, make_request, run_request),
        Target("tensors", 4, make_tensors, run_tensors, (Damaged,)),
        Target("preprocessors", 4, make_preprocessor, run_preprocessor, (Damaged,)),
    )
}
