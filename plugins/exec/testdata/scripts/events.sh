#!/bin/sh
exec >&"$CPULB_EVENTS_FD"
echo '{"progress":0.5,"message":"half way"}'
echo '{"log":"info","message":"hello"}'
for i in 1 2 3; do echo "{\"partial\":$i}"; done
