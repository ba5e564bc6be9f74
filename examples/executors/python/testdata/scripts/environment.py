import os

dict(os.environ)
