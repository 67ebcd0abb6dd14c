import nearfar

for name, model in {"words": "bm25", "random": "static:tokenizer.json?dim=64"}.items():
    nearfar.evaluate(model, "pairs.jsonl", split="test", out=f"runs/{name}")

found = nearfar.compare(["runs/words", "runs/random"], settings=["baseline=words"])
for versus in found.main.versus:
    interval = f"{versus.low:+.3f} to {versus.high:+.3f}"
    print(f"{versus.treatment} minus {versus.control}: {versus.difference:+.3f} ({interval}), {versus.verdict}")
for note in found.notes:
    print(note)
