# {"pools": "exclusive shared", "python": "no", "steps": [{"script": "left/run.py", "want": {"data": ["left", "left"]}}, {"script": "right/run.py", "want": {"data": ["right", "right"]}}, {"script": "left/run.py", "want": {"data": ["left", "left"]}}]}
"""Two folders have a package of one name, without an __init__.py: each script gets its own."""
