import nearfar

for ratio in (0.95, 0.8, 0.6):
    result = nearfar.mine(
        "pairs.jsonl",
        model="static:tokenizer.json?dim=64",
        out=f"runs/ratio-{ratio}",
        settings=[f"mining.filters=Percent(ratio={ratio})"],
        cache="vectors",
        workers=1,
    )
    account = result.account
    dropped = sum(source["dropped"].get("percent", 0) for source in account["funnel"])
    share, left = dropped / account["candidates"], account["queries_with_negatives"]
    print(f"ratio {ratio}: {share:.0%} dropped, {left} of {account['queries']} queries have negatives")
