# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "{'left': typing.Optional[__main__.Branch]}\n"}}
"""typing resolves names in the module of the class."""

import typing


class Branch:
    left: "typing.Optional[Branch]"


print(typing.get_type_hints(Branch))
