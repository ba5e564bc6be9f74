# {"pools": "exclusive shared", "needs": "django", "times": 2, "want": {"data": [200, "<p>Hello, you &amp; me!</p>", 404]}, "keeps": "warnings meta_path environ environ_of_c builtins logging"}
"""Django, in one file: its test client asks two views, one of which is not there."""

import sys

import django
from django.conf import settings
from django.http import HttpResponse
from django.template import engines
from django.urls import path

if not settings.configured:
    settings.configure(DEBUG=False, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], TIME_ZONE="UTC", USE_TZ=True,
                       DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
                       TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}])
django.setup()


def hello(request, name):
    text = engines["django"].from_string("<p>Hello, {{ name }}!</p>").render({"name": name + request.GET["and"]}, request)
    return HttpResponse(text)


urlpatterns = [path("hello/<name>/", hello)]


def main(params, context):
    from django.test import Client
    client = Client()
    answer = client.get("/hello/you/", {"and": " & me"})
    assert sys.modules[__name__].urlpatterns is urlpatterns
    return [answer.status_code, answer.content.decode(), client.get("/nowhere/").status_code]
