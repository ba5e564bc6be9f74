# {"pools": "exclusive shared", "times": 2, "want": {"data": "good morning"}, "changes": "builtins"}
"""gettext.install puts _ into builtins; it stays there for this script alone."""

import gettext

gettext.install("a_domain_without_a_catalogue")


def main(params, context):
    return _("good morning")  # noqa: F821
