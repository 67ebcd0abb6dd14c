nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/calm --set batches.size=32 --set batches.accumulate=2
