#!/bin/sh
printf '\377\n1\n'
