# {"pools": "exclusive shared", "steps": [{"script": "first/run.py", "want": {"data": ["first", "common_parts.piece"]}}, {"script": "second/run.py", "want": {"data": ["second"]}}, {"script": "first/run.py", "want": {"data": ["first", "common_parts.piece"]}}, {"script": "second/run.py", "want": {"data": ["second"]}}]}
"""Two folders in turn, with packages of one name: each script has its own."""
