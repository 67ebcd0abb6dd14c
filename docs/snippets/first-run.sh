nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/first
