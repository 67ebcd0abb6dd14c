nearfar train pairs.jsonl --model 'static:tokenizer.json?dim=64' --out runs/prompted \
  --set 'model.prompts={query: "question: ", document: "answer: "}' --set training.steps=4
