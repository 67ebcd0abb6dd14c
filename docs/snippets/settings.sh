nearfar config --set training.epochs=6 --set batches.size=32 > settings.yaml
nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/longer --config settings.yaml --set training.seed=1
