"""The Celery application, as its workers and the driver load it."""
import os

import works
from celery import Celery

_URL = os.environ["BENCH_REDIS"]

app = Celery("bench", broker="redis+socket://" + _URL, backend="redis+socket://" + _URL)
app.conf.update(
    task_serializer="json", result_serializer="json", accept_content=["json"],
    task_ignore_result=False,  # whoever submits fetches each result
    worker_prefetch_multiplier=64,  # "if you have many short tasks": a larger one
    worker_send_task_events=False, task_send_sent_event=False,
    worker_hijack_root_logger=False, broker_connection_retry_on_startup=True,
)


@app.task(name="run")
def run(work, param):
    """Do the work."""
    return getattr(works, work)(param)
