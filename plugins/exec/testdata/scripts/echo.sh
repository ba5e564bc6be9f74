#!/bin/sh
echo "$CPULB_TASK_ID"
exec cat
