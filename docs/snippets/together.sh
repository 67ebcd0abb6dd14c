torchrun --standalone --nproc-per-node 2 -m nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/together
