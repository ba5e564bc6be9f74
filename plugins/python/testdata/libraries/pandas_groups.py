# {"pools": "exclusive shared", "needs": "pandas", "want": {"data": {"plum": 5, "fig": 2}, "stdout": "      count\nname       \nfig       2\nplum      5\n"}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""pandas reads a CSV, groups it and prints a table."""

import os

import pandas


def main(params, context):
    table = pandas.read_csv(os.path.join(os.path.dirname(__file__), "fruit.csv"), parse_dates=["day"])
    sums = table[table.day >= "2026-01-02"].groupby("name")[["count"]].sum()
    print(sums)
    return sums["count"].to_dict()
