nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/refreshed --set "mining.refresh=1 epoch" \
  --set 'mining.settings={sources: Dense(depth=50), select: "Uniform(count=4, last=20)"}'
