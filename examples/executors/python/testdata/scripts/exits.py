import os

os._exit(42)
