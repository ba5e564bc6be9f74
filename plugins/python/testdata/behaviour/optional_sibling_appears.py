# {"pools": "exclusive shared", "steps": [{"want": {"data": "default"}}, {"write": {"my_settings.py": "MODE = 'own'\n"}, "want": {"data": "own"}}, {"write": {"my_settings.py": "MODE = 'another'\n"}, "want": {"data": "another"}}, {"remove": ["my_settings.py"], "want": {"data": "default"}}]}
"""A module that the script looked for in vain is found once it is there, and gone once it is not."""

try:
    from my_settings import MODE
except ImportError:
    MODE = "default"


def main(params, context):
    return MODE
