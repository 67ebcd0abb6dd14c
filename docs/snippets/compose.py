import torch

from nearfar import objectives

objective = objectives.parse(
    """Composition(
      criterion=Softmax(outer=FocalPower(gamma=0.5)),
      candidates=BothSides(),
      logits=[LearnedTemperature(initial=0.07)],
    )"""
)
both = objectives.Sum(terms=(objective, objectives.parse("Uniformity")), weights=(1.0, 0.1))

anchors, candidates = torch.randn(4, 16), torch.randn(4, 16)
print(objectives.Objective(both)(anchors, candidates, torch.eye(4)))
print([name for name, _ in objective.named_parameters()])
