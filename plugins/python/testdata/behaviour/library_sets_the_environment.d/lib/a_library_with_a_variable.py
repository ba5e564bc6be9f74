import os

os.environ["BEHAVIOUR_OF_A_LIBRARY"] = "by a library"
