import nearfar

data = nearfar.load("pairs.jsonl")  # or a BEIR folder, CSV, Parquet, a hub name; from_records(rows) for rows in memory
run = nearfar.train(data, model="static:tokenizer.json?dim=64", out="runs/help")  # or any sentence-transformers model
print(run.difference("nDCG@10"))  # tuned minus base: mean, interval, p-value
print(run.model, run.report)  # a folder for SentenceTransformer(...), and a page to look at
