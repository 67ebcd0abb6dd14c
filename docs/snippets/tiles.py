import torch

from nearfar.objectives import InfoNCE
from nearfar.objectives.outline import Tiling
from nearfar.types import Relation

size = 2048
place, none = torch.arange(size), torch.zeros(0, dtype=torch.int64)
relation = Relation(
    anchor_ids=place,
    candidate_ids=place + size,
    rows=place,  # anchor i belongs to candidate i
    columns=place,
    grades=torch.ones(size),
    origins=torch.zeros(size, dtype=torch.int64),
    ignored_rows=none,
    ignored_columns=none,
)
anchors, candidates = torch.randn(2, size, 64).requires_grad_()
whole = InfoNCE(directions="symmetric").outcome(anchors, candidates, relation).loss
tiled = InfoNCE(directions="symmetric").in_tiles(Tiling(scores=2**18), anchors, candidates, relation).loss
print(f"{float(whole.detach()):.4f} = {float(tiled.detach()):.4f}")
