nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/nested \
  --set 'objective=Matryoshka(of=InfoNCE(temperature=0.05), dims=[64, 32, 16])' \
  --set 'evaluation.truncate=[32, 16]'
