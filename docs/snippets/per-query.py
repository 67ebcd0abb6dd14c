import pyarrow.parquet as parquet

from nearfar.statistics.paired import compare

table = parquet.read_table("runs/first/evaluation/per_query.parquet").to_pylist()
values = {
    system: [row["value"] for row in table if (row["system"], row["measure"]) == (system, "RR@10")]
    for system in ("base", "tuned")
}
difference = compare(values["tuned"], values["base"], seed=0)
print(f"{difference.wins} queries won, {difference.losses} lost, {difference.ties} tied")
