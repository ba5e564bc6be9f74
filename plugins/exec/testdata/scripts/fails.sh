#!/bin/sh
echo '{"error":{"type":"ValueError","message":"as asked"}}' >&"$CPULB_EVENTS_FD"
exit 1
