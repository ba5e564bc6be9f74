# {"pools": "exclusive shared", "needs": "pydantic", "times": 2, "want": {"data": ["fig", [1, 2], "ValidationError"]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""pydantic resolves postponed annotations by the module of the class."""

from __future__ import annotations

from typing import List, Optional

import pydantic


class Item(pydantic.BaseModel):
    name: str
    counts: List[int] = []
    inner: Optional[Item] = None


Item.update_forward_refs()


def main(params, context):
    item = Item(name="fig", inner={"name": "seed", "counts": ["1", 2]})
    try:
        Item(name="fig", counts="many")
    except pydantic.ValidationError as error:
        return [item.name, item.inner.counts, type(error).__name__]
