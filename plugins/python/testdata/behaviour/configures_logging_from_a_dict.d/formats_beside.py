import logging


class Short(logging.Formatter):
    def __init__(self):
        super().__init__("%(levelname)s %(message)s")
