"""A plugin of pytest that makes the backend known to joblib before its own tests are collected: make test-joblib.

joblib's tests are parametrised by all backends that there are, and so run with ours, too. With CPULB_DEFAULT set it is
what everything takes that names none, as scikit-learn does.
"""

import os

from cpu_load_balancer.joblib import register

register(bin_dir=os.environ.get("CPULB_BIN"), make_default=bool(os.environ.get("CPULB_DEFAULT")))
