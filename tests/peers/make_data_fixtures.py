"""Writes tests/fixtures/data/rows.parquet (needs `pip install pyarrow`): the rows that tests/src/unit/student-trainer/data expects."""

import sys

import pyarrow
import pyarrow.parquet

out = sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/data/rows.parquet"
rows = {
    "prompt": ["4738*6=", "naïve — ✓", "c"],
    "answer": ["28428", "two\nlines", ""],
}
pyarrow.parquet.write_table(pyarrow.table(rows), out, compression="snappy")
