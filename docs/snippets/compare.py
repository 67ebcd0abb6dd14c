import nearfar

for name, model in {"words": "bm25", "random": "static:tokenizer.json?dim=64"}.items():
    nearfar.evaluate(model, "pairs.jsonl", split="test", out=f"runs/{name}")

found = nearfar.compare(["runs/words", "runs/random"], settings=["baseline=words"])
for versus in found.main.versus:
    print(
        f"{versus.treatment} minus {versus.control}: {versus.difference:+.3f} ({versus.low:+.3f} to {versus.high:+.3f}), "
        f"p = {versus.adjusted:.4f}, {versus.verdict}"
    )
for note in found.notes:
    print(note)
