import nearfar

for share in (0.01, 0.1, 0.5):
    account = nearfar.mine(
        "pairs.jsonl",
        model="static:tokenizer.json?dim=64",
        out=f"runs/share-{share}",
        settings=[f"mining.filters=Removing(share={share})"],
        cache="vectors",
        workers=1,
    ).account
    (limit,) = account["settled"].values()
    left = account["queries_with_negatives"]
    print(f"{limit} drops {share:.0%}: {left} of {account['queries']} queries have negatives")
