"""A comparison as ``nearfar compare`` leaves it, with invented numbers that agree with one another."""

import itertools

import numpy as np

from nearfar.evaluation.comparison import (
    ALL,
    COST_AXES,
    ComparedData,
    Comparison,
    Cost,
    Flip,
    FlipsOf,
    Gap,
    Score,
    Standing,
    System,
    Table,
    Versus,
)

HOSTILE = "</script><script>alert('x')</script> & <b>%{x}</b> {{ 7*7 }}"

OBJECTIVES = {
    "InfoNCE": ("InfoNCE(temperature=0.05)", 0.0),
    "InfoNCE, cold": ("InfoNCE(temperature=0.02)", 0.013),
    "symmetric": ("InfoNCE(temperature=0.05, sides=[query, document])", 0.016),
    "decoupled": ("DCL(temperature=0.05)", 0.015),
    "HCL": ("HCL(temperature=0.05, beta=0.5)", 0.004),
    "Circle": ("Circle(margin=0.25, gamma=64)", -0.011),
    "triplet": ("Triplet(margin=0.2)", -0.052),
    "a recipe with a rather long name": ("MultiSimilarity(alpha=2.0, beta=50.0, base=0.5)", 0.001),
    "BM25": ("", -0.03),
}
SETS = {"cosqa": (0.52, 500), "policyqa": (0.61, 1200), "wordnet": (0.38, 2400)}
SEEDS = (0, 1, 2, 3, 4)


def comparison(baseline: str | None = "InfoNCE", *, gaps: bool = True, hostile: bool = False) -> Comparison:
    """Nine systems on three data sets; without a baseline every pair is compared."""
    generator = np.random.default_rng(4)
    noise = {(name, place): generator.normal(0, 0.003, len(SEEDS)) for name in OBJECTIVES for place in SETS}
    values = {
        (name, place): SETS[place][0] + OBJECTIVES[name][1] + (noise[name, place] if name != "BM25" else np.zeros(1))
        for name in OBJECTIVES
        for place in SETS
    }
    tables = tuple(_table(place, (place,), values, baseline) for place in SETS)
    overall = _table(ALL, tuple(SETS), values, baseline)
    text = HOSTILE if hostile else ""
    return Comparison(
        name=text or "objectives",
        measure="nDCG@10",
        measures=("nDCG@10", "Success@1", "R@100"),
        confidence=0.95,
        baseline=baseline,
        systems=tuple(
            System(name=name, kind="bm25" if name == "BM25" else "recipe", settings=text or settings)
            for name, (settings, _) in OBJECTIVES.items()
        ),
        data_sets=tuple(
            ComparedData(name=name, source=f"data/{name}", split="test", queries=queries, documents=20 * queries)
            for name, (_, queries) in SETS.items()
        ),
        seeds=SEEDS,
        overall=overall,
        tables=tables,
        scores=tuple(
            Score(system=name, data_set=place, measure=measure, mean=float(values[name, place].mean()) + shift)
            for (name, place), (measure, shift) in itertools.product(
                values, (("nDCG@10", 0.0), ("Success@1", -0.1), ("R@100", 0.3))
            )
        ),
        costs=tuple(_cost(place, name, overall) for place, name in enumerate(OBJECTIVES)),
        flips=tuple(_flips(name, baseline, text) for name in OBJECTIVES if baseline not in (None, name)),
        gaps=_gaps(text) if gaps else (),
        cells=len(SETS) * (len(SEEDS) * (len(OBJECTIVES) - 1) + 1),
        notes=(text or "The data sets are three; intervals over them say little about a fourth.",),
        method=("Every recipe was trained with five seeds.", "p-values are those of a permutation test (Holm)."),
        go_on="Go on with the same command and --resume." if gaps else "",
    )


