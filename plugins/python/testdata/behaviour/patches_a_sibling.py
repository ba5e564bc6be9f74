# {"pools": "exclusive shared", "times": 2, "want": {"data": ["sunny", "rainy"]}}
"""unittest.mock finds a sibling by its name, in a string."""

from unittest import mock

import weather_beside


def main(params, context):
    with mock.patch("weather_beside.today", return_value="sunny"):
        patched = weather_beside.today()
    return [patched, weather_beside.today()]
