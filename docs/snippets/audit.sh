nearfar audit pairs.jsonl --out runs/audited
nearfar audit layouts/beir --against pairs.jsonl
