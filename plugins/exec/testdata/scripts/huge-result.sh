#!/bin/sh
head -c 4194305 /dev/zero | tr '\0' x
