import sqlite3


def main(params, context):
    with sqlite3.connect(":memory:") as db:
        db.execute("create table t (n integer, square integer)")
        db.executemany("insert into t values (?, ?)", ((n, n * n) for n in range(params)))
        db.create_function("twice", 1, lambda n: 2 * n)
        return db.execute("select sum(twice(square)) from t").fetchone()[0]
