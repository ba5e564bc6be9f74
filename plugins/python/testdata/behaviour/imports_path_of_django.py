# {"pools": "exclusive shared", "needs": "django", "want": {"data": "items/"}, "keeps": "warnings"}
"""Every urls.py begins with this import."""

from django.urls import path


def main(params, context):
    return str(path("items/", lambda request: None).pattern)
