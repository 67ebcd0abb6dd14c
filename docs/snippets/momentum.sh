nearfar train pairs.jsonl --model "static:tokenizer.json?dim=64" --out runs/queued \
  --set "objective=MoCo(size=512)" --set training.momentum=0.99
