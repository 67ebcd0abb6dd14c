nearfar train pairs.jsonl --model "static:tokenizer.json?dim=64" --out runs/guided \
  --set objective=GIST --set "teacher.model=static:tokenizer.json?dim=256"
