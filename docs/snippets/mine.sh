nearfar mine pairs.jsonl --model runs/first --out runs/mined
