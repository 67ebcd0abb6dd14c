import nearfar
from nearfar.encoders.load import load as load_encoder
from nearfar.encoders.locate import locate
from nearfar.evaluation.tasks.outcome import changes
from nearfar.evaluation.tasks.setting import Embedded, Setting
from nearfar.evaluation.tasks.sts import STS

pairs = nearfar.from_records(
    [
        {"sentence1": "fix a flat tire", "sentence2": "mend a flat tire", "score": 5},
        {"sentence1": "fix a flat tire", "sentence2": "paint a bike", "score": 2},
        {"sentence1": "plant a tree", "sentence2": "plant some trees", "score": 4},
        {"sentence1": "plant a tree", "sentence2": "fix a bike", "score": 0},
        {"sentence1": "cook rice", "sentence2": "boil rice", "score": 4},
    ],
    name="similar",
)
narrow, wide = (
    STS().run(
        Setting(
            dataset=pairs,
            split="all",
            embedded=Embedded(encoder=load_encoder(locate(f"static:tokenizer.json?dim={width}"))),
        )
    )
    for width in (8, 64)
)
for change in changes(wide, narrow):  # the same resamples of the same pairs for both
    print(f"{change.measure} {change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})")
