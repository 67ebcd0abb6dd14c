nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/large --set batches.size=256 --set batches.at_once=4096 --set batches.scores=16384
