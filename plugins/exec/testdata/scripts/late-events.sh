#!/bin/sh
{ while :; do echo '{"partial":1}'; done; } >&"$CPULB_EVENTS_FD" &
