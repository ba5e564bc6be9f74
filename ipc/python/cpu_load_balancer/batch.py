"""Batch: many tasks that were submitted together."""

from dataclasses import dataclass, field

from .exceptions import SubmissionError, from_problem


@dataclass
class Batch:
    """What became of the tasks. task_ids has the id of each in their order, None for one that was
    refused; errors has, by its place from 0, why it was."""

    batch_id: str
    task_ids: list[str | None] = field(default_factory=list)
    errors: dict[int, SubmissionError] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, wire):
        """Return the Batch that wire, of the socket API, describes."""
        return cls(wire["batch_id"], list(wire["task_ids"]),
                   {e["line"] - 1: from_problem(e["problem"], SubmissionError) for e in wire["errors"]})
