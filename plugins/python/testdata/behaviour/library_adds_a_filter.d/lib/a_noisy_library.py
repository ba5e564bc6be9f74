import warnings


class NoisyWarning(UserWarning):
    pass


warnings.filterwarnings("error", category=NoisyWarning)


def call():
    warnings.warn("called", NoisyWarning)
