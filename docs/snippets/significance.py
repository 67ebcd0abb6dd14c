import numpy as np

from nearfar.statistics.equivalence import no_worse
from nearfar.statistics.families import groups, holm
from nearfar.statistics.flips import flips_of_drop
from nearfar.statistics.hierarchical import hierarchical, seed_differences
from nearfar.statistics.power import detectable, queries_needed

rng = np.random.default_rng(0)
hard = rng.random(200)  # nDCG@10 of the base model: one value for each query
trained = {  # of three recipes: a row for each training seed
    name: np.clip(hard + gain + 0.005 * rng.normal(size=(3, 1)) + 0.1 * rng.normal(size=(3, 200)), 0, 1)
    for name, gain in {"plain": 0.05, "mined": 0.11, "merged": 0.11}.items()
}

# Over queries and seeds: three seeds, the base model has none.
found = hierarchical({"my set": seed_differences(trained["mined"], hard)})
print(f"mined - base {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]. {found.covers}")
print(f"differences from {detectable(found.estimate):.3f} on are found four times out of five")
print(f"0.01 would take {queries_needed(0.01, deviation=0.15)} queries")

# A family of comparisons, declared before looking.
family = [("plain", "mined"), ("plain", "merged"), ("mined", "merged")]
p_values = {
    (one, other): hierarchical({"my set": seed_differences(trained[one], trained[other])}).p for one, other in family
}
means = {name: float(values.mean()) for name, values in trained.items()}
print(groups(means, holm(p_values, family=family)).letters)

# No worse by 0.02 than another recipe, and the queries that got worse all the same.
claim = no_worse(hierarchical({"my set": seed_differences(trained["merged"], trained["mined"])}).estimate, margin=0.02)
print(f"{claim.claim}: shown {claim.shown}, p = {claim.p:.3f}")
flips = flips_of_drop(hard, trained["mined"][0])
print(f"{flips.negative_rate:.0%} of the queries lost more than 0.05, most of all number {flips.negative[0]}")
