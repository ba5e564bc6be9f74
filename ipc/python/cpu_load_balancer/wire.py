"""How the daemon writes the lines of a stream that come most often. What it writes in another way is decoded as a whole."""

from __future__ import annotations

ID_LENGTH = 36
LONGEST_CURSOR = 100

ACCEPTED, AFTER_ACCEPTED = b'{"event":"accepted","task_id":"', b'","status":'
RESULT, BEFORE_RESULT = b'{"event":"result","task_id":"', b',"result":'
ACCEPTED_ID = slice(len(ACCEPTED), len(ACCEPTED) + ID_LENGTH)
RESULT_ID = slice(len(RESULT), len(RESULT) + ID_LENGTH)
