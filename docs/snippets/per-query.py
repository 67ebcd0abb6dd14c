import numpy as np
import pyarrow.parquet as parquet

from nearfar.statistics.paired import compare

table = parquet.read_table("runs/first/evaluation/per_query.parquet").to_pylist()
base, tuned = (
    {row["query_id"]: row["value"] for row in table if (row["system"], row["measure"]) == (system, "RR@10")}
    for system in ("base", "tuned")
)
queries = sorted(base)
difference = compare(
    np.array([tuned[query] for query in queries]), np.array([base[query] for query in queries]), seed=0
)
print(f"{difference.wins} queries won, {difference.losses} lost, {difference.ties} tied, p = {difference.p:.4f}")
