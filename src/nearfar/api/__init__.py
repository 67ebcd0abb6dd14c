"""The jobs as functions. The command line is a thin shell over these.

PyTorch is imported inside, after everything that can be checked without it: a wrong path or setting answers at once.
"""

from nearfar.api.auditing import AuditResult, audit
from nearfar.api.comparing import compare, plan_comparison
from nearfar.api.diagnosing import diagnose
from nearfar.api.explaining import explain
from nearfar.api.exporting import export_negatives
from nearfar.api.measuring import EvaluateResult, SearchHit, evaluate, search
from nearfar.api.mining import MineResult, mine
from nearfar.api.opening import Settings
from nearfar.api.tuning import TrainResult, train
from nearfar.diagnosing.diagnosis import Diagnosis

__all__ = [
    "AuditResult",
    "Diagnosis",
    "EvaluateResult",
    "MineResult",
    "SearchHit",
    "Settings",
    "TrainResult",
    "audit",
    "compare",
    "diagnose",
    "evaluate",
    "explain",
    "export_negatives",
    "mine",
    "plan_comparison",
    "search",
    "train",
]
