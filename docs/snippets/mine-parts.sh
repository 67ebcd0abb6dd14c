nearfar mine pairs.jsonl --model runs/first --out runs/parts \
  --set "mining.sources=[Dense(depth=50), BM25(depth=50), Random(depth=8)]" \
  --set "mining.filters=[Margin(margin=0.1), Noise(neighbours=2)]" \
  --set "mining.select=Padded(selection=Uniform(count=4, last=10), source=2)"
