# {"pools": "exclusive shared", "needs": "sklearn", "want": {"data": [2.0, 1.0, true]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""scikit-learn fits a line and a forest."""

import numpy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression


def main(params, context):
    x = numpy.arange(20.0).reshape(-1, 1)
    line = LinearRegression().fit(x, 2 * x.ravel() + 1)
    forest = RandomForestClassifier(5, random_state=0).fit(x, x.ravel() > 9)
    return [round(line.coef_[0], 6), round(line.intercept_, 6), bool(forest.predict([[17.0]])[0])]
