import nearfar

result = nearfar.train("pairs.jsonl", model="static:tokenizer.json?dim=64", out="runs/second")

difference = result.difference("nDCG@10")
print(f"{difference['mean']:+.3f}, interval {difference['low']:+.3f} to {difference['high']:+.3f}")
print(result.report)
