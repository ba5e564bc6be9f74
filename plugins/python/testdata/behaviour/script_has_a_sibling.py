# {"pools": "exclusive shared", "function": "__main__", "params": [], "steps": [{"write": {"word_of_it.py": "WORD = 'one'\n"}, "want": {"stdout": "one __main__ None True\n"}}, {"write": {"word_of_it.py": "WORD = 'three'\n"}, "want": {"stdout": "three __main__ None True\n"}}]}
"""A plain script imports what lies beside it, as it is now; it has no package and no spec."""

import word_of_it

print(word_of_it.WORD, __name__, __package__, __spec__ is None)
