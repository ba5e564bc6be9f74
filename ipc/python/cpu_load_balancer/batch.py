"""Batch: many tasks that were submitted together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional

from .exceptions import CPULoadBalancerError, SubmissionError, from_problem


@dataclass
class Batch:
    """What became of the tasks. task_ids has the id of each in their order, None for one that was
    refused; errors has, by its place from 0, why it was. Iterating yields the ids of those that were
    accepted, and len counts these."""

    batch_id: str
    task_ids: List[Optional[str]] = field(default_factory=list)
    errors: Dict[int, CPULoadBalancerError] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return (task_id for task_id in self.task_ids if task_id is not None)

    def __len__(self) -> int:
        return len(self.task_ids) - self.task_ids.count(None)

    @classmethod
    def from_dict(cls, wire: Dict[str, Any]) -> Batch:
        """Return the Batch that wire, of the socket API, describes."""
        return cls(wire["batch_id"], list(wire["task_ids"]),
                   {e["line"] - 1: from_problem(e["problem"], SubmissionError) for e in wire["errors"]})
