nearfar export runs/mined --format tuple --negatives 2 --out tuples.jsonl
