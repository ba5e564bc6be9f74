# {"pools": "exclusive", "python": "no", "steps": [{"want": {"data": 1}}, {"script": "other.py", "want": {"data": []}}]}
"""A module that is mocked while a library is imported is nobody else's, and breaks nothing."""

import sys
from unittest import mock


def main(params, context):
    with mock.patch.dict(sys.modules, {"not_installed_here": mock.Mock(), "numpy": mock.Mock(), "decimal": None}):
        import colorsys  # noqa: F401
    return 1
