"""What a call costs without any executor: the yardstick of the benchmark."""
import json
import time


def bare(params, context):
    return params


def main(params, context):
    text, rounds = json.dumps(params["params"]), params["rounds"]
    begin = time.perf_counter_ns()
    for _ in range(rounds):
        json.dumps(bare(json.loads(text), context))
    return (time.perf_counter_ns() - begin) / rounds
