# {"pools": "exclusive shared", "needs": "matplotlib", "want": {"data": [true, 120, 80]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""matplotlib writes a PNG, of the size that it was asked for."""

import os
import struct
import tempfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot  # noqa: E402
from matplotlib.path import Path  # noqa: E402


def main(params, context):
    figure, axes = pyplot.subplots(figsize=(1.2, 0.8), dpi=100)
    axes.plot([0, 1, 2], [0, 1, 4], label="squares")
    axes.add_patch(matplotlib.patches.PathPatch(Path([(0, 0), (1, 1), (2, 0)])))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plot.png")
        figure.savefig(path)
        pyplot.close(figure)
        with open(path, "rb") as file:
            head = file.read(24)
    return [head.startswith(b"\x89PNG"), *struct.unpack(">II", head[16:])]
