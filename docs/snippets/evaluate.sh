nearfar evaluate bm25 pairs.jsonl --split test
nearfar evaluate runs/first pairs.jsonl --split test --out runs/measured
