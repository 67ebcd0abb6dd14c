cat > trial.yaml <<'END'
systems:
  calm: {objective: InfoNCE(temperature=0.05)}
  hot: {objective: InfoNCE(temperature=0.5)}
  both ways: {objective: "InfoNCE(temperature=0.05, directions=symmetric)"}
  untrained: static:tokenizer.json?dim=64
  words: bm25
base:
  start: static:tokenizer.json?dim=64
  training: {epochs: 2}
  dev: {evaluations: 1}
data:
  household: pairs.jsonl
seeds: 3
END
nearfar compare trial.yaml --out runs/trial --set budget.minutes=30
