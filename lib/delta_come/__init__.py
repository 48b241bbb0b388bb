"""Delta-CoMe (Ping et al., NeurIPS 2024): a fine-tuned model as its base and a few bits.

    rule = Plan.parse("8:2,3:32,2:rest")       # mixed widths over the singular directions of a delta (section 5.1)
    plan = rule.resolve(4096, 4096, 1 / 16)

Importing this room imports no torch.
"""

from lib.delta_come.errors import DeltaError
from lib.delta_come.plan import Group, Plan, PlanRule, Storage

__all__ = ["DeltaError", "Group", "Plan", "PlanRule", "Storage"]
