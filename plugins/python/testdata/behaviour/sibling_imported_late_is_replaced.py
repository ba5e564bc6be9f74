# {"pools": "exclusive shared", "steps": [{"write": {"late_value.py": "VALUE = 1\n"}, "want": {"data": 1}}, {"write": {"late_value.py": "VALUE = 2\n"}, "want": {"data": 2}}]}
"""A module that is imported in a function has changed."""


def main(params, context):
    import late_value
    return late_value.VALUE
