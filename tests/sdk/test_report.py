"""The report on the data."""

from __future__ import annotations

from whisktrain.sdk.training.report import data_report

BODY = {
    "name": "churn.csv",
    "source": "upload:1",
    "rows": {"read": 401, "used": 400, "dropped": 1},
    "shards": [160, 160],
    "validation": [40, 40],
    "task": "classification",
    "target": "churned",
    "classes": ["no", "yes"],
    "reason": "the target holds booleans",
    "columns": [
        {
            "name": "customer",
            "type": "id",
            "role": "dropped",
            "done": "left out: named like an id, with many values",
            "missing": 0,
            "keepable": True,
        },
        {
            "name": "same",
            "type": "numeric",
            "role": "dropped",
            "done": "left out: constant in the training rows",
            "missing": 0,
            "keepable": False,
        },
        *(
            {
                "name": f"n{k}",
                "type": "numeric",
                "role": "feature",
                "done": "standardised",
                "missing": 0,
            }
            for k in range(14)
        ),
        {
            "name": "plan",
            "type": "categorical",
            "role": "feature",
            "done": "one feature for each of 3 categories",
            "missing": 18,
        },
        {
            "name": "churned",
            "type": "categorical",
            "role": "target",
            "done": "taken as the target",
            "missing": 1,
        },
    ],
    "warnings": [
        "Left out as an id: 'customer'; data.keep keeps them.",
        "'n1': read with a decimal comma.",
    ],
}


def test_rows_target_columns_and_warnings_are_told() -> None:
    assert data_report(BODY) == [
        "data: churn.csv: 401 rows read, 400 used, 1 dropped; 320 to train in 2 shards, 80 to validate",
        "target: 'churned', classification, 2 classes (the target holds booleans)",
        f"columns: {', '.join(f'n{k}' for k in range(12))} and 2 more: standardised",
        "columns: plan (18 missing): one feature for each of 3 categories",
        "left out: customer: named like an id, with many values; --keep uses it",
        "left out: same: constant in the training rows",
        "note: 'n1': read with a decimal comma.",
    ]
