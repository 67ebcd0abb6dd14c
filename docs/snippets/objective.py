import torch

from nearfar import objectives

objective = objectives.parse("InfoNCE(temperature=0.05, directions=symmetric)")

anchors = torch.randn(2, 8)
candidates = torch.randn(3, 8)
relevance = torch.tensor([[1, 0, 0], [0, 1, 0]])
ignored = torch.tensor([[False, False, True], [False, False, False]])

print(objective, objective(anchors, candidates, relevance, ignored=ignored))
