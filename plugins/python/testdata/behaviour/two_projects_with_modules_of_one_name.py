# {"pools": "exclusive", "steps": [{"script": "red/run.py", "want": {"data": ["red", "red too"]}}, {"script": "blue/run.py", "want": {"data": ["blue", "blue too"]}}, {"script": "red/run.py", "want": {"data": ["red", "red too"]}}]}
"""Two projects have modules of the same names, beside the script and in its folder lib. Each imports its own."""
