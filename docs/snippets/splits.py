import nearfar

options = nearfar.DataOptions(dev=0.2, test=0.2, seed=1)
data = nearfar.split(nearfar.load("pairs.jsonl", options), options)
for name in data.splits:
    print(name, len(data.query_rows(name)), "queries")
