import nearfar

for source in ("pairs.csv", "several.jsonl", "triplets.csv", "scored.tsv", "labels.jsonl", "topics.jsonl", "beir"):
    data = nearfar.load(f"layouts/{source}")
    print(f"{source}: read as {data.facts.layout}, {len(data.queries)} queries, {len(data.documents)} documents")
