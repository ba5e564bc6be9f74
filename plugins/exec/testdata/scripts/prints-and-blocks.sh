#!/bin/sh
echo begun >&2
exec sleep 1000
