"""The section `data` of a request, and what all sections have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from whisktrain.request.marks import NotAnOption, Option, Shorthand
from whisktrain.request.values import as_name, as_names, as_pair, as_types, as_words, is_given

__all__ = ["BUNDLED", "DataRequest", "Section", "ShardsRequest"]

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The data sets that scikit-learn ships."""

MAX_INLINE_RECORDS = 100_000

_GIVEN_AS_DATA = NotAnOption("given as DATA")


class Section(BaseModel):
    """A section of a request, or an object in one: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=False
    )

    _may_be_blank: ClassVar[tuple[str, ...]] = ()
    """Settings of which a blank is a value, as a delimiter is."""

    @model_validator(mode="before")
    @classmethod
    def _only_given(cls, value: object) -> object:
        """Leave out what is not given: null, and the empty texts that a deployment tool binds."""
        if not is_given(value):
            return {}
        if not isinstance(value, dict):
            return value
        return {
            key: setting
            for key, setting in value.items()
            if is_given(setting) or (key in cls._may_be_blank and setting not in (None, ""))
        }


def _known_split(value: str) -> str:
    how, colon, column = value.partition(":")
    if how not in (("time",) if colon else ("auto", "random", "time")) or (colon and not column):
        raise ValueError("expected 'auto', 'random', 'time' or 'time:COLUMN'")
    return value


class ShardsRequest(Section):
    """How training rows are spread over the workers; also written `{"by": "COLUMN"}` or "by:COLUMN"."""

    how: Annotated[
        Literal["stratified", "contiguous", "by"],
        Field(
            description="By class, in the rows' order, or one shard after another by a column's values."
        ),
    ] = "stratified"
    column: Annotated[
        str | None, BeforeValidator(as_name), Field(description="The column, with `by`.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _expand_by(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if set(value) == {"by"}:
            return {"how": "by", "column": value["by"]} if is_given(value["by"]) else {}
        how = value.get("how")
        if set(value) == {"how"} and isinstance(how, str) and how.startswith("by:"):
            return {"how": "by", "column": how.removeprefix("by:")}
        return value

    @model_validator(mode="after")
    def _column_with_by(self) -> ShardsRequest:
        if (self.how == "by") != (self.column is not None):
            raise ValueError('shards by a column are given as {"by": "COLUMN"}')
        return self


class DataRequest(Section):
    """Where the data comes from and how it becomes numbers."""

    _may_be_blank: ClassVar[tuple[str, ...]] = ("delimiter",)

    source: Annotated[
        str | None,
        _GIVEN_AS_DATA,
        Field(description=f"{', '.join(BUNDLED)}, upload:ID, dataset:ID, or an http(s) address."),
    ] = None
    records: Annotated[
        list[dict[str, Any]] | None,
        _GIVEN_AS_DATA,
        Field(
            max_length=MAX_INLINE_RECORDS,
            description="The rows themselves, a list of objects, instead of a source.",
        ),
    ] = None
    target: Annotated[
        str | None,
        BeforeValidator(as_name),
        Option(metavar="COLUMN"),
        Field(description="The column to predict; found by its name or place otherwise."),
    ] = None
    task: Annotated[
        Literal["auto", "classification", "regression"],
        Field(description="What to learn; auto: found from a given model, else from the target."),
    ] = "auto"
    format: Annotated[
        Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "npz", "npy", "images"],
        Field(description="The file's format; auto: found from its name and content."),
    ] = "auto"
    drop: Annotated[
        list[str],
        BeforeValidator(as_names),
        Option(metavar="COLUMN"),
        Field(description="Columns to leave out."),
    ] = []
    keep: Annotated[
        list[str],
        BeforeValidator(as_names),
        Option(metavar="COLUMN"),
        Field(description="Columns to use though they look like ids or free text."),
    ] = []
    types: Annotated[
        dict[str, Literal["numeric", "categorical", "boolean", "date"]],
        BeforeValidator(as_types),
        Option(flag="--type", metavar="COLUMN=TYPE"),
        Field(description="Column types to force: numeric, categorical, boolean or date."),
    ] = {}
    missing_words: Annotated[
        list[str] | None,
        BeforeValidator(as_words),
        Option(flag="--missing-words", metavar="WORD,WORD", free_text=True),
        Field(
            description="Words that mean a missing value, or none: only empty cells do; otherwise NA, NaN, null and the like, "
            "but in CSV and TSV only, which have no null."
        ),
    ] = None
    validation: Annotated[
        float, Field(ge=0.0, le=0.9, description="Share of rows to validate on; 0 for none.")
    ] = 0.2
    split: Annotated[
        str,
        AfterValidator(_known_split),
        Option(metavar="HOW"),
        Field(
            description="Which rows validate: random, time (the latest) or time:COLUMN; auto: the latest where rows are in "
            "order of time."
        ),
    ] = "auto"
    scale: Annotated[
        Literal["standard", "minmax", "none"],
        Field(
            description="How numbers and values to predict are scaled; pixels are divided by their largest value. Or none."
        ),
    ] = "standard"
    shards: Annotated[
        ShardsRequest,
        Shorthand("how"),
        Option(metavar="HOW", free_text=True, default="stratified"),
        Field(description="How rows are spread: stratified, contiguous or by:COLUMN."),
    ] = ShardsRequest()
    delimiter: Annotated[
        str | None,
        Option(metavar="TEXT"),
        Field(
            min_length=1, max_length=4, description="What separates a CSV's cells; found otherwise."
        ),
    ] = None
    encoding: Annotated[
        str | None, Field(description="The encoding of a CSV or JSON file; found otherwise.")
    ] = None
    decimal: Annotated[
        Literal[".", ","] | None, Field(description="The decimal mark of a CSV; found otherwise.")
    ] = None
    image_size: Annotated[
        tuple[int, int] | None,
        BeforeValidator(as_pair),
        Option(metavar="HEIGHT WIDTH"),
        Field(description="Height and width that images are brought to; found otherwise."),
    ] = None

    @model_validator(mode="after")
    def _one_source(self) -> DataRequest:
        if self.source is not None and self.records is not None:
            raise ValueError("give either source or records, not both")
        return self
