#!/bin/sh
head -c 1000000 /dev/zero | tr '\0' x >&2
echo >&2
head -c 1000000 /dev/zero | tr '\0' x
echo
echo 1000001