def _table(name: str, places: tuple[str, ...], values, baseline: str | None) -> Table:
    means = {system: float(np.mean([values[system, place].mean() for place in places])) for system in OBJECTIVES}
    seeds = {system: np.mean([values[system, place] for place in places], axis=0) for system in OBJECTIVES}
    order = sorted(means, key=lambda system: -means[system])
    pairs = (
        [(system, baseline) for system in order if system != baseline]
        if baseline is not None
        else list(itertools.combinations(order, 2))
    )
    versus = tuple(_versus(one, other, means[one] - means[other], len(pairs)) for one, other in pairs)
    verdicts = {(one.treatment, one.control): one.verdict for one in versus}
    standings = tuple(
        Standing(
            system=system,
            mean=means[system],
            low=means[system] - 0.012,
            high=means[system] + 0.012,
            by_seed=tuple(seeds[system].tolist()),
            letters=("a" if means[system] > means[order[0]] - 0.012 else "b") if baseline is None else "",
            leader=baseline is None and verdicts.get((order[0], system), "open") == "open",
            verdict=verdicts.get((system, baseline)) if baseline is not None else None,
        )
        for system in order
    )
    return Table(
        name=name,
        data_sets=places,
        seeds={place: SEEDS for place in places},
        queries=sum(SETS[place][1] for place in places),
        standings=standings,
        groups=() if baseline is not None else (tuple(order[:3]), tuple(order[1:])),
        versus=versus,
        family=len(pairs),
        covers="Intervals cover chance in queries, seeds and data sets.",
        left_out={},
    )


def _versus(treatment: str, control: str, difference: float, family: int) -> Versus:
    told = abs(difference) > 0.012
    return Versus(
        treatment=treatment,
        control=control,
        difference=difference,
        low=difference - 0.009,
        high=difference + 0.009,
        p=0.0004 if told else 0.09,
        adjusted=0.0004 * family if told else 0.6,
        verdict="open" if not told else "better" if difference > 0 else "worse",
        detectable=0.0132,
        shares={"queries": 0.8, "seeds": 0.2},
    )


def _cost(place: int, name: str, overall: Table) -> Cost:
    trained = name != "BM25"
    spent = {
        "train_seconds": 40.0 + 7 * place if trained else 0.0,
        "cpu_seconds": 70.0 + 9 * place if trained else 0.0,
        "texts": 90_000.0 if trained else 0.0,
        "tokens": 2.1e6 if trained else 0.0,
        "peak_memory": 1.1e9 + 4e7 * place,
        "parameters": 7.8e6 if trained else None,
        "dimensions": 256.0 if trained else None,
        "encode_seconds": 3.5,
    }
    front = name in ("BM25", "InfoNCE", "InfoNCE, cold", "symmetric")
    quality = next(one.mean for one in overall.standings if one.system == name)
    on_front = tuple(
        axis for axis in COST_AXES if front and spent[axis] is not None and (trained or not axis.startswith("peak"))
    )
    return Cost(system=name, quality=quality, on_front=on_front, **spent)


def _flips(system: str, baseline: str, text: str) -> FlipsOf:
    worst = Flip(
        query_id="q17",
        query=text or "how to sort a dictionary by its values",
        before=1.0,
        after=0.387,
        seeds=4,
        wanted="def by_value(d): return dict(sorted(d.items(), key=lambda item: item[1]))",
        found_before="def by_value(d): return dict(sorted(d.items(), key=lambda item: item[1]))",
        found_after="def sort_keys(d): return {key: d[key] for key in sorted(d)}",
    )
    rate = 0.021 if system == "decoupled" else 0.046
    return FlipsOf(
        system=system, baseline=baseline, data_set="cosqa", threshold=0.05, negative_rate=rate, low=rate - 0.012,
        high=rate + 0.012, positive_rate=0.06, again_rate=0.024, worst=(worst, worst) if system == "triplet" else (),
    )  # fmt: skip


def _gaps(text: str) -> tuple[Gap, ...]:
    failed = Gap(system="Circle", data_set="wordnet", seed=4, state="failed", reason=text or "The loss became NaN.")
    ended = "The budget of 60 minutes was used up."
    missing = (
        Gap(system=name, data_set="wordnet", seed=4, state="missing", reason=ended)
        for name in ("HCL", "triplet", "decoupled")
    )
    return (failed, *missing)
