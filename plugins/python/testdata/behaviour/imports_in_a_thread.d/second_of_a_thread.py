import warnings

warnings.simplefilter("ignore", BytesWarning)
WHERE = "in a pool"
