"""The state of one part of the daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict

from .enums import Health


@dataclass
class ComponentStatus:
    """One entry of get_status()["components"]."""

    name: str
    health: Health
    metrics: dict[str, Any] = field(default_factory=dict)
    #: Why it is not healthy.
    reason: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.health is Health.HEALTHY

    def to_dict(self) -> Dict[str, Any]:
        """Return the entry as get_status() has it."""
        d: Dict[str, Any] = {"health": self.health.value, "metrics": self.metrics}
        if self.reason:
            d["reason"] = self.reason
        return d

    @classmethod
    def from_dict(cls, name: str, d: Dict[str, Any]) -> ComponentStatus:
        """Read an entry of get_status()["components"]."""
        return cls(name, Health(d["health"]), d.get("metrics", {}), d.get("reason", ""))
